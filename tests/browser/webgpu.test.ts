/**
 * The WebGPU backend in a real Chromium, on its software adapter. It has no reference of its own: every number must
 * lie where `wgslAccuracy.ts` says that WGSL permits it, given what went in.
 */
import fc from "fast-check";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { availableBackends } from "../../packages/core/src/codegen/backends.ts";
import {
  bench,
  DRAWS,
  edgeValues,
  kept,
  kernelOf,
  randomKernel,
} from "../../packages/core/src/codegen/conformance.ts";
import { bitOperations } from "../../packages/core/src/codegen/format.ts";
import { evaluateBackend } from "../../packages/core/src/codegen/interpreter.ts";
import type { Instruction, Kernel } from "../../packages/core/src/codegen/kernel.ts";
import { plan } from "../../packages/core/src/codegen/plan.ts";
import {
  contains,
  isTight,
  permitted,
  ULP_BUDGET,
  ulpOf,
} from "../../packages/core/src/codegen/wgslAccuracy.ts";
import { bf16Operations } from "../../packages/core/src/expr/bf16.ts";
import { keyOf, saltOf, uniformAt } from "../../packages/core/src/expr/draw.ts";
import {
  adai,
  adam,
  adashift,
  chain,
  clipByGlobalNorm,
  compress,
  cprop,
  cpropAdam,
  fastAdaBelief,
  mulberry32,
  noise,
} from "../../packages/core/src/index.ts";
import { toProgram } from "../../packages/core/src/optimizer.ts";
import { launchChromium } from "./chromium.ts";
import { call, openWebgpuPage } from "./webgpuBrowser.ts";
import type { GpuInputs, GpuOutcome, PageApi } from "./webgpuPage.ts";

let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium({ webgpu: true });
  page = await openWebgpuPage(browser);
});

afterAll(async () => {
  await browser.close();
});

function outcomes(
  kernel: Kernel,
  workgroupSize: number,
  cases: readonly GpuInputs[],
): Promise<GpuOutcome[]> {
  return page.evaluate(
    ([k, size, inputs]) =>
      (globalThis as unknown as { adastra: PageApi }).adastra.outcomes(k, size, inputs),
    [kernel, workgroupSize, cases] as const,
  );
}

/** Results that WGSL does not permit, and how many of all say something: see `isTight`. */
function judge(
  kernel: Kernel,
  inputs: GpuInputs,
  { streams, reductions, trespass }: GpuOutcome,
  workgroupSize: number,
): { readonly wrong: readonly unknown[]; readonly tight: number; readonly all: number } {
  const allowed = permitted(kernel, {
    ...inputs,
    ...DRAWS,
    streams: kept(kernel, inputs.streams),
    workgroupSize,
  });
  const pairs = [
    ...kernel.stores.flatMap(({ stream }, s) =>
      allowed.stores[s]!.map((range, i) => ({
        range,
        got: streams[stream]![i]!,
        where: `${kernel.streams[stream]}[${i}]`,
      })),
    ),
    ...allowed.reductions.map((range, r) => ({
      range,
      got: reductions[r]!,
      where: `reduction ${r}`,
    })),
  ];
  return {
    wrong: [
      ...pairs.filter(({ range, got }) => !contains(range, got)),
      ...(trespass === "none" ? [] : [`trespass at ${trespass}`]),
    ].slice(0, 5),
    // A thousandth: sums of numbers of one size have 1e-6, cancellation leaves more.
    tight: pairs.filter(({ range }) => isTight(range, 1e-3)).length,
    all: pairs.length,
  };
}

it("is there: the backends are wasm, js, evaluate and, on the software adapter, webgpu", async () => {
  const adapter = await call(page, "adapter");
  if (adapter === undefined) {
    throw new Error(
      "webgpu: Chromium must offer the WebGPU adapter SwiftShader, got none; look at the arguments in chromium.ts",
    );
  }
  expect(adapter).toBe("google swiftshader");
  expect([...availableBackends(), "webgpu"]).toEqual(["wasm", "js", "evaluate", "webgpu"]);
});

it("keeps NaN and infinities on this adapter, not subnormal numbers", async () => {
  expect(await call(page, "probe")).toEqual({ nan: true, infinity: true, subnormal: false });
});

type Op = Parameters<typeof kernelOf>[0];

