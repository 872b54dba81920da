import { expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { add, mean, mul, neg, square, windowSum } from "../expr/build.ts";
import { evaluateStep, startTensor } from "../expr/evaluate.ts";
import { defineOptimizer, perColumn, toProgram } from "../optimizer.ts";
import { mulberry32 } from "../random.ts";

it.each(["wasm", "js", "evaluate"] as const)(
  "windows beside numbers of columns follow the definition on %s, where a block summed anew begins inside a row",
  (backend) => {
    const optimizer = defineOptimizer("both", { column: perColumn() }, ({ g, column }) => {
      const next = mean(square(g), "column");
      return {
        update: neg(mul(0.1, add(mul(windowSum(g, 0.9, 3), column), next))),
        next: { column: next },
      };
    });
    const shape = [37, 29];
    const random = mulberry32(7);
    const draw = (): Float64Array => Float64Array.from({ length: 37 * 29 }, () => random.normal());
    const start = draw();
    const program = toProgram(optimizer);
    const tensor = startTensor(program, start, { path: "w", shape });
    const params = { w: { shape, data: start } };
    const options = { params, learningRate: 1, backend, dtype: "float64" } as const;
    const compiled = compileOptimizer(optimizer, options);
    // Once around: each step sums one block of 64 anew.
    for (let t = 0; t < 70; t++) {
      const g = draw();
      evaluateStep(program, [tensor], [g], 1);
      compiled.step({ w: g });
    }
    compiled.params.w?.data.forEach((x, i) => {
      // 70 steps of a sum of 37 terms and a window of three, numbers of order 1 to 10.
      expect(Math.abs(x - (tensor.params[i] as number))).toBeLessThan(1e-12);
    });
  },
);
