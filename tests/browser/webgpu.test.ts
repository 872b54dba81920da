import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { kernelOf } from "../../packages/core/src/codegen/conformance.ts";
import type { Kernel } from "../../packages/core/src/codegen/kernel.ts";
import { launchChromium } from "./chromium.ts";
import type { GpuInputs, GpuOutcome, PageApi } from "./webgpuPage.ts";

let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium({ webgpu: true });
  page = await browser.newPage();
  page.on("console", (m) => console.log(m.text()));
  // navigator.gpu exists on secure origins only; file: counts.
  await page.goto(new URL("./blank.html", import.meta.url).href);
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("./webgpuPage.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
  });
  await page.addScriptTag({ content: outputFiles[0]?.text ?? "" });
});

afterAll(async () => {
  await browser.close();
});

const outcomes = (
  kernel: Kernel,
  workgroupSize: number,
  cases: readonly GpuInputs[],
): Promise<GpuOutcome[]> =>
  page.evaluate(
    ([k, w, c]) => (globalThis as unknown as { adastra: PageApi }).adastra.outcomes(k, w, c),
    [kernel, workgroupSize, cases] as const,
  );

it("mul", async () => {
  const x = Float32Array.from([1, 2, 3, 4, 5]);
  console.log(
    await outcomes(kernelOf("mul"), 256, [{ count: 5, streams: [x, x, x], scalars: [] }]),
  );
  console.log(
    await outcomes(kernelOf("select"), 256, [{ count: 5, streams: [x, x, x], scalars: [] }]),
  );
  console.log(
    await outcomes(
      {
        name: "sum",
        streams: ["x"],
        scalars: ["a"],
        body: [
          { op: "load", stream: 0 },
          { op: "const", value: Infinity },
          { op: "add", a: 1, b: 1 },
        ],
        stores: [],
        reductions: [
          { kind: "sum", value: 0 },
          { kind: "max", value: 2 },
        ],
      },
      2,
      [{ count: 5, streams: [x], scalars: [1] }],
    ),
  );
});
