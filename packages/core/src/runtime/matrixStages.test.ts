import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { add, delay, mul, neg, sum } from "../expr/build.ts";
import { evaluateStep, startTensor } from "../expr/evaluate.ts";
import { newtonSchulz } from "../expr/newtonSchulz.ts";
import type { NewtonSchulz } from "../expr/node.ts";
import { defineOptimizer, type Optimizer, perElement, toProgram } from "../optimizer.ts";
import { mulberry32 } from "../random.ts";

const FIVE: NewtonSchulz = Array.from({ length: 5 }, () => [3.4445, -4.775, 2.0315] as const);
/** Converges to singular values of 1. */
const CUBIC: NewtonSchulz = Array.from({ length: 30 }, () => [1.5, -0.5, 0] as const);

/** The parameter becomes what the stage makes of the gradient. */
const orthogonalised = (coefficients: NewtonSchulz): Optimizer =>
  defineOptimizer("orthogonalised", {}, ({ g }) => {
    const x = newtonSchulz(g, coefficients);
    return { update: x, params: x, next: {} };
  });

/** Sizes on both sides of a tile of 4 rows and 4 terms, and of a block of 256 columns. */
const shapes = fc
  .tuple(
    fc.integer({ min: 1, max: 21 }),
    fc.oneof(fc.integer({ min: 1, max: 21 }), fc.integer({ min: 250, max: 270 })),
  )
  .chain(([a, b]) => fc.constantFrom([a, b], [b, a]));