describe("operations", () => {
  const { exponent, exp2i } = bitOperations("float32");
  const EXACT: Record<Op, (x: number, y: number) => number> = {
    neg: (x: number) => -x,
    abs: Math.abs,
    sqrt: Math.sqrt,
    floor: Math.floor,
    exponent,
    exp2i,
    add: (x: number, y: number) => x + y,
    sub: (x: number, y: number) => x - y,
    mul: (x: number, y: number) => x * y,
    div: (x: number, y: number) => x / y,
    min: Math.min,
    max: Math.max,
    lt: (x: number, y: number) => Number(x < y),
    le: (x: number, y: number) => Number(x <= y),
    eq: (x: number, y: number) => Number(x === y),
    and: (x: number, y: number) => Number(x < y && x === y),
    or: (x: number, y: number) => Number(x <= y),
    not: (x: number, y: number) => Number(!(x < y)),
    select: (x: number, y: number) => (x < y ? x : y),
  };
  // Object.keys forgets that the keys are the operations.
  const OPS = Object.keys(EXACT) as Op[];

  /** All pairs of edge values, and as many that are random: any bits, neighbours in size, ordinary numbers. */
  const edges = edgeValues("float32").map(Math.fround);
  const random = mulberry32(1);
  const anyBits = (): number =>
    new Float32Array(Uint32Array.of(random.next() * 2 ** 32).buffer)[0]!;
  const pairs = edges.flatMap((x) => edges.map((y): readonly [number, number] => [x, y]));
  for (let i = 0; i < 9000; i++) {
    const x = i % 3 === 0 ? random.normal() : anyBits();
    pairs.push([x, [random.normal(), anyBits(), x * (4 * random.next() - 2)][i % 3]!]);
  }
  const xs = Float32Array.from(pairs, ([x]) => x);
  const ys = Float32Array.from(pairs, ([, y]) => y);
  const inputs: GpuInputs = { count: xs.length, streams: [xs, ys, xs], scalars: [] };

  const isOrdinary = (x: number): boolean => Math.abs(x) >= 2 ** -126 && Math.abs(x) < 2 ** 128;

  it("stay within their budgets, NaN, infinities and subnormal numbers included", {
    timeout: 120_000,
  }, async () => {
    const rows: Record<string, object> = {};
    const failures: unknown[] = [];
    for (const op of OPS) {
      const kernel = kernelOf(op);
      const [outcome] = await outcomes(kernel, 256, [inputs]);
      const { wrong } = judge(kernel, inputs, outcome!, 256);
      const budget = op in ULP_BUDGET ? ULP_BUDGET[op as keyof typeof ULP_BUDGET] : 0;
      let [largest, at] = [0, ""];
      outcome!.streams[2]!.forEach((got, i) => {
        const [x, y] = [xs[i]!, ys[i]!];
        const exact = EXACT[op](x, y);
        // The operands that an operation does not have are 0 or ordinary in some pair all the same.
        if ([x, y, exact].every(isOrdinary) && Math.abs(y) <= 2 ** 126 && isOrdinary(got)) {
          const error = Math.abs(got - exact) / ulpOf(exact);
          if (error > largest) {
            [largest, at] = [error, `${x}, ${y}`];
          }
        }
      });
      rows[op] = { "budget, ULP": budget, "largest error, ULP": Number(largest.toFixed(3)), at };
      if (wrong.length > 0 || largest > budget) {
        failures.push({ op, largest, at, wrong });
      }
    }
    console.table(rows);
    expect(failures).toEqual([]);
  });
});

