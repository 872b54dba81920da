/** What a page offers to `engine.test.ts`: a model trained for a few steps on a backend. */

import { adam, compileOptimizer, mulberry32 } from "@adastra/core";
import { type BackendName, compile, nn } from "@adastra/engine";

export interface Trained {
  readonly report: Readonly<Record<string, unknown>>;
  readonly losses: readonly number[];
  /** Parameters after the last step, by path. */
  readonly params: Readonly<Record<string, readonly number[]>>;
}

/** Four pictures of noise a step; the same numbers everywhere. */
export async function trainFew(
  name: "lenet" | "softmax",
  backend: BackendName | "auto",
  steps: number,
  assets?: string,
): Promise<Trained> {
  const model = name === "lenet" ? nn.lenet() : nn.sequential(nn.flatten(), nn.dense(10));
  const random = mulberry32(5);
  const batch = {
    x: {
      shape: [4, 1, 28, 28],
      data: Float32Array.from({ length: 4 * 784 }, () => random.normal()),
    },
    y: { shape: [4], data: Int32Array.from({ length: 4 }, () => random.integer(10)) },
  };
  const optimizer = compileOptimizer(adam(), {
    params: model.init(mulberry32(1), [1, 28, 28]),
    learningRate: 1e-3,
  });
  const gradient = await compile(
    (p, { x, y }, mode) => nn.softmaxCrossEntropy(model.apply(p, x, mode), y),
    {
      params: optimizer.params,
      example: batch,
      backend,
      clock: performance,
      ...(assets !== undefined && { assets }),
    },
  );
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    losses.push((await gradient.run(batch, optimizer.params, optimizer.gradients)).loss);
    optimizer.step();
  }
  await gradient.dispose();
  return {
    report: { ...gradient.report },
    losses,
    params: Object.fromEntries(
      Object.entries(optimizer.params).map(([path, { data }]) => [path, [...data]]),
    ),
  };
}
