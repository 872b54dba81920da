import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { buildSync } from "esbuild";
import fc from "fast-check";
import { afterEach, describe, expect, it, vi } from "vitest";
import { availableBackends, chooseBackend } from "./backends.ts";
import { bench, edgeValues, kernelOf, randomKernel } from "./conformance.ts";
import { bitOperations } from "./format.ts";
import { evaluateBackend } from "./interpreter.ts";
import { jsBackend } from "./js.ts";
import type { DType, Kernel } from "./kernel.ts";
import { foldPartials } from "./kernel.ts";
import { wasmBackend } from "./wasm/backend.ts";

const COMPILED = [jsBackend, wasmBackend];
const BACKENDS = [evaluateBackend, ...COMPILED];
const DTYPES = ["float32", "float64"] as const;

afterEach(() => {
  vi.restoreAllMocks();
});

/** What an operation means, on numbers of the dtype; masks are 1 and 0. */
const MEANING = (dtype: DType) => {
  const round = dtype === "float32" ? Math.fround : (x: number) => x;
  const bias = dtype === "float32" ? 127 : 1023;
  const mask = (truth: boolean) => (truth ? 1 : 0);
  return {
    neg: (x: number) => -x,
    abs: (x: number) => Math.abs(x),
    sqrt: (x: number) => round(Math.sqrt(x)),
    floor: (x: number) => Math.floor(x),
    exponent: (x: number) => {
      const size = Math.abs(x);
      if (size < 2 ** (1 - bias)) {
        return -bias;
      }
      if (!(size < Infinity)) {
        return bias + 1;
      }
      // log2 may round up below a power of 2.
      const near = Math.min(Math.round(Math.log2(size)), bias);
      return size < 2 ** near ? near - 1 : near;
    },
    exp2i: (x: number) => {
      if (!(x > -bias)) {
        return 0;
      }
      const floor = Math.floor(Math.min(x, bias + 1));
      const rest = Math.min(x, bias + 1) - floor;
      const k = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
      return k <= -bias ? 0 : k > bias ? Infinity : 2 ** k;
    },
    add: (x: number, y: number) => round(x + y),
    sub: (x: number, y: number) => round(x - y),
    mul: (x: number, y: number) => round(x * y),
    div: (x: number, y: number) => round(x / y),
    min: (x: number, y: number) => Math.min(x, y),
    max: (x: number, y: number) => Math.max(x, y),
    lt: (x: number, y: number) => mask(x < y),
    le: (x: number, y: number) => mask(x <= y),
    eq: (x: number, y: number) => mask(x === y),
    and: (x: number, y: number) => mask(x < y && x === y),
    or: (x: number, y: number) => mask([x < y, x === y].includes(true)),
    not: (x: number, y: number) => mask(!(x < y)),
    select: (x: number, y: number) => (x < y ? x : y),
  };
};