describe("draws and bfloat16", () => {
  const random = mulberry32(2);

  it("draws are the bits of `uniformAt`, for many places, keys and streams, over dispatches too", async () => {
    const salts = [...["noise", "mu", "nu"].map(saltOf), 0, 0xffffffff];
    const kernel: Kernel = {
      name: "draws",
      streams: salts.map((_, s) => `u${s}`),
      scalars: [],
      body: salts.map((salt) => ({ op: "random", salt })),
      stores: salts.map((_, s) => ({ stream: s, value: s })),
      reductions: [],
    };
    const places = Array.from({ length: 40 }, (_, i) => ({
      base: [0, 1, 977 * i, 2 ** 31 - 3, 2 ** 32 - 700][i % 5]!,
      key: i < 2 ? [0, 0xffffffff][i]! : keyOf(i, "dense/kernel", i + 1, i % 3),
    }));
    const count = 700;
    const drawn = await page.evaluate(
      ([k, n, where]) => (globalThis as unknown as { adastra: PageApi }).adastra.draws(k, n, where),
      [kernel, count, places] as const,
    );
    places.forEach(({ base, key }, p) => {
      salts.forEach((salt, s) => {
        const want = Array.from({ length: count }, (_, i) =>
          uniformAt((base + i) >>> 0, key, salt),
        );
        expect([...drawn[p]![s]!]).toEqual(want);
      });
    });
    // 65,535 blocks of 4 fill a dispatch: the second goes on where the first ends.
    const one: Kernel = {
      ...kernel,
      streams: ["u"],
      body: [kernel.body[0]!],
      stores: [kernel.stores[0]!],
    };
    const [many] = await outcomes(one, 1, [
      { count: 270_001, streams: [new Float32Array(270_001)], scalars: [] },
    ]);
    expect(many!.streams[0]).toEqual(
      Float32Array.from({ length: 270_001 }, (_, i) =>
        uniformAt(DRAWS.base + i, DRAWS.key, salts[0]!),
      ),
    );
  });

  it("rounds to the bits of `bf16Operations`: edge values, subnormal numbers, ties, random bits", async () => {
    const { nearest, stochastic } = bf16Operations();
    const anyBits = Uint32Array.from({ length: 4000 }, () => random.integer(2 ** 32));
    const ties = Uint32Array.from(
      { length: 1000 },
      (_, i) => (random.integer(2 ** 16) << 16) | [0x8000, 0x7fff, 0x8001, 0xffff, 0][i % 5]!,
    );
    const x = Float32Array.from([
      ...edgeValues("float32"),
      ...new Float32Array(anyBits.buffer),
      ...new Float32Array(ties.buffer),
    ]);
    const shares = [0, -0, 1, 2, -0.5, NaN, Infinity, 1 - 2 ** -24, 2 ** -16, 2 ** -17, 2 ** -149];
    const u = x.map((_, i) =>
      i % 3 === 0 ? shares[random.integer(shares.length)]! : random.next(),
    );
    const kernel: Kernel = {
      name: "rounds",
      streams: ["x", "u", "nearest", "stochastic"],
      scalars: [],
      body: [
        { op: "load", stream: 0 },
        { op: "load", stream: 1 },
        { op: "bf16", a: 0 },
        { op: "bf16Stochastic", a: 0, b: 1 },
      ],
      stores: [
        { stream: 2, value: 2 },
        { stream: 3, value: 3 },
      ],
      reductions: [],
    };
    const [got] = await outcomes(kernel, 256, [
      { count: x.length, streams: [x, u, x, x], scalars: [] },
    ]);
    expect(got!.streams[2]).toEqual(x.map(nearest));
    expect(got!.streams[3]).toEqual(x.map((value, i) => stochastic(value, u[i]!)));
    expect(
      judge(kernel, { count: x.length, streams: [x, u], scalars: [] }, got!, 256).wrong,
    ).toEqual([]);
  });

  it("keeps every one of the 65,536 patterns of bfloat16, packed, where an array starts at either half", async () => {
    const { widen } = bf16Operations();
    const all = Float32Array.from({ length: 65_536 }, (_, half) => widen(half));
    const body: Instruction[] = [
      { op: "load", stream: 0 },
      { op: "load", stream: 1 },
    ];
    const swap: Kernel = {
      name: "swap",
      streams: ["a", "b"],
      bf16: [0, 1],
      scalars: [],
      body,
      stores: [
        { stream: 0, value: 1 },
        { stream: 1, value: 0 },
      ],
      reductions: [],
    };
    const back = all.toReversed();
    for (const [offset, piece] of [
      [0, 65_536],
      [1, 65_536],
      [1, 4093],
    ] as const) {
      const [got] = await outcomes(swap, 256, [
        { count: all.length, streams: [all, back], scalars: [], offset, piece },
      ]);
      expect(got).toEqual({ streams: [back, all], reductions: [], trespass: "none" });
    }
    // More blocks than one dispatch holds, from the upper half of a word on.
    const long = Float32Array.from({ length: 270_003 }, (_, i) => i % 256);
    const [got] = await outcomes(swap, 1, [
      { count: long.length, streams: [long, long.toReversed()], scalars: [], offset: 1 },
    ]);
    expect(got).toEqual({
      streams: [long.toReversed(), long],
      reductions: [],
      trespass: "none",
    });
  });
});

