/** The optimizers that run on a device in the tests, built alike in the page and beside it. */

import {
  adai,
  adam,
  adamw,
  adashift,
  add,
  byLeaf,
  chain,
  clipByGlobalNorm,
  cpropAdam,
  defineOptimizer,
  div,
  fastAdaBelief,
  lerp,
  maximum,
  mul,
  neg,
  type Optimizer,
  perColumn,
  perElement,
  perRow,
  sgd,
  sqrt,
  square,
  sum,
  windowSum,
} from "../../packages/core/src/index.ts";
import { mulberry32 } from "../../packages/core/src/random.ts";

/** Rows, columns, a leaf that runs another program, and parameters to evaluate with that are an average. */
const rowsAndColumns = (): Optimizer => ({
  ...defineOptimizer(
    "rowsAndColumns",
    { r: perRow(), c: perColumn(), average: perElement("params") },
    ({ g, p, r, c, average, lr }) => {
      const row = lerp(r, sum(square(g), "row"), 0.5);
      const column = lerp(c, maximum(square(g), "column"), 0.5);
      const scaled = div(g, sqrt(mul(mul(row, column), 1)));
      const update = neg(
        mul(
          lr,
          byLeaf(({ shape }) => shape.length >= 2, scaled, g),
        ),
      );
      return { update, next: { r: row, c: column, average: lerp(average, p, 0.1) } };
    },
  ),
  evaluation: ({ average, p }) => lerp(average as typeof p, p, 0.25),
});

/** Windows, whose blocks begin inside rows, beside numbers of columns, which evaluation reads too. */
const windowsAndColumns = (): Optimizer => ({
  ...defineOptimizer("windowsAndColumns", { c: perColumn() }, ({ g, c, lr }) => {
    const column = lerp(c, maximum(square(g), "column"), 0.5);
    return {
      update: neg(mul(lr, div(windowSum(g, 0.5, 3), add(1, column)))),
      next: { c: column },
    };
  }),
  evaluation: ({ c, p }) => add(p, mul(0.1, c as typeof p)),
});

export const OPTIMIZERS: Readonly<Record<string, () => Optimizer>> = {
  momentum: () => sgd({ momentum: 0.9 }),
  adam: () => adam(),
  adamw: () => adamw(),
  adashift: () => adashift({ n: 3 }),
  "adashift none": () => adashift({ n: 3, phi: "none" }),
  adai: () => adai(),
  "clip+adam": () => chain(clipByGlobalNorm(1), adam()),
  cpropAdam: () => cpropAdam(),
  // Parameters of norm 19 start outside, and stay on the sphere.
  "fastAdaBelief ball": () => fastAdaBelief({ ball: 10, schedule: "constant" }),
  "fastAdaBelief ball a tensor": () =>
    fastAdaBelief({ ball: 5, ballOver: "tensor", schedule: "constant" }),
  rowsAndColumns,
  windowsAndColumns,
};

/** Of draws. */
export const SEED = 7;

const SHAPES = { kernel: [7, 45], bias: [45], scalar: [] } as const;

/** Parameters, and the gradients of so many steps. */
export function problem(steps: number) {
  const random = mulberry32(9);
  const draw = (): Record<keyof typeof SHAPES, Float32Array> => ({
    kernel: Float32Array.from({ length: 7 * 45 }, () => random.normal()),
    bias: Float32Array.from({ length: 45 }, () => random.normal()),
    scalar: Float32Array.of(random.normal()),
  });
  const start = draw();
  const params = Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape]) => [
      path,
      { shape: [...shape], data: start[path as keyof typeof SHAPES] },
    ]),
  );
  return { params, gradients: Array.from({ length: steps }, draw) };
}