describe.each(BACKENDS)("backend $name", (backend) => {
  describe.each(DTYPES)("%s", (dtype) => {
    const round = dtype === "float32" ? Math.fround : (x: number) => x;
    const values = edgeValues(dtype).map(round);
    const xs = values.flatMap((x) => values.map(() => x));
    const ys = values.flatMap(() => values);

    it.each(Object.entries(MEANING(dtype)))(
      "%s is exact on every pair of edge values",
      (op, meaning) => {
        // Object.entries forgets that its keys are the operations.
        const kernel = kernelOf(op as Parameters<typeof kernelOf>[0]);
        const { streams } = bench(
          backend,
          kernel,
          dtype,
          xs.length,
        )({
          count: xs.length,
          streams: [xs, ys, xs],
          scalars: [],
        });
        const wrong = xs.flatMap((x, i) => {
          const [got, expected] = [streams[2]?.[i], meaning(x, ys[i] as number)];
          return Object.is(got, expected) ? [] : [{ op, x, y: ys[i], got, expected }];
        });
        expect(wrong).toEqual([]);
      },
    );
  });

  it("rounds scalars and constants to the dtype", () => {
    const kernel: Kernel = {
      name: "rounds",
      streams: ["out", "scalar", "constant"],
      scalars: ["a"],
      body: [
        { op: "scalar", index: 0 },
        { op: "const", value: 0.1 },
      ],
      stores: [
        { stream: 1, value: 0 },
        { stream: 2, value: 1 },
      ],
      reductions: [{ kind: "sum", value: 0 }],
    };
    const run = bench(backend, kernel, "float32", 1);
    const zero = [[0], [0], [0]];
    const { streams, partials } = run({ count: 1, streams: zero, scalars: [0.3] });
    expect(streams).toEqual([[0], [Math.fround(0.3)], [Math.fround(0.1)]]);
    expect(partials[0]).toBe(Math.fround(0.3));
  });

  it.each(DTYPES)("limits %s values to constants of every kind as to values", (dtype) => {
    const values = edgeValues(dtype);
    const round = dtype === "float32" ? Math.fround : (x: number) => x;
    for (const constant of [...values, 1e-60, -1e-60, 1e300, -1e300]) {
      const [c, x] = [
        { op: "const", value: constant } as const,
        { op: "load", stream: 0 } as const,
      ];
      const kernel: Kernel = {
        name: "limits",
        streams: ["x", "min x c", "min c x", "max x c", "max c x"],
        scalars: [],
        body: [
          x,
          c,
          { op: "min", a: 0, b: 1 },
          { op: "min", a: 1, b: 0 },
          { op: "max", a: 0, b: 1 },
          { op: "max", a: 1, b: 0 },
        ],
        stores: [1, 2, 3, 4].map((stream) => ({ stream, value: stream + 1 })),
        reductions: [],
      };
      const run = bench(backend, kernel, dtype, values.length);
      const all = kernel.streams.map(() => values);
      const { streams } = run({ count: values.length, streams: all, scalars: [] });
      const min = values.map((value) => Math.min(round(value), round(constant)));
      const max = values.map((value) => Math.max(round(value), round(constant)));
      expect(streams.slice(1)).toEqual([min, min, max, max]);
    }
  });

  it("loads every stream before it stores, also where two streams are one array", () => {
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
    const numbers = Array.from({ length: 21 }, (_, i) => i);
    const negatives = numbers.map((x) => -1 - x);
    const { streams } = bench(
      backend,
      swap,
      "float32",
      21,
    )({
      count: 21,
      streams: [numbers, negatives, numbers],
      scalars: [],
      arrays: [0, 1, 0],
    });
    expect(streams).toEqual([negatives, numbers, negatives]);
  });

  it("adds element i to partial i mod 8, in float64", () => {
    const kernel: Kernel = {
      name: "sums",
      streams: ["x"],
      scalars: [],
      body: [{ op: "load", stream: 0 }],
      stores: [],
      reductions: [
        { kind: "sum", value: 0 },
        { kind: "max", value: 0 },
      ],
    };
    // 2²⁴ + 1 is not a float32.
    const x = [2 ** 24, 2, 3, 4, 5, 6, 7, 8, 1, 20, -30, NaN];
    const { partials } = bench(
      backend,
      kernel,
      "float32",
      x.length,
    )({
      count: x.length,
      streams: [x],
      scalars: [],
    });
    expect(partials.slice(0, 8)).toEqual([2 ** 24 + 1, 22, -27, NaN, 5, 6, 7, 8]);
    expect(partials.slice(8)).toEqual([2 ** 24, 20, 3, NaN, 5, 6, 7, 8]);
    expect(
      foldPartials("max", Float64Array.from([...partials.slice(0, 3), 0, 5, 6, 7, 8]), 0),
    ).toBe(2 ** 24 + 1);
  });

  it.each(DTYPES)(
    "a NaN of either sign is the largest of %s values, squares and magnitudes",
    (dtype) => {
      const kernel: Kernel = {
        name: "maxima",
        streams: ["x"],
        scalars: [],
        body: [
          { op: "load", stream: 0 },
          { op: "neg", a: 0 },
          { op: "mul", a: 0, b: 0 },
          { op: "mul", a: 1, b: 1 },
          { op: "abs", a: 1 },
        ],
        stores: [],
        reductions: [0, 1, 2, 3, 4].map((value) => ({ kind: "max" as const, value })),
      };
      const x = Array.from({ length: 27 }, (_, i) => (i === 1 || i === 26 ? NaN : 5 - i));
      const run = bench(backend, kernel, dtype, x.length);
      const { partials } = run({ count: x.length, streams: [x], scalars: [] });
      partials.forEach((partial, at) => {
        expect(Number.isNaN(partial)).toBe(at % 8 === 1 || at % 8 === 2);
      });
      // What is left when only zeros of either sign came by.
      const zeros = run({ count: 8, streams: [[0, -0, 0, -0, 0, -0, 0, -0]], scalars: [] });
      expect(zeros.partials.slice(16)).toEqual(Array.from({ length: 24 }, () => 0));
    },
  );

  it("allocates zeroed memory of at least the size asked for, in whole doubles", () => {
    for (const bytes of [0, 1, 100_000]) {
      const { buffer } = backend.allocate(bytes);
      expect(buffer.byteLength).toBeGreaterThanOrEqual(bytes);
      expect(buffer.byteLength % 8).toBe(0);
      expect(new Uint8Array(buffer).every((byte) => byte === 0)).toBe(true);
    }
  });

  it("refuses more than 4 GiB and says what to do", () => {
    expect(() => backend.allocate(2 ** 32 + 1)).toThrow(
      new RangeError(
        "allocate: memory must be available, at most 4 GiB, got a refusal of 4294967297 bytes; free memory or shard the parameters over several optimizers",
      ),
    );
  });
});

