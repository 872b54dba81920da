import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";
import { afterEach, expect, it, vi } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

afterEach(() => {
  vi.restoreAllMocks();
});

it("the blocks of docs/fine-tuning.md run in order and say what the page says", async () => {
  const page = readFileSync(join(root, "docs", "fine-tuning.md"), "utf8");
  const blocks = Array.from(page.matchAll(/```ts\n([\s\S]*?)```/g), (match) => match[1] ?? "");
  expect(blocks).toHaveLength(5);
  // Below node_modules, where the packages with native parts are found from.
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "fine-tuning-"));
  const { outputFiles } = await build({
    stdin: { contents: blocks.join("\n"), resolveDir: root, loader: "ts" },
    bundle: true,
    format: "esm",
    platform: "node",
    conditions: ["@adastra/source"],
    external: ["onnxruntime-node", "onnx-proto", "@jax-js/jax"],
    write: false,
  });
  const said: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => {
    said.push(line);
  });
  try {
    const file = join(folder, "page.mjs");
    writeFileSync(file, outputFiles[0]?.contents ?? "");
    await import(/* @vite-ignore */ pathToFileURL(file).href);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  expect(said[0]).toMatch(/^pretrained: loss 0\.\d{3}$/);
  // Two layers' kernels and biases, and the batch norm's four: as arithmetic they are parameters.
  expect(said[1]).toMatch(/^inputs: x, parameters: 8$/);
  expect(said[2]).toMatch(/^trained further: loss 0\.\d{3}$/);
  expect(said[3]).toMatch(/^head: dense1\/kernel,dense1\/bias, loss \d\.\d\d$/);
  expect(said[4]).toBe("all of it: loss below the head's true");
  expect(said[5]).toBe("largest difference to ONNX Runtime: below 1e-5");
});
