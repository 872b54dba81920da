import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { evaluateStep, startTensor } from "../expr/evaluate.ts";
import { toProgram } from "../optimizer.ts";
import { mulberry32 } from "../random.ts";
import { sizeOf } from "../tree.ts";
import { adafactor } from "./adafactor.ts";

/** Matrices of every kind: a row, a column, nothing, sides around the eight lanes, three and four axes; and vectors. */
const SHAPES: readonly (readonly number[])[] = [
  [1, 7],
  [7, 1],
  [0, 3],
  [3, 0],
  [1, 1],
  [9, 17],
  [16, 8],
  [2, 3, 4],
  [2, 1, 3, 5],
  [],
  [0],
  [5],
];

const VARIANTS = {
  torch: adafactor({ weightDecay: 1e-3 }),
  optax: adafactor({ convention: "optax", minFactored: 2 }),
  "with momentum": adafactor({ momentum: 0.9, relativeStep: false, clippingThreshold: 0.5 }),
  "from sides of four on": adafactor({ minFactored: 4, scaleByParameter: false }),
  "that clips nothing": adafactor({ clippingThreshold: Number.POSITIVE_INFINITY }),
};

type Backend = "wasm" | "js" | "evaluate";

const draw = (random: ReturnType<typeof mulberry32>, shape: readonly number[]): Float64Array =>
  Float64Array.from({ length: sizeOf(shape) }, () => random.normal());

function start(
  optimizer: ReturnType<typeof adafactor>,
  backend: Backend,
  dtype: "float32" | "float64",
) {
  const random = mulberry32(4);
  const params = Object.fromEntries(
    SHAPES.map((shape, i) => [`w${i}`, { shape, data: draw(random, shape) }]),
  );
  const compiled = compileOptimizer(optimizer, { params, learningRate: 0.05, backend, dtype });
  const advance = (steps: number): void => {
    for (let t = 0; t < steps; t++) {
      const gradients = SHAPES.map((shape, i) => [`w${i}`, draw(random, shape)] as const);
      // Every third step without the leaves of odd number.
      compiled.step(Object.fromEntries(gradients.filter((_, i) => t % 3 < 2 || i % 2 === 0)));
    }
  };
  return { compiled, advance };
}

describe.each(Object.entries(VARIANTS))("adafactor %s", (_, optimizer) => {
  it.each(["float32", "float64"] as const)(
    "is the same, bit for bit, on every backend, whatever the shape, in %s",
    (dtype) => {
      const [wasm, js, evaluate] = (["wasm", "js", "evaluate"] as const).map((backend) => {
        const { compiled, advance } = start(optimizer, backend, dtype);
        advance(20);
        return compiled.save();
      });
      expect(wasm).toEqual(js);
      expect(evaluate).toEqual(js);
    },
  );

  it("follows the program's definition in float64, whatever the shape", () => {
    const program = toProgram(optimizer);
    const random = mulberry32(8);
    const starts = SHAPES.map((shape) => draw(random, shape));
    const tensors = starts.map((data, i) =>
      startTensor(program, data, { path: `w${i}`, shape: SHAPES[i] as readonly number[] }),
    );
    const compiled = compileOptimizer(optimizer, {
      params: Object.fromEntries(
        starts.map((data, i) => [`w${i}`, { shape: SHAPES[i] as readonly number[], data }]),
      ),
      learningRate: 0.05,
      dtype: "float64",
    });
    for (let t = 0; t < 30; t++) {
      const gradients = SHAPES.map((shape) => draw(random, shape));
      evaluateStep(program, tensors, gradients, 0.05);
      compiled.step(Object.fromEntries(gradients.map((g, i) => [`w${i}`, g])));
    }
    tensors.forEach(({ params }, i) => {
      params.forEach((value, element) => {
        const own = compiled.params[`w${i}`]?.data[element] as number;
        // Sums in another order: rounding of 30 steps, no more.
        expect(Math.abs(own - value)).toBeLessThan(1e-12 * Math.max(1, Math.abs(value)));
      });
    });
  });

  it("continues bit for bit from saved state", () => {
    for (const backend of ["js", "wasm"] as const) {
      const whole = start(optimizer, backend, "float32");
      whole.advance(21);
      const { compiled: first, advance } = start(optimizer, backend, "float32");
      advance(9);
      const second = start(optimizer, backend, "float32");
      second.advance(9); // Brings its gradients to the same place.
      second.compiled.load(first.save());
      second.advance(12);
      expect(second.compiled.save()).toEqual(whole.compiled.save());
    }
  });
});

