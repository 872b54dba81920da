import { describe, expect, it } from "vitest";
import { bf16Operations } from "../expr/bf16.ts";
import { keyOf, saltOf, uniformAt } from "../expr/draw.ts";
import { mulberry32 } from "../random.ts";
import { edgeValues } from "./conformance.ts";
import { evaluateBackend } from "./interpreter.ts";
import { jsBackend } from "./js.ts";
import type { Backend, DType, Kernel } from "./kernel.ts";
import { frameBytes } from "./kernel.ts";
import { wasmBackend } from "./wasm/backend.ts";

const BACKENDS = [evaluateBackend, jsBackend, wasmBackend];
const LENGTHS = Array.from({ length: 68 }, (_, length) => length);

/** A kernel over one memory: data from byte 4096, bytes 2 apart from the others for the bfloat16. */
function run(
  backend: Backend,
  kernel: Kernel,
  dtype: DType,
  count: number,
  fill: (buffer: ArrayBuffer) => readonly number[],
  base = 0,
  key = 0,
): ArrayBuffer {
  const memory = backend.allocate(1 << 16);
  const [loaded] = backend.load([kernel], dtype, memory, 64);
  expect(frameBytes([kernel])).toBeLessThan(4000);
  const pointers = fill(memory.buffer);
  loaded?.frame.count.fill(count);
  loaded?.frame.pointers.set(pointers);
  loaded?.frame.base.fill(base);
  loaded?.frame.key.fill(key);
  loaded?.run();
  return memory.buffer.slice(4096);
}

describe.each(BACKENDS)("on backend $name", (backend) => {
  it.each(["float32", "float64"] as const)(
    "draws of %s kernels are those of `uniformAt`, wherever the run starts",
    (dtype) => {
      const salts = [saltOf("a"), saltOf("b")];
      const kernel: Kernel = {
        name: "draws",
        streams: ["a", "b"],
        scalars: ["s"],
        body: salts.map((salt) => ({ op: "random", salt })),
        stores: [
          { stream: 0, value: 0 },
          { stream: 1, value: 1 },
        ],
        reductions: [{ kind: "sum", value: 0 }],
      };
      const [array, width] =
        dtype === "float32" ? ([Float32Array, 4] as const) : ([Float64Array, 8] as const);
      for (const count of LENGTHS) {
        const [base, key] = [count * 977, 0xfedcba98];
        const at = 4096 + 80 * width;
        const buffer = run(backend, kernel, dtype, count, () => [4096, at], base, key);
        salts.forEach((salt, stream) => {
          const got = new array(buffer, stream * 80 * width, 80);
          const drawn = LENGTHS.slice(0, count).map((i) => uniformAt(base + i, key, salt));
          // What is drawn has 24 bits: no rounding in either dtype.
          expect([...got.subarray(0, count)]).toEqual(drawn);
          expect(got.subarray(count).every((x) => x === 0)).toBe(true);
        });
      }
    },
  );

  it("rounds to bfloat16 as `bf16Operations` does, edge values and random bits alike", () => {
    const { nearest, stochastic } = bf16Operations();
    const random = mulberry32(1);
    const bits = new Uint32Array(4000).map(() => random.integer(2 ** 32));
    const xs = [...edgeValues("float32"), ...new Float32Array(bits.buffer)].map(Math.fround);
    const us = xs.map((_, i) => [random.next(), 0, 1, -0.5, NaN, 1 - 2 ** -24, Infinity][i % 7]);
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
    const stride = 4 * 5000;
    const memory = backend.allocate(4096 + 4 * stride);
    const [loaded] = backend.load([kernel], "float32", memory, 64);
    const places = [0, 1, 2, 3].map((s) => 4096 + s * stride);
    const view = (s: number) => new Float32Array(memory.buffer, places[s], xs.length);
    view(0).set(xs);
    view(1).set(us as number[]);
    loaded?.frame.count.fill(xs.length);
    loaded?.frame.pointers.set(places);
    loaded?.run();
    const given = [...view(1)];
    expect([...view(2)]).toEqual(xs.map(nearest));
    expect([...view(3)]).toEqual(xs.map((x, i) => stochastic(x, given[i] as number)));
  });

  it("keeps bfloat16 streams in two bytes, at every length, and touches nothing else", () => {
    const kernel: Kernel = {
      name: "swap",
      streams: ["a", "b", "x"],
      scalars: [],
      body: [
        { op: "load", stream: 0 },
        { op: "load", stream: 1 },
        { op: "load", stream: 2 },
        { op: "bf16", a: 2 },
      ],
      stores: [
        { stream: 0, value: 1 },
        { stream: 1, value: 3 },
        { stream: 2, value: 0 },
      ],
      reductions: [],
      bf16: [0, 1],
    };
    const { widen, nearest, upper } = bf16Operations();
    const x = Float32Array.from(LENGTHS, (i) => [NaN, -Infinity, 1e-40, 3.4e38][i] ?? Math.sin(i));
    for (const count of LENGTHS) {
      // An odd number of bfloat16 before `b`: aligned to 2 bytes and no more.
      const buffer = run(backend, kernel, "float32", count, (memory) => {
        new Uint16Array(memory, 4096, 300).forEach((_, i, all) => {
          all[i] = i === 7 ? 0x7fc0 : 0x4000 + i;
        });
        new Float32Array(memory, 4096 + 1024, 68).set(x);
        return [4096, 4096 + 2 * 101, 4096 + 1024];
      });
      const before = Uint16Array.from({ length: 300 }, (_, i) => (i === 7 ? 0x7fc0 : 0x4000 + i));
      const expected = before.slice();
      expected.set(before.subarray(101, 101 + count), 0);
      expected.set(
        Array.from(x.subarray(0, count), (value) => upper(nearest(value))),
        101,
      );
      expect(new Uint16Array(buffer, 0, 300)).toEqual(expected);
      const widened = x.slice();
      widened.set(Array.from(before.subarray(0, count), widen));
      expect(new Float32Array(buffer, 1024, 68)).toEqual(widened);
    }
  });
});