describe("random kernels", () => {
  const number = fc.oneof(
    fc.constantFrom(...edgeValues("float32").map(Math.fround)),
    fc.double({ min: -4, max: 4, noNaN: true }).map(Math.fround),
    fc.float(),
  );
  const kernel = fc.array(fc.nat(), { minLength: 160, maxLength: 160 }).map((choices) => {
    let at = 0;
    return randomKernel((bound) => choices[at++ % choices.length]! % bound, true);
  });
  /** 4 invocations: a block has 16 elements. */
  const workgroupSize = 4;
  const most = 2 * 16 + 1;
  const trial = fc.record({
    kernel,
    streams: fc.array(
      fc
        .array(number, { minLength: most, maxLength: most })
        .map((values) => Float32Array.from(values)),
      { minLength: 4, maxLength: 4 },
    ),
    scalars: fc.array(number, { minLength: 3, maxLength: 3 }),
    offset: fc.nat(7),
    piece: fc.integer({ min: 1, max: most }),
  });

  it("give what is permitted at every length from 0 to 33, at once and in pieces, and touch nothing else", {
    timeout: 120_000,
  }, async () => {
    let [tight, all] = [0, 0];
    await fc.assert(
      fc.asyncProperty(trial, async ({ kernel: k, streams, scalars, offset, piece }) => {
        const given = {
          streams: streams.slice(0, k.streams.length),
          scalars: scalars.slice(0, k.scalars.length),
          offset,
        };
        const lengths = Array.from({ length: most + 1 }, (_, count) => ({ ...given, count }));
        const cases = [...lengths, { ...given, count: most, piece }];
        const results = await outcomes(k, workgroupSize, cases);
        cases.forEach((inputs, i) => {
          const verdict = judge(k, inputs, results[i]!, workgroupSize);
          expect(verdict.wrong).toEqual([]);
          tight += verdict.tight;
          all += verdict.all;
        });
      }),
      { numRuns: 20 },
    );
    // What is permitted is next to everything only where a result overflows or cancels.
    expect(tight / all).toBeGreaterThan(0.7);
  });

  it("loads every stream before it stores, also where two streams are one array", async () => {
    const swap: Kernel = {
      name: "swap",
      streams: ["a", "b", "a again"],
      scalars: [],
      body: [0, 1, 2].map((stream) => ({ op: "load" as const, stream })),
      stores: [
        { stream: 0, value: 1 },
        { stream: 1, value: 2 },
      ],
      reductions: [],
    };
    const numbers = Float32Array.from({ length: 2100 }, (_, i) => i);
    const negatives = numbers.map((x) => -1 - x);
    const [outcome] = await outcomes(swap, 256, [
      { count: 2100, streams: [numbers, negatives, numbers], scalars: [], arrays: [0, 1, 0] },
    ]);
    expect(outcome).toEqual({
      streams: [negatives, numbers, negatives],
      reductions: [],
      trespass: "none",
    });
  });
});

