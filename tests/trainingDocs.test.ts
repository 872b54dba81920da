import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Blocks that name their file are that file; the others are one program in order. */
const blocks = Array.from(
  readFileSync(join(root, "docs", "training.md"), "utf8").matchAll(/```ts\n([\s\S]*?)```/g),
  (match) => match[1] ?? "",
);
const nameOf = (block: string): string => /^\/\/ (\w+)\.ts\n/.exec(block)?.[1] ?? "page";

/** Below the repository's node_modules, where packages from npm are found. */
let folder: string;

beforeAll(async () => {
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  folder = mkdtempSync(join(cache, "adastra-training-"));
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  const names = [...new Set(blocks.map(nameOf))];
  for (const name of names) {
    const code = blocks.filter((block) => nameOf(block) === name).join("\n");
    writeFileSync(join(folder, `${name}.ts`), code);
  }
  await build({
    entryPoints: names.map((name) => join(folder, `${name}.ts`)),
    outdir: folder,
    bundle: true,
    platform: "node",
    format: "esm",
    conditions: ["@adastra/source"],
    external: ["onnxruntime-node", "onnxruntime-web", "@jax-js/jax", "onnx-proto"],
  });
}, 60_000);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

const run = (name: string): string[] =>
  execFileSync(process.execPath, [join(folder, `${name}.js`)], { encoding: "utf8" })
    .trimEnd()
    .split("\n");

describe("docs/training.md", () => {
  it("has three blocks in order, which do what the page says", () => {
    expect(blocks.map(nameOf)).toEqual(["page", "page", "page", "train", "main"]);
    const said = run("page");
    expect(said).toHaveLength(4);
    expect(said[0]).toMatch(/^epoch 30: 0\.0\d\d$/);
    expect(said[1]).toBe(
      "to use or save: dense1/kernel, dense1/bias, batchNorm1/scale, batchNorm1/shift, dense2/kernel, dense2/bias",
    );
    expect(said[2]).toMatch(/^stoppedEarly, best: epoch \d+ of \d+$/);
    expect(said[3]).toBe("stopped at step 123; resumed, the same to the bit: true");
  });

  it("trains in a worker by its two modules", () => {
    const said = run("main");
    expect(said[0]).toMatch(/^epoch 10: 0\.\d\d$/);
    expect(said[1]).toMatch(/^epoch 20: 0\.[0-3]\d$/);
    expect(said[2]).toBe("dense1/kernel, dense1/bias, dense2/kernel, dense2/bias");
  });
});
