import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { edgeValues, kernelOf } from "../../packages/core/src/codegen/conformance.ts";
import type { Kernel } from "../../packages/core/src/codegen/kernel.ts";
import {
  contains,
  permitted,
  ULP_BUDGET,
  ulpOf,
} from "../../packages/core/src/codegen/wgslAccuracy.ts";
import { mulberry32 } from "../../packages/core/src/random.ts";
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

const values = edgeValues("float32").map(Math.fround);
const random = mulberry32(1);
const bits = (): number => new Float32Array(Uint32Array.of(random.next() * 2 ** 32).buffer)[0]!;
const N = 40000;
const more = Array.from({ length: N }, (_, i) => {
  switch (i % 3) {
    case 0:
      return [bits(), bits()];
    case 1: {
      const x = bits();
      return [x, Math.fround(x * (4 * random.next() - 2))];
    }
    default:
      return [Math.fround(random.normal()), Math.fround(random.normal())];
  }
});
const xs = Float32Array.from([
  ...values.flatMap((x) => values.map(() => x)),
  ...more.map((m) => m[0]!),
]);
const ys = Float32Array.from([...values.flatMap(() => values), ...more.map((m) => m[1]!)]);

const OPS = [
  "neg",
  "abs",
  "sqrt",
  "floor",
  "exponent",
  "exp2i",
  "add",
  "sub",
  "mul",
  "div",
  "min",
  "max",
  "lt",
  "le",
  "eq",
  "and",
  "or",
  "not",
  "select",
] as const;
const isSub = (x: number) => x !== 0 && Math.abs(x) < 2 ** -126;
it.each(OPS)("%s", async (op) => {
  const kernel = kernelOf(op);
  const [o] = await outcomes(kernel, 256, [
    { count: xs.length, streams: [xs, ys, xs], scalars: [] },
  ]);
  const got = o!.streams[2]!;
  const p = permitted(kernel, { count: xs.length, streams: [xs, ys, xs], scalars: [] }).stores[0]!;
  const wrong: unknown[] = [];
  let flushed = 0,
    subs = 0,
    worst = 0;
  let at: unknown;
  p.forEach((range, i) => {
    if (!contains(range, got[i]!)) wrong.push([xs[i], ys[i], got[i], range]);
  });
  // correct rounding comparision
  const f: Record<string, (x: number, y: number) => number> = {
    add: (x, y) => x + y,
    sub: (x, y) => x - y,
    mul: (x, y) => x * y,
    div: (x, y) => x / y,
    sqrt: (x) => Math.sqrt(x),
    floor: Math.floor,
    neg: (x) => -x,
    abs: Math.abs,
    min: Math.min,
    max: Math.max,
    select: (x, y) => (x < y ? x : y),
    lt: (x, y) => +(x < y),
    le: (x, y) => +(x <= y),
    eq: (x, y) => +(x === y),
  };
  let nanwrong = 0,
    infwrong = 0;
  const ex: unknown[] = [];
  if (f[op])
    for (let i = 0; i < xs.length; i++) {
      const e = f[op]!(xs[i]!, ys[i]!);
      const g = got[i]!;
      if (Number.isNaN(e)) {
        if (!Number.isNaN(g)) {
          nanwrong++;
          if (ex.length < 5) ex.push([xs[i], ys[i], g]);
        }
        continue;
      }
      if (!Number.isFinite(Math.fround(e))) {
        if (Math.fround(e) !== g) {
          infwrong++;
          if (ex.length < 5) ex.push([xs[i], ys[i], g]);
        }
        continue;
      }
      if (isSub(Math.fround(e)) || isSub(xs[i]!) || isSub(ys[i]!)) {
        subs++;
        if (g !== Math.fround(e)) flushed++;
        continue;
      }
      const u = Math.abs(g - e) / ulpOf(e);
      if (u > worst) {
        worst = u;
        at = [xs[i], ys[i], g, e];
      }
    }
  console.log(
    op,
    "wrong",
    wrong.length,
    wrong.slice(0, 4),
    "worst",
    worst,
    at,
    "subnormal",
    flushed,
    "/",
    subs,
    "nan",
    nanwrong,
    "inf",
    infwrong,
    ex,
  );
});
