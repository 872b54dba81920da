import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import {
  abs,
  add,
  delay,
  div,
  gt,
  lerp,
  max,
  maximum,
  mean,
  min,
  mul,
  neg,
  select,
  sqrt,
  square,
  sub,
  sum,
  windowSum,
} from "../expr/build.ts";
import { evaluateStep, startTensor } from "../expr/evaluate.ts";
import { exp, log, tanh } from "../expr/math.ts";
import type { Expr } from "../expr/node.ts";
import { defineOptimizer, type Optimizer, perElement, perTensor, toProgram } from "../optimizer.ts";
import { mulberry32 } from "../random.ts";

/** Programs of every feature: element and tensor state, delays, windows, reductions of both kinds and scopes. */
const program: fc.Arbitrary<Optimizer> = fc
  .array(fc.nat(), { minLength: 120, maxLength: 120 })
  .map((choices) => {
    return defineOptimizer(
      "random",
      { a: perElement(), b: perElement(0.5), s: perTensor(1) },
      ({ g, p, t, lr, a, b, s }) => {
        let at = 0;
        const choose = (bound: number): number =>
          (choices[at++ % choices.length] as number) % bound;
        // Bounded, so that 20 steps stay where relative errors can be compared.
        const bounded = (x: Expr): Expr => min(max(x, -4), 4);
        const number = (depth: number): Expr => {
          const leaves = [g, p, a, b, s, t, add(g, 0.25), mul(p, 0.5)] as const;
          if (depth === 0) {
            return leaves[choose(leaves.length)] as Expr;
          }
          const x = number(depth - 1);
          const next = (): Expr => number(depth - 1);
          switch (choose(16)) {
            case 0:
              return add(x, next());
            case 1:
              return sub(x, next());
            case 2:
              return mul(x, next());
            case 3:
              return div(x, add(abs(next()), 1));
            case 4:
              return min(x, next());
            case 5:
              return max(x, next());
            case 6:
              return sqrt(add(abs(x), 0.5));
            case 7:
              return neg(x);
            case 8:
              // On g alone: a condition of computed values may turn on the last bit.
              return select(gt(g, 0.25), next(), x);
            case 9:
              return delay(mul(x, 1), 1 + choose(4));
            case 10:
              // Over what rewriting moves delays into, too.
              return windowSum(
                [mul(g, 0.5), square(g), mul(g, bounded(p)), delay(g, 2), abs(g)][
                  choose(5)
                ] as Expr,
                0.5,
                2 + choose(4),
              );
            case 11:
              return mean(square(x));
            case 12:
              return div(sum(x, "all"), 100);
            case 13:
              return maximum(x, choose(2) === 0 ? "all" : "tensor");
            case 14:
              return tanh(x);
            default:
              return log(add(exp(neg(abs(x))), 1));
          }
        };
        return {
          update: neg(mul(lr, bounded(number(4)))),
          next: {
            a: lerp(a, bounded(number(3)), 0.25),
            b: bounded(number(2)),
            s: bounded(maximum(number(2))),
          },
        };
      },
    );
  });

const SIZES = [1, 9, 0, 30];

function start(seed: number): Float64Array[] {
  const random = mulberry32(seed);
  return SIZES.map((size) => Float64Array.from({ length: size }, () => random.normal()));
}

function bind(
  optimizer: Optimizer,
  backend: "wasm" | "js" | "evaluate",
  dtype: "float32" | "float64",
) {
  const params = Object.fromEntries(
    start(1).map((data, i) => [`w${i}`, { shape: [data.length], data }]),
  );
  return compileOptimizer(optimizer, { params, learningRate: 0.1, backend, dtype });
}

const gradients = (t: number): Record<string, Float64Array> =>
  Object.fromEntries(start(100 + t).map((data, i) => [`w${i}`, data]));

describe("random programs", () => {
  it("give the same bits on wasm, js and the interpreter in float32, state included", () => {
    fc.assert(
      fc.property(program, (optimizer) => {
        const compiled = (["wasm", "js", "evaluate"] as const).map((backend) =>
          bind(optimizer, backend, "float32"),
        );
        for (let t = 0; t < 8; t++) {
          compiled.forEach((each) => each.step(gradients(t)));
        }
        const [wasm, js, evaluate] = compiled.map((each) => each.save());
        expect(wasm).toEqual(js);
        expect(evaluate).toEqual(js);
      }),
      { numRuns: 60 },
    );
  });

  it("mean in float64 what their definition says", () => {
    fc.assert(
      fc.property(program, (optimizer) => {
        const definition = toProgram(optimizer);
        const tensors = start(1).map((params) => startTensor(definition, params));
        const compiled = bind(optimizer, "js", "float64");
        for (let t = 0; t < 8; t++) {
          const g = gradients(t);
          evaluateStep(definition, tensors, Object.values(g), 0.1);
          compiled.step(g);
          tensors.forEach(({ params }, i) => {
            params.forEach((value, element) => {
              const got = compiled.params[`w${i}`]?.data[element] as number;
              // Sums in another order and windows by recursion: some tens of roundings of values up to 1e3.
              expect(Math.abs(got - value)).toBeLessThanOrEqual(1e-9);
            });
          });
        }
      }),
      { numRuns: 120 },
    );
  });
});
