/** The worker of `trainingPage.ts`: a line through points, on jax-js, which runs in browsers. */

import { adam, compileOptimizer, mulberry32 } from "@adastra/core";
import { fit } from "@adastra/engine";
import { serveTraining } from "@adastra/engine/worker";

type Points = Record<"x" | "y", { shape: number[]; data: Float32Array }>;

serveTraining<Points>(({ data, ...hooks }) =>
  fit<Points>(({ slope, offset }, { x, y }) => x.mul(slope!).add(offset!).sub(y).square().mean(), {
    ...hooks,
    data,
    backend: "jax",
    optimizer: compileOptimizer(adam(), {
      params: {
        slope: { shape: [], data: new Float32Array(1) },
        offset: { shape: [], data: new Float32Array(1) },
      },
      learningRate: 0.1,
    }),
    batchSize: 16,
    epochs: 50,
    random: mulberry32(1),
  }),
);