describe("matrix stages", () => {
  it("are the same, bit for bit, on wasm, js and the interpreter", () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 0, max: 1000 }), (shape, seed) => {
        const start = scaled(draw(shape, seed), 0.5);
        const [wasm, js, evaluate] = (["wasm", "js", "evaluate"] as const).map((backend) =>
          Array.from(run(orthogonalised(FIVE), shape, start, { backend })),
        );
        expect(wasm).toEqual(js);
        expect(evaluate).toEqual(js);
      }),
      { numRuns: 30 },
    );
  });

  it("follow the definition in float64, and in float32 as far as its rounding goes", () => {
    fc.assert(
      fc.property(shapes, fc.integer({ min: 0, max: 1000 }), (shape, seed) => {
        const start = scaled(draw(shape, seed), 0.5);
        const program = toProgram(orthogonalised(FIVE));
        const tensor = startTensor(program, start, { path: "w", shape });
        evaluateStep(program, [tensor], [start], 1);
        for (const [dtype, unit] of [
          ["float64", 2 ** -53],
          ["float32", 2 ** -24],
        ] as const) {
          const got = run(orthogonalised(FIVE), shape, start, { dtype });
          // The steepest slope of five iterations is 3.4445⁵ = 485; sums of up to 270 terms of size below 1 are rounded before it.
          const bound = 485 * 270 * unit;
          expect(
            Math.max(...got.map((x, i) => Math.abs(x - (tensor.params[i] as number)))),
          ).toBeLessThan(bound);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("brings singular values to 1 where the polynomial's fixed point is 1", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 12 }),
        fc.boolean(),
        fc.integer({ min: 0, max: 1000 }),
        (short, more, tall, seed) => {
          // Far from square, or singular values near 0 would take more iterations than these.
          const long = 2 * short + more;
          const shape = tall ? [long, short] : [short, long];
          const got = run(orthogonalised(CUBIC), shape, scaled(draw(shape, seed), 1), {
            dtype: "float64",
          });
          const at = (i: number, j: number): number =>
            got[tall ? j * short + i : i * long + j] as number;
          for (let a = 0; a < short; a++) {
            for (let b = 0; b < short; b++) {
              const product = Array.from({ length: long }, (_, k) => at(a, k) * at(b, k));
              // Converged quadratically: what is left is the rounding of a sum of up to 36 terms.
              expect(product.reduce((s, x) => s + x)).toBeCloseTo(a === b ? 1 : 0, 12);
            }
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it("leave gradients, other leaves and state as they were", () => {
    const kept = defineOptimizer("kept", { before: perElement() }, ({ g, p, before }) => ({
      update: neg(newtonSchulz(g, FIVE)),
      next: { before: add(before, p) },
    }));
    const params = { a: leaf([3, 7], 1), b: leaf([7, 3], 2), c: leaf([5], 3) };
    const compiled = compileOptimizer(kept, { params, learningRate: 1 });
    const gradient = { b: scaled(draw([7, 3], 4), 0.5) };
    compiled.step(gradient);
    expect(compiled.params.a?.data).toEqual(params.a.data);
    expect(compiled.params.c?.data).toEqual(params.c.data);
    expect(Array.from(compiled.gradients.b?.data ?? [])).toEqual(
      Array.from(Float32Array.from(gradient.b)),
    );
    expect(compiled.save().leaves.b?.arrays.before?.[0]).toEqual(params.b.data);
    // No matrix is kept between steps.
    expect(Object.keys(compiled.save().leaves.b?.arrays ?? {})).toEqual(["before"]);
    expect(compiled.stateBytes).toBe(4);
  });

  it("follow each other, feed reductions and are looked back at", () => {
    const twice = defineOptimizer("twice", {}, ({ g }) => {
      const first = newtonSchulz(mul(g, 0.3), FIVE);
      const second = newtonSchulz(mul(first, 0.5), FIVE);
      const size = sum(mul(second, g), "all");
      return { update: neg(mul(size, add(first, delay(second, 2)))), next: {} };
    });
    const shape = [5, 9];
    const program = toProgram(twice);
    const starts = [draw(shape, 1), draw([6, 2], 2)];
    const infos = [shape, [6, 2]].map((each, i) => ({ path: `w${i}`, shape: each }));
    const tensors = starts.map((start, i) => startTensor(program, start, infos[i]));
    const params = Object.fromEntries(
      starts.map((data, i) => [`w${i}`, { shape: infos[i]?.shape ?? [], data }]),
    );
    const compiled = compileOptimizer(twice, { params, learningRate: 1, dtype: "float64" });
    for (let t = 0; t < 5; t++) {
      const gradients = infos.map((info, i) => scaled(draw(info.shape, 10 * t + i), 0.9));
      evaluateStep(program, tensors, gradients, 1);
      compiled.step(Object.fromEntries(gradients.map((g, i) => [`w${i}`, g])));
    }
    tensors.forEach((tensor, i) => {
      compiled.params[`w${i}`]?.data.forEach((x, at) => {
        // Two stages of slope 485 after another, on numbers of order 1.
        expect(Math.abs(x - (tensor.params[at] as number))).toBeLessThan(485 * 485 * 1e-15);
      });
    });
  });

  it("make zero of zero, and nothing but NaN of a matrix with a NaN in it", () => {
    expect(run(orthogonalised(FIVE), [3, 4], new Float64Array(12), {})).toEqual(
      new Float32Array(12),
    );
    const broken = draw([3, 4], 1);
    broken[5] = Number.NaN;
    expect(Array.from(run(orthogonalised(FIVE), [3, 4], broken, {})).every(Number.isNaN)).toBe(
      true,
    );
  });

  it("are refused where they make no sense", () => {
    const params = { w: leaf([2, 2], 1) };
    expect(() =>
      compileOptimizer(orthogonalised([[1, 2, Number.NaN]]), { params, learningRate: 1 }),
    ).toThrow(
      'verifyProgram: in "orthogonalised", coefficients of `newtonSchulz` must be three numbers an iteration, got [[1,2,null]]',
    );
    const evaluated: Optimizer = {
      ...orthogonalised(FIVE),
      evaluation: ({ p }) => newtonSchulz(p, FIVE),
    };
    expect(() => compileOptimizer(evaluated, { params, learningRate: 1 })).toThrow(
      'verifyProgram: in "orthogonalised", the parameter to evaluate with must need no matrix product, got one in it',
    );
  });
});

function run(
  optimizer: Optimizer,
  shape: readonly number[],
  gradient: Float64Array,
  options: { backend?: "wasm" | "js" | "evaluate"; dtype?: "float32" | "float64" },
): Float32Array | Float64Array {
  const params = { w: { shape, data: gradient } };
  const compiled = compileOptimizer(optimizer, { params, learningRate: 1, ...options });
  compiled.step({ w: gradient });
  return (compiled.params.w?.data ?? new Float32Array()).slice() as Float32Array;
}

function draw(shape: readonly number[], seed: number): Float64Array {
  const random = mulberry32(seed);
  return Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
}

/** The matrix divided such that its norm is `norm`. */
function scaled(x: Float64Array, norm: number): Float64Array {
  const length = Math.hypot(...x);
  return x.map((value) => (value / length) * norm);
}

function leaf(shape: readonly number[], seed: number) {
  return { shape, data: Float32Array.from(draw(shape, seed)) };
}
