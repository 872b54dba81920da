import { adam, compileOptimizer, firstNonFinite } from "@adastra/core";

const params = { x: { shape: [2], data: Float32Array.of(3, -2) } };
const optimizer = compileOptimizer(adam(), { params, learningRate: 1e-3, inspect: true });
for (let step = 0; step < 1000; step++) {
  const x = optimizer.params.x?.data ?? [];
  const gradients = { x: Float32Array.from(x, (value, i) => (i + 1) * value) };
  const { statistics } = optimizer.step(gradients, { inspect: step % 10 === 0 });
  if (statistics !== undefined) {
    const { update, updateRatio, values } = statistics.model;
    console.log(step, update.rms, updateRatio, values.v?.correlation, firstNonFinite(statistics));
  }
}
