/** What a device makes of the numbers that WGSL leaves open. */

import type { Kernel } from "../codegen/kernel.ts";
import type { GpuDevice } from "./device.ts";
import { createGpuExecutor } from "./executor.ts";

export interface ArithmeticTraits {
  /** + − × ÷ √ and floor of a NaN are NaN, and ∞ − ∞, 0 · ∞, 0 ÷ 0, √−1 are: a diverging gradient stays visible. */
  readonly nan: boolean;
  /** Overflow and division by 0 give an infinity. */
  readonly infinity: boolean;
  /** Subnormal numbers are kept by + − × ÷, not taken as 0. */
  readonly subnormal: boolean;
}

/** Operands, by the trait that shows in the results. */
const CASES: readonly (readonly [keyof ArithmeticTraits, x: number, y: number])[] = [
  ["nan", NaN, 1],
  ["nan", 1, NaN],
  ["nan", NaN, NaN],
  ["nan", Infinity, Infinity],
  ["nan", 0, Infinity],
  ["nan", 0, 0],
  ["nan", -1, 1],
  ["infinity", 2 ** 127, 2 ** 127],
  ["infinity", -(2 ** 127), 2 ** 127],
  ["infinity", 1, 0],
  ["infinity", Infinity, 2],
  ["subnormal", 2 ** -130, 2 ** -131],
  ["subnormal", 2 ** -130, 1],
  ["subnormal", 2 ** -100, 2 ** 30],
  ["subnormal", 2 ** -65, 2 ** -65],
];

const ZERO = 0;

/** What the probe's kernel stores; the last four a compiler that forgets NaN and infinities would shorten. */
const RESULTS: readonly ((x: number, y: number) => number)[] = [
  (x, y) => x + y,
  (x, y) => x - y,
  (x, y) => x * y,
  (x, y) => x / y,
  (x) => Math.sqrt(x),
  (x) => Math.floor(x),
  (x) => x - x,
  (x) => x * ZERO,
  (x, y) => Math.fround(x - y) + y,
  (x, y) => Math.fround(x * y) / y,
];

function probeKernel(): Kernel {
  const values = [2, 3, 4, 5, 6, 7, 8, 10, 11, 12];
  return {
    name: "probe",
    streams: ["x", "y", ...values.map((value) => `x${value}`)],
    scalars: [],
    body: [
      { op: "load", stream: 0 },
      { op: "load", stream: 1 },
      { op: "add", a: 0, b: 1 },
      { op: "sub", a: 0, b: 1 },
      { op: "mul", a: 0, b: 1 },
      { op: "div", a: 0, b: 1 },
      { op: "sqrt", a: 0 },
      { op: "floor", a: 0 },
      { op: "sub", a: 0, b: 0 },
      { op: "const", value: ZERO },
      { op: "mul", a: 0, b: 9 },
      { op: "add", a: 3, b: 1 },
      { op: "div", a: 4, b: 1 },
    ],
    stores: values.map((value, s) => ({ stream: 2 + s, value })),
    reductions: [],
  };
}

/**
 * Computes with NaN, infinities and subnormal numbers on a device and says which of them it keeps. One kernel;
 * nothing stays allocated.
 *
 * @throws GpuRefusalError and GpuDeviceLostError, as `createGpuExecutor`.
 * @example if (!(await probeArithmetic(device)).nan) { console.warn("NaN may go unnoticed on this GPU"); }
 */
export async function probeArithmetic(device: GpuDevice): Promise<ArithmeticTraits> {
  const kernel = probeKernel();
  const count = CASES.length;
  const executor = await createGpuExecutor(device, {
    kernels: [kernel],
    arenas: [4 * count * kernel.streams.length],
  });
  try {
    executor.write(
      Float32Array.from(CASES, ([, x]) => x),
      0,
    );
    executor.write(
      Float32Array.from(CASES, ([, , y]) => y),
      4 * count,
    );
    const pointers = kernel.streams.map((_, s) => 4 * count * s);
    await executor.run([{ kernel, count, pointers, scalars: [] }]);
    const results = await executor.read(4 * count * 2, RESULTS.length * count);
    const keeps = (trait: keyof ArithmeticTraits, shows: (x: number) => boolean): boolean =>
      CASES.every(([of, x, y], i) =>
        RESULTS.every((result, r) => {
          const expected = Math.fround(result(x, y));
          return of !== trait || !shows(expected) || Object.is(results[r * count + i], expected);
        }),
      );
    return {
      nan: keeps("nan", Number.isNaN),
      infinity: keeps("infinity", (x) => Math.abs(x) === Infinity),
      subnormal: keeps("subnormal", (x) => x !== 0 && Math.abs(x) < 2 ** -126),
    };
  } finally {
    executor.destroy();
  }
}