/** Numbers of every kind: edges, and ordinary ones. */
const number = (dtype: DType): fc.Arbitrary<number> =>
  fc.oneof(
    fc.constantFrom(...edgeValues(dtype)),
    fc.double({ min: -4, max: 4, noNaN: true }),
    dtype === "float32" ? fc.float() : fc.double(),
  );

const kernel = (dtype: DType): fc.Arbitrary<Kernel> =>
  fc.array(fc.nat(), { minLength: 160, maxLength: 160 }).map((choices) => {
    let at = 0;
    const choose = (bound: number): number => (choices[at++ % choices.length] as number) % bound;
    return randomKernel(choose, dtype === "float32");
  });

const MAX_COUNT = 67;

const inputs = (dtype: DType) =>
  fc.record({
    streams: fc.array(fc.array(number(dtype), { minLength: MAX_COUNT, maxLength: MAX_COUNT }), {
      minLength: 4,
      maxLength: 4,
    }),
    scalars: fc.array(number(dtype), { minLength: 3, maxLength: 3 }),
    offset: fc.nat(7),
  });

describe.each(DTYPES)("random kernels in %s", (dtype) => {
  // As many streams and scalars as the kernel takes.
  const trial = fc.tuple(kernel(dtype), inputs(dtype)).map(([k, { streams, scalars, offset }]) => ({
    kernel: k,
    given: {
      streams: streams.slice(0, k.streams.length),
      scalars: scalars.slice(0, k.scalars.length),
      offset,
    },
  }));

  it("give the same bits on every backend at every length from 0 to 67, and touch nothing else", () => {
    fc.assert(
      fc.property(trial, ({ kernel: k, given }) => {
        const [evaluate, ...compiled] = BACKENDS.map((each) =>
          bench(each, k, dtype, MAX_COUNT + 8),
        );
        for (let count = 0; count <= MAX_COUNT; count++) {
          const expected = evaluate?.({ count, ...given });
          expect(expected?.trespass).toBe("none");
          for (const run of compiled) {
            expect(run({ count, ...given })).toEqual(expected);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it("give the same bits whether run at once or in pieces of a multiple of 8", () => {
    fc.assert(
      fc.property(trial, fc.integer({ min: 1, max: 5 }), ({ kernel: k, given }, eights) => {
        for (const each of BACKENDS) {
          const run = bench(each, k, dtype, MAX_COUNT + 8);
          const whole = { count: MAX_COUNT, ...given };
          expect(run({ ...whole, piece: 8 * eights })).toEqual(run(whole));
        }
      }),
      { numRuns: 60 },
    );
  });
});

it("blocks of the interpreter join without a seam", () => {
  const sum: Kernel = {
    name: "sum",
    streams: ["x"],
    scalars: [],
    body: [
      { op: "load", stream: 0 },
      { op: "mul", a: 0, b: 0 },
    ],
    stores: [{ stream: 0, value: 1 }],
    reductions: [{ kind: "sum", value: 1 }],
  };
  const x = Array.from({ length: 1003 }, (_, i) => Math.sin(i));
  const [first, ...others] = BACKENDS.map((each) =>
    bench(each, sum, "float32", x.length)({ count: x.length, streams: [x], scalars: [] }),
  );
  expect(others).toEqual([first, first]);
});

it("the bit operations agree with powers of 2 over their whole range", () => {
  for (const [dtype, bias] of [
    ["float32", 127],
    ["float64", 1023],
  ] as const) {
    const { exponent, exp2i } = bitOperations(dtype);
    for (let k = 1 - bias; k <= bias; k++) {
      expect(exp2i(k)).toBe(2 ** k);
      expect(exponent(2 ** k)).toBe(k);
    }
  }
});

describe("the wasm backend", () => {
  const negate = kernelOf("neg");

  it("runs its kernels as functions that WebAssembly exports, all of one load from one module", () => {
    const calls: string[] = [];
    const RealInstance = WebAssembly.Instance;
    const instances: WebAssembly.Instance[] = [];
    vi.spyOn(WebAssembly, "Instance").mockImplementation(function instantiate(module, imports) {
      const instance = new RealInstance(module, imports);
      instances.push(instance);
      const spied = Object.entries(instance.exports).map(([name, f]) => [
        name,
        (frame: number) => {
          calls.push(`${name} ${frame}`);
          (f as (frame: number) => void)(frame);
        },
      ]);
      return { exports: Object.fromEntries(spied) } as WebAssembly.Instance;
    });
    const memory = wasmBackend.allocate(4096);
    const [first, second] = wasmBackend.load([negate, negate], "float32", memory, 64);
    const x = new Float32Array(memory.buffer, 1024, 9).fill(3);
    for (const loaded of [first, second]) {
      loaded?.frame.count.fill(9);
      loaded?.frame.pointers.fill(1024);
      loaded?.run();
      loaded?.run();
      loaded?.run();
    }
    expect(x).toEqual(new Float32Array(9).fill(3));
    second?.run();
    expect(x).toEqual(new Float32Array(9).fill(-3));
    expect(instances).toHaveLength(1);
    expect(calls).toEqual([
      "neg 64",
      "neg 64",
      "neg 64",
      "neg_2 80",
      "neg_2 80",
      "neg_2 80",
      "neg_2 80",
    ]);
    // What WebAssembly exports is native code, not a function written in JavaScript.
    const exported = Object.values(instances[0]?.exports ?? {}).map(String);
    expect(exported.every((source) => source.includes("[native code]"))).toBe(true);
  });

  it("takes only memory of WebAssembly", () => {
    expect(() => wasmBackend.load([negate], "float32", jsBackend.allocate(1024), 0)).toThrow(
      new TypeError(
        "load: `memory` must hold a WebAssembly.Memory, got an ArrayBuffer; allocate it with the same backend",
      ),
    );
  });

  it("fixes the size of its memory, so that views on it stay attached", () => {
    const { wasm } = wasmBackend.allocate(70_000);
    expect(wasm?.buffer.byteLength).toBe(131_072);
    expect(() => (wasm as unknown as { grow(pages: number): void }).grow(1)).toThrow(RangeError);
  });
});

describe("chooseBackend", () => {
  it("takes the fastest, or the one asked for", () => {
    expect(chooseBackend("auto")).toBe(wasmBackend);
    expect(availableBackends()).toEqual(["wasm", "js", "evaluate"]);
    for (const backend of BACKENDS) {
      expect(chooseBackend(backend.name)).toBe(backend);
    }
  });

  it("refuses a name it does not know", () => {
    // @ts-expect-error -- a name from untyped code
    expect(() => chooseBackend("webgl")).toThrow(
      new RangeError(
        'chooseBackend: `backend` must be one of "auto", "wasm", "js", "evaluate", got "webgl"',
      ),
    );
  });

  /** What a process prints in which the backends are chosen under restrictions. */
  function restricted(flags: readonly string[], setup: string): Record<string, string> {
    const { outputFiles } = buildSync({
      stdin: {
        contents: `
          import { chooseBackend } from "./backends.ts";
          import { bench, kernelOf } from "./conformance.ts";
          ${setup}
          const result = {};
          for (const name of ["auto", "wasm", "js", "evaluate"]) {
            try {
              const backend = chooseBackend(name);
              const inputs = { count: 9, streams: [Array(9).fill(2), Array(9).fill(5), Array(9).fill(0)], scalars: [] };
              const { streams } = bench(backend, kernelOf("mul"), "float32", 9)(inputs);
              result[name] = backend.name + " " + streams[2];
            } catch (error) {
              result[name] = String(error);
            }
          }
          console.log(JSON.stringify(result));
        `,
        resolveDir: fileURLToPath(new URL(".", import.meta.url)),
      },
      bundle: true,
      write: false,
      format: "esm",
    });
    const { stdout, stderr } = spawnSync(process.execPath, [...flags, "--input-type=module", "-"], {
      input: outputFiles[0]?.text ?? "",
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    return JSON.parse(stdout) as Record<string, string>;
  }
  const tens = Array.from({ length: 9 }, () => 10).join();

  it("does without generated JavaScript where a policy forbids it", () => {
    expect(restricted(["--disallow-code-generation-from-strings"], "")).toEqual({
      auto: `wasm ${tens}`,
      wasm: `wasm ${tens}`,
      js: 'RangeError: chooseBackend: backend "js" must run here, got Code generation from strings disallowed for this context; pass "auto" to fall back',
      evaluate: `evaluate ${tens}`,
    });
  });

  it("takes generated JavaScript where WebAssembly may not be compiled", () => {
    const refuse =
      'WebAssembly.Module = class { constructor() { throw new Error("refused by policy"); } };';
    expect(restricted([], refuse)).toEqual({
      auto: `js ${tens}`,
      wasm: 'RangeError: chooseBackend: backend "wasm" must run here, got refused by policy; pass "auto" to fall back',
      js: `js ${tens}`,
      evaluate: `evaluate ${tens}`,
    });
  });

  it("interprets where neither is allowed", () => {
    expect(
      restricted(["--disallow-code-generation-from-strings"], "delete globalThis.WebAssembly;"),
    ).toMatchObject({ auto: `evaluate ${tens}`, evaluate: `evaluate ${tens}` });
  });
});
