import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

it("the blocks of docs/meta.md run in order and say what the page says", async () => {
  const page = readFileSync(join(root, "docs", "meta.md"), "utf8");
  const blocks = Array.from(page.matchAll(/```ts\n([\s\S]*?)```/g), (match) => match[1] ?? "");
  expect(blocks).toHaveLength(2);
  // Below the repository's node_modules, where packages from npm are found.
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, "adastra-meta-"));
  try {
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(join(folder, "page.ts"), blocks.join("\n"));
    await build({
      entryPoints: [join(folder, "page.ts")],
      outdir: folder,
      bundle: true,
      platform: "node",
      format: "esm",
      conditions: ["@adastra/source"],
      external: ["onnxruntime-node", "onnxruntime-web", "@jax-js/jax", "onnx-proto"],
    });
    const said = execFileSync(process.execPath, [join(folder, "page.js")], { encoding: "utf8" });
    expect(said.trimEnd().split("\n")).toEqual(["falls: true", "starts at φ: true"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
