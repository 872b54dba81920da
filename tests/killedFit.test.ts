import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { mulberry32 } from "@adastra/core";
import { afterAll, beforeAll, expect, it } from "vitest";

const script = fileURLToPath(new URL("./killedFit.mjs", import.meta.url));
const STEPS = 120;

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "adastra-fit-"));
});
afterAll(() => rmSync(root, { recursive: true }));

interface Life {
  readonly first: number;
  readonly last: number;
  /** Hash of what training ended with; undefined where it was killed. */
  readonly end: string | undefined;
}

/** Trains in a folder to the end, or until it has said so many steps and is ended with SIGKILL. */
async function live(folder: string, killAfter = Number.POSITIVE_INFINITY): Promise<Life> {
  const child: ChildProcess = spawn(process.execPath, [script, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const closed = new Promise((resolve) => child.once("close", resolve));
  let [said, first, last] = [0, 0, 0];
  let end: string | undefined;
  for await (const line of createInterface({ input: child.stdout! })) {
    const [word, value = ""] = line.split(" ");
    if (word === "end") {
      end = value;
    } else {
      said += 1;
      last = Number(value);
      first ||= last;
      if (said === killAfter) {
        child.kill("SIGKILL");
      }
    }
  }
  await closed;
  return { first, last, end };
}

it("fit that is killed again and again ends, to the bit, as fit that was not", async () => {
  const whole = await live(join(root, "whole"));
  expect(whole).toMatchObject({
    first: 1,
    last: STEPS,
    end: expect.stringMatching(/^[0-9a-f]{64}$/),
  });
  const random = mulberry32(1);
  const folder = join(root, "broken");
  let reached = 0;
  let kills = 0;
  for (;;) {
    const life = await live(folder, 5 + random.integer(30));
    if (life.end !== undefined) {
      expect(life.end).toBe(whole.end);
      break;
    }
    kills += 1;
    // From a checkpoint, made every fourth step and after each epoch: not from the start, nor past what was done.
    expect(life.first).toBeGreaterThan(Math.max(0, reached - 8));
    expect(life.first).toBeLessThanOrEqual(reached + 1);
    reached = Math.max(reached, life.last);
  }
  expect(kills).toBeGreaterThanOrEqual(3);
}, 120_000);
