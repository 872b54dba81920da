import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createClientPool } from "./clientPool.ts";
import type { MetaRun } from "./run.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "adastra-clients-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const run: MetaRun = {
  format: "adastra-meta-run/1",
  problem: "sinusoid",
  method: "sgd",
  rate: 0.02,
  rounds: 1,
  seed: 1,
};
const start = { params: { w: { shape: [2], data: Float32Array.of(1, 2) } } };

/** A script that answers with what it was asked, after `before` was done. */
function script(name: string, before: string): string {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(
    path,
    `import { existsSync, writeFileSync } from "node:fs";
    process.on("disconnect", () => process.exit());
    process.on("message", ({ place, start }) => {
      ${before}
      process.send({ result: { params: start.params, examples: place.index, steps: process.pid, losses: [] } });
    });`,
  );
  return path;
}

describe("clients in processes", () => {
  test("each gets its own task, whichever process is free, and typed arrays arrive as such", async () => {
    const pool = createClientPool(run, 2, script("plain", ""));
    const results = await Promise.all(
      [0, 1, 2, 3, 4].map((index) => pool.client({ round: 0, index })(start)),
    );
    expect(results.map(({ examples }) => examples)).toEqual([0, 1, 2, 3, 4]);
    expect(new Set(results.map(({ steps }) => steps)).size).toBe(2);
    expect(results[3]?.params).toEqual(start.params);
    pool.close();
  });

  test("a process that dies costs nothing: the task is trained on again", async () => {
    const marker = JSON.stringify(join(folder, "died"));
    const dies = `if (!existsSync(${marker})) { writeFileSync(${marker}, ""); process.kill(process.pid, "SIGKILL"); return; }`;
    const pool = createClientPool(run, 1, script("dies", dies));
    const results = await Promise.all(
      [0, 1].map((index) => pool.client({ round: 0, index })(start)),
    );
    expect(results.map(({ examples }) => examples)).toEqual([0, 1]);
    pool.close();
  });

  test("one that dies twice over a task fails it by name", async () => {
    const pool = createClientPool(run, 1, script("always", "process.exit(7);"));
    await expect(pool.client({ round: 3, index: 1 })(start)).rejects.toThrow(
      "meta train: a client's process must train to the end, got exit code 7 twice at task 1 of round 3; take fewer --workers",
    );
    pool.close();
  });

  test("what a client throws is told as it is", async () => {
    const refuses = `process.send({ failed: "train: no" }); return;`;
    const pool = createClientPool(run, 1, script("refuses", refuses));
    await expect(pool.client({ round: 0, index: 0 })(start)).rejects.toThrow("train: no");
    pool.close();
  });
});