describe("reductions", () => {
  const reduce: Kernel = {
    name: "reduce",
    streams: ["x"],
    scalars: [],
    body: [{ op: "load", stream: 0 }],
    stores: [],
    reductions: [
      { kind: "sum", value: 0 },
      { kind: "max", value: 0 },
    ],
  };
  const reduced = async (x: Float32Array): Promise<readonly number[]> => {
    const inputs = { count: x.length, streams: [x], scalars: [] };
    const [outcome] = await outcomes(reduce, 256, [inputs]);
    return outcome!.reductions;
  };

  it.each([0, 1, 255, 256, 1023, 1024, 1025, 2049, 100_003])(
    "of %d elements are within the stated error, the same in each of three runs",
    async (length) => {
      const random = mulberry32(length);
      const x = Float32Array.from({ length }, () => random.normal());
      const inputs = { count: length, streams: [x], scalars: [] };
      const [first, ...others] = await outcomes(reduce, 256, [inputs, inputs, inputs]);
      const size = x.reduce((sum, value) => sum + Math.abs(value), 0);
      const exact = x.reduce((sum, value) => sum + value, 0);
      // 12 roundings a block, as wgsl.ts states it; the reference's own float64 is far below.
      expect(Math.abs(first!.reductions[0]! - exact)).toBeLessThanOrEqual(12 * 2 ** -23 * size);
      expect(first!.reductions[1]).toBe(
        x.reduce((most, value) => Math.max(most, value), -Infinity),
      );
      expect(others).toEqual([first, first]);
    },
  );

  it("take more blocks than one dispatch holds", async () => {
    // Blocks of 4 elements, at most 65,535 in a dispatch.
    const x = Float32Array.from({ length: 270_001 }, (_, i) => (i % 7) - 3);
    const negate: Kernel = {
      ...reduce,
      body: [...reduce.body, { op: "neg", a: 0 }],
      stores: [{ stream: 0, value: 1 }],
    };
    const [outcome] = await outcomes(negate, 1, [{ count: x.length, streams: [x], scalars: [] }]);
    // Small integers: every sum is exact.
    expect(outcome!.reductions).toEqual([x.reduce((sum, value) => sum + value, 0), 3]);
    expect(outcome!.streams[0]).toEqual(x.map((value) => -value));
    expect(outcome!.trespass).toBe("none");
  });

  it("are NaN where an element is, of either sign and at any place", async () => {
    for (const pattern of [0x7fc00000, 0xffc00000, 0x7f800001]) {
      for (const at of [0, 700, 1024, 2999]) {
        const bits = new Uint32Array(Float32Array.from({ length: 3000 }, (_, i) => i).buffer);
        bits[at] = pattern;
        expect(await reduced(new Float32Array(bits.buffer))).toEqual([NaN, NaN]);
      }
    }
  });

  it("of infinities, of zeros and of nothing are what they are", async () => {
    const fill = (...values: number[]): Float32Array =>
      Float32Array.from({ length: 2000 }, (_, i) => values[i % values.length]!);
    expect(await reduced(fill(1, Infinity))).toEqual([Infinity, Infinity]);
    expect(await reduced(fill(-Infinity, -1))).toEqual([-Infinity, -1]);
    expect(await reduced(fill(-Infinity))).toEqual([-Infinity, -Infinity]);
    expect(await reduced(fill(-Infinity, Infinity))).toEqual([NaN, Infinity]);
    expect(await reduced(fill(-3, -2))).toEqual([-5000, -2]);
    expect(await reduced(fill())).toEqual([NaN, NaN]);
    expect((await reduced(fill(0, -0))).map(Math.abs)).toEqual([0, 0]);
    expect(await reduced(new Float32Array(0))).toEqual([0, -Infinity]);
  });
});

describe("the kernels of", () => {
  it.each([
    ["adam", adam()],
    ["adam with clipping", chain(clipByGlobalNorm(1), adam())],
    ["adashift", adashift({ n: 3 })],
    ["adai", adai()],
    ["fastAdaBelief", fastAdaBelief({ schedule: "constant" })],
    ["cpropAdam", cpropAdam()],
    ["cprop over the normal cdf", cprop(adashift({ n: 3 }), { cdf: "normal" })],
    ["adam with noise", chain(noise({ eta: 0.01 }), adam())],
    ["adam in bfloat16", compress(adam(), { mu: "bf16", nu: "bf16-stochastic" })],
    ["adashift in bfloat16", adashift({ n: 3, history: "bf16" })],
  ])(
    "%s give what is permitted, here the interpreter's bits, a NaN in one gradient included",
    async (_, optimizer) => {
      const random = mulberry32(3);
      const count = 1100;
      const bad = 777;
      for (const pass of plan(toProgram(optimizer), "float32").step.passes) {
        for (const { kernel } of pass.refresh === undefined
          ? [pass.steady]
          : [pass.steady, pass.refresh]) {
          const streams = kernel.streams.map((name) =>
            // Second moments and variances are positive, and so may the others be.
            Float32Array.from(
              { length: count },
              () => Math.abs(0.1 * random.normal()) + (name === "nu" ? 0.1 : 0),
            ),
          );
          const scalars = kernel.scalars.map(() => Math.fround(0.1 + random.next()));
          const clean = { count, streams, scalars };
          const g = kernel.streams.indexOf("g");
          const spoilt = {
            ...clean,
            streams: streams.map((x, s) => (s === g ? x.map((v, i) => (i === bad ? NaN : v)) : x)),
          };
          const [first, second] = await outcomes(kernel, 256, [clean, spoilt]);
          expect(judge(kernel, clean, first!, 256).wrong).toEqual([]);
          expect(judge(kernel, spoilt, second!, 256).wrong).toEqual([]);
          // This adapter rounds to nearest, and no operation is fused or regrouped.
          const reference = bench(evaluateBackend, kernel, "float32", count)(spoilt);
          for (const { stream } of kernel.stores) {
            expect([...second!.streams[stream]!]).toEqual(reference.streams[stream]);
          }
        }
      }
    },
  );
});