describe("draws", () => {
  const N = 1 << 16;
  const draws = (key: number, salt: number) =>
    Array.from({ length: N }, (_, i) => uniformAt(i, key, salt));
  /** Sum of squared deviations over expectations, in as many cells as `cell` tells apart. */
  const chiSquare = (cells: number, counted: readonly number[]): number => {
    const expected = counted.length / cells;
    const counts = new Float64Array(cells);
    for (const cell of counted) {
      counts[cell] = (counts[cell] as number) + 1;
    }
    return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
  };
  const cell = (u: number, cells: number) => Math.floor(u * cells);
  const first = keyOf(0, "dense1/kernel", 1, 0);

  // χ² of k cells has mean k − 1 and deviation √(2(k − 1)); five of those leave one false alarm in a million.
  const bound = (cells: number) => cells - 1 + 5 * Math.sqrt(2 * (cells - 1));
  const least = (cells: number) => cells - 1 - 5 * Math.sqrt(2 * (cells - 1));

  it.each([
    ["an element and the next", (u: number[], i: number) => u[(i + 1) % N]],
    ["elements a row of 256 apart", (u: number[], i: number) => u[(i + 256) % N]],
    [
      "a step and the next",
      (_: number[], i: number) => uniformAt(i, keyOf(0, "dense1/kernel", 2, 0), saltOf("a")),
    ],
    ["two streams", (_: number[], i: number) => uniformAt(i, first, saltOf("b"))],
    [
      "two leaves",
      (_: number[], i: number) => uniformAt(i, keyOf(0, "dense2/kernel", 1, 0), saltOf("a")),
    ],
    [
      "two seeds",
      (_: number[], i: number) => uniformAt(i, keyOf(1, "dense1/kernel", 1, 0), saltOf("a")),
    ],
    [
      "a call and the one before it",
      (_: number[], i: number) => uniformAt(i, keyOf(0, "dense1/kernel", 1, 1), saltOf("a")),
    ],
  ])("fill 256 cells evenly, and 32 x 32 with those of %s", (_, other) => {
    const u = draws(first, saltOf("a"));
    const pairs = u.map((x, i) => [x, other(u, i) as number] as const);
    for (const [cells, counted] of [
      [256, u.map((x) => cell(x, 256))],
      [1024, pairs.map(([x, y]) => 32 * cell(x, 32) + cell(y, 32))],
      // The lowest ten of the 24 bits.
      [1024, u.map((x) => (x * 2 ** 24) % 1024)],
    ] as const) {
      expect(chiSquare(cells, counted)).toBeLessThan(bound(cells));
      expect(chiSquare(cells, counted)).toBeGreaterThan(least(cells));
    }
    const correlation = pairs.reduce((sum, [x, y]) => sum + (x - 0.5) * (y - 0.5), 0) / (N / 12);
    // Of independent draws it has deviation 1/√N.
    expect(Math.abs(correlation)).toBeLessThan(5 / Math.sqrt(N));
  });

  it("are independent of each other over steps, for one element", () => {
    const u = Array.from({ length: N }, (_, t) => uniformAt(5, keyOf(3, "w", t, 0), saltOf("a")));
    expect(
      chiSquare(
        1024,
        u.slice(1).map((x, t) => 32 * cell(x, 32) + cell(u[t] as number, 32)),
      ),
    ).toBeLessThan(bound(1024));
  });
});
