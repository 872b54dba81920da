import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterEach, expect, it, vi } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

afterEach(() => {
  vi.restoreAllMocks();
});

it("the blocks of docs/own-optimizer.md run in order and say what the page says", async () => {
  const page = readFileSync(new URL("../docs/own-optimizer.md", import.meta.url), "utf8");
  const blocks = Array.from(page.matchAll(/```ts\n([\s\S]*?)```/g), (match) => match[1] ?? "");
  expect(blocks).toHaveLength(4);
  const { outputFiles } = await build({
    stdin: { contents: blocks.join("\n"), resolveDir: root, loader: "ts" },
    bundle: true,
    format: "esm",
    conditions: ["@adastra/source"],
    write: false,
  });
  const said: string[] = [];
  vi.spyOn(console, "log").mockImplementation((line: string) => {
    said.push(line);
  });
  const source = Buffer.from(outputFiles[0]?.contents ?? []).toString("base64");
  await import(/* @vite-ignore */ `data:text/javascript;base64,${source}`);
  expect(said[0]).toBe("beta 0.5, backend wasm");
  expect(said[1]).toMatch(/^resumed bit for bit: true, largest parameter 0\.\d\d$/);
  // A matrix of 4 with two states, a vector of 2 with one: (4·8 + 2·4) / 6.
  expect(said[2]).toBe("kinds of leaves: 2, bytes a parameter: 6.7");
});