describe("adafactor", () => {
  const bytes = (shape: readonly number[], options = {}): number =>
    compileOptimizer(adafactor(options), {
      params: { w: { shape, data: new Float32Array(sizeOf(shape)) } },
      learningRate: 0.1,
    }).stateBytes * sizeOf(shape);

  it("keeps 8 bytes a row and a column of a matrix, 4 an element of other leaves", () => {
    expect(bytes([256, 512])).toBeCloseTo(8 * (256 + 512), 6); // a division and a product
    expect(bytes([4, 8, 16])).toBeCloseTo(8 * (32 + 16), 6);
    expect(bytes([300])).toBe(4 * 300);
    expect(bytes([100, 100], { convention: "optax" })).toBe(4 * 100 * 100);
    expect(bytes([128, 128], { convention: "optax" })).toBeCloseTo(8 * 256, 6);
    expect(bytes([16, 16], { momentum: 0.9 })).toBeCloseTo(8 * 32 + 4 * 256, 6);
  });

  it("two steps of a matrix by hand", () => {
    // G = [[1, 2], [2, 4]] has rank one, so V̂ = G² exactly: U is a matrix of ones, RMS 1, and the step min(α, 1) max(ε₂, RMS(p)).
    const w = { shape: [2, 2], data: Float64Array.of(2, -2, 2, -2) };
    const compiled = compileOptimizer(adafactor(), {
      params: { w },
      learningRate: 0.25,
      dtype: "float64",
    });
    compiled.step({ w: Float64Array.of(1, 2, 2, 4) });
    const after = Array.from(compiled.params.w?.data ?? []);
    // Roundings of numbers near 2.
    for (const [i, expected] of [1.5, -2.5, 1.5, -2.5].entries()) {
      expect(after[i]).toBeCloseTo(expected, 14);
    }
    // The averages move to three times G² by 2^-0.8.
    compiled.step({ w: Float64Array.of(1, 2, 2, 4).map((x) => x * Math.sqrt(3)) });
    const grown = 1 + 2 * 2 ** -0.8;
    const rms = Math.sqrt((1.5 ** 2 + 2.5 ** 2) / 2);
    const u = Math.sqrt(3 / grown);
    const step = (rms * 0.25 * u) / Math.max(1, u);
    expect(compiled.params.w?.data[0]).toBeCloseTo(1.5 - step, 14);
    expect(compiled.params.w?.data[3]).toBeCloseTo(-2.5 - step, 14);
  });

  it("brings a quadratic of a matrix down", () => {
    const w = { shape: [6, 4], data: draw(mulberry32(2), [6, 4]) };
    const compiled = compileOptimizer(adafactor(), { params: { w }, learningRate: 0.05 });
    for (let t = 0; t < 400; t++) {
      const { data } = compiled.params.w as { data: Float32Array };
      compiled.step({ w: data.map((x, i) => x * (1 + (i % 5))) });
    }
    // From about 24 · 0.5 · 3: steps relative to the parameter itself, 400 of at most 1/√t.
    const loss = Array.from(compiled.params.w?.data ?? [Number.NaN]).reduce(
      (sum, x, i) => sum + 0.5 * (1 + (i % 5)) * x * x,
      0,
    );
    expect(loss).toBeLessThan(0.05);
  });

  it("takes no step on gradients that are zero from the start", () => {
    for (const convention of ["torch", "optax"] as const) {
      const w = { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) };
      const compiled = compileOptimizer(adafactor({ convention, minFactored: 1 }), {
        params: { w },
        learningRate: 0.1,
      });
      compiled.step({ w: new Float32Array(4) });
      expect(Array.from(compiled.params.w?.data ?? [])).toEqual([1, 2, 3, 4]);
    }
  });

  it.each([
    [{ convention: "paper" }, '`convention` must be one of "torch", "optax", got "paper"'],
    [{ decay: 0 }, "`decay` must be finite and greater than 0, got 0"],
    [{ eps: 0 }, "`eps` must be finite and greater than 0, got 0"],
    [{ minScale: -1 }, "`minScale` must be finite and at least 0, got -1"],
    [{ clippingThreshold: Number.NaN }, "`clippingThreshold` must be greater than 0, got NaN"],
    [{ scaleByParameter: 1 }, "`scaleByParameter` must be true or false, got 1"],
    [{ relativeStep: "no" }, '`relativeStep` must be true or false, got "no"'],
    [{ momentum: 1 }, "`momentum` must be in [0, 1), got 1"],
    [{ minFactored: 0 }, "`minFactored` must be an integer of at least 1, got 0"],
    [{ weightDecay: -1 }, "`weightDecay` must be finite and at least 0, got -1"],
  ])("refuses %j by name", (options, message) => {
    expect(() => adafactor(options as Parameters<typeof adafactor>[0])).toThrow(
      new RangeError(`adafactor: ${message}`),
    );
  });
});
