/** Training that goes on in another place: the same in Node and in a page. */

import type { OptimizerState } from "../../packages/core/src/index.ts";
import { compileOptimizer } from "../../packages/core/src/index.ts";
import { mulberry32 } from "../../packages/core/src/random.ts";
import { CATALOGUE } from "../../packages/core/src/testCatalogue.ts";

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  kernel: [5, 7],
  bias: [7],
  scalar: [],
};

function draw(seed: number): Record<string, { shape: readonly number[]; data: Float32Array }> {
  const random = mulberry32(seed);
  return Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape]) => [
      path,
      {
        shape,
        data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () =>
          random.normal(),
        ),
      },
    ]),
  );
}

/** The state of row number `row` after steps first..last, from `before` or from the start. */
export function train(
  row: number,
  backend: "wasm" | "js",
  [first, last]: readonly [number, number],
  before?: OptimizerState,
): OptimizerState {
  const [, optimizer, learningRate] = CATALOGUE[row] as (typeof CATALOGUE)[number];
  const compiled = compileOptimizer(optimizer, { params: draw(1), learningRate, backend });
  if (before !== undefined) {
    compiled.load(before);
  }
  for (let t = first; t <= last; t++) {
    const gradients = Object.entries(draw(100 + t)).map(([path, { data }]) => [path, data]);
    compiled.step(Object.fromEntries(gradients));
  }
  return compiled.save();
}
