import { adashift, compileOptimizer, cosine, mulberry32 } from "@adastra/core";
import { compile, nn } from "@adastra/engine";

// y = sin(3x) from noisy samples, with a small network.
const random = mulberry32(1);
const batch = () => {
  const x = Float32Array.from({ length: 64 }, () => 2 * random.next() - 1);
  const y = x.map((value) => Math.sin(3 * value) + 0.05 * random.normal());
  return { x: { shape: [64, 1], data: x }, y: { shape: [64, 1], data: y } };
};

const model = nn.sequential(nn.dense(32), nn.tanh(), nn.dense(1));
const params = model.init(random, [1]);
const optimizer = compileOptimizer(adashift({ n: 10 }), {
  params,
  learningRate: cosine(0.02, 600),
});
const gradient = await compile((p, { x, y }) => nn.meanSquaredError(model.apply(p, x), y), {
  params,
  example: batch(),
});

for (let step = 1; step <= 600; step++) {
  const { loss } = await gradient.run(batch(), optimizer.params, optimizer.gradients);
  optimizer.step();
  if (step % 100 === 0) {
    console.log(`step ${step}: loss ${loss.toFixed(4)}`);
  }
}
