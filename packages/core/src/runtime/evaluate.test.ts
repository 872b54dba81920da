import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { add, choose, maximum, mean, mul, neg, square, sub, sum } from "../expr/build.ts";
import {
  type EvaluatedTensor,
  evaluateElements,
  evaluateStep,
  startTensor,
} from "../expr/evaluate.ts";
import type { Expr } from "../expr/node.ts";
import {
  defineOptimizer,
  type NamedInputs,
  type Optimizer,
  perColumn,
  perElement,
  perRow,
  perTensor,
  toProgram,
} from "../optimizer.ts";
import { mulberry32 } from "../random.ts";

/** One leaf beyond what a kernel is warmed up over, several that run together, and one without elements. */
const SHAPES = [[3, 5], [7], [], [41, 53], [8], [0], [6, 4]] as const;

const keeping = (evaluation: (inputs: NamedInputs) => Expr): Optimizer => ({
  ...defineOptimizer(
    "keeping",
    { average: perElement(), row: perRow(), column: perColumn(), whole: perTensor() },
    ({ g, average, p, lr }) => ({
      update: neg(mul(lr, g)),
      next: {
        average: add(mul(0.5, average), mul(0.5, p)),
        row: mean(square(g), "row"),
        column: mean(square(g), "column"),
        whole: mean(square(g)),
      },
    }),
  ),
  evaluation,
});

const of = (inputs: NamedInputs, name: string): Expr => inputs[name] as Expr;

const EVALUATIONS: readonly (readonly [string, Optimizer])[] = [
  ["state of elements", keeping((inputs) => of(inputs, "average"))],
  ["numbers of rows", keeping((inputs) => add(inputs.p, of(inputs, "row")))],
  ["numbers of columns", keeping((inputs) => mul(inputs.p, of(inputs, "column")))],
  [
    "rows, columns and tensors together",
    keeping((inputs) =>
      sub(mul(of(inputs, "row"), of(inputs, "column")), mul(inputs.p, of(inputs, "whole"))),
    ),
  ],
  ["a sum over the tensor", keeping(({ p }) => sub(p, mean(p)))],
  ["sums over rows and columns", keeping(({ p }) => sub(mean(p, "row"), maximum(p, "column")))],
  ["a sum over all tensors", keeping(({ p }) => mul(p, sum(square(p), "all")))],
  [
    "one leaf alone",
    keeping((inputs) =>
      choose({ branch: ({ path }) => (path === "w3" ? 0 : 1) }, [of(inputs, "average"), inputs.p]),
    ),
  ],
];

describe.each(EVALUATIONS)("evaluation by %s", (_, optimizer) => {
  it.each(["wasm", "js", "evaluate"] as const)("follows the definition on %s", (backend) => {
    const program = toProgram(optimizer);
    const random = mulberry32(3);
    const draw = (shape: readonly number[]): Float64Array =>
      Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
    const starts = SHAPES.map(draw);
    const tensors = starts.map(
      (start, i): EvaluatedTensor =>
        startTensor(program, start, { path: `w${i}`, shape: SHAPES[i] ?? [] }),
    );
    const params = Object.fromEntries(
      starts.map((data, i) => [`w${i}`, { shape: SHAPES[i] ?? [], data }]),
    );
    const options = { params, learningRate: 0.1, backend, dtype: "float64" } as const;
    const compiled = compileOptimizer(optimizer, options);
    for (let t = 0; t < 3; t++) {
      const gradients = SHAPES.map(draw);
      evaluateStep(program, tensors, gradients, 0.1);
      compiled.step(Object.fromEntries(gradients.map((g, i) => [`w${i}`, g])));
      const before = JSON.stringify(compiled.save());
      const evaluated = compiled.evaluationParams();
      expect(JSON.stringify(compiled.save())).toBe(before);
      const named = { evaluation: program.evaluation as Expr };
      evaluateElements(program, tensors, gradients, 0.1, named).forEach(
        ({ evaluation = [] }, i) => {
          const data = Array.from(evaluated[`w${i}`]?.data ?? []);
          expect(data).toHaveLength(evaluation.length);
          data.forEach((x, at) => {
            // Sums of up to 2200 terms in another order, of numbers up to some thousands.
            expect(Math.abs(x - (evaluation[at] as number))).toBeLessThan(
              1e-12 * Math.max(1, Math.abs(x)),
            );
          });
        },
      );
    }
  });
});
