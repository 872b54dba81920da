import {
  abs,
  add,
  compileOptimizer,
  defineOptimizer,
  div,
  lerp,
  mul,
  neg,
  perElement,
} from "@adastra/core";

// A method of your own is a formula; kernels, state and float64 come with it.
const softSign = defineOptimizer("softSign", { mu: perElement() }, ({ g, mu, lr }) => {
  const m = lerp(mu, g, 0.1); // m ← 0.9 m + 0.1 g
  return { update: neg(mul(lr, div(m, add(abs(m), 1e-3)))), next: { mu: m } };
});

const params = { x: { shape: [2], data: Float32Array.of(3, -2) } };
const optimizer = compileOptimizer(softSign, { params, learningRate: 0.05 });
for (let step = 0; step < 200; step++) {
  const x = optimizer.params.x?.data ?? [];
  optimizer.step({ x: Float32Array.from(x, (value, i) => (i + 1) * value) });
}
const x = Array.from(optimizer.params.x?.data ?? [], (value) => value.toFixed(3));
console.log(`x after 200 steps: ${x.join(", ")}`);
