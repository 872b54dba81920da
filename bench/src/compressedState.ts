/**
 * What does a step of Adam cost with its state in fewer bits, against float32 state?
 *
 *     node bench/dist/compressedState.js [parameters, default 1000000] [rounds, default 21] [--json]
 *
 * All in one interleaved run, gradients in place. First steps are compared before timing: state is 0 before them, so
 * their parameters must be those of float32, bit for bit.
 */

import { parseArgs } from "node:util";
import {
  adam,
  type CompiledOptimizer,
  compileOptimizer,
  compress,
  type Optimizer,
} from "@adastra/core";
import { environment, interleave, timed } from "adastra/bench";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const size = Number(positionals[0] ?? 1_000_000);
const rounds = Number(positionals[1] ?? 21);

const start = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
const gradient = Float32Array.from({ length: size }, (_, i) => 0.1 * Math.cos(7 * i));

const OPTIMIZERS: readonly (readonly [string, Optimizer])[] = [
  ["float32", adam()],
  ["bf16, bf16-stochastic", compress(adam(), { mu: "bf16", nu: "bf16-stochastic" })],
  ["int8, int8", compress(adam(), { mu: "int8", nu: "int8" })],
  ["int8, int8-stochastic", compress(adam(), { mu: "int8", nu: "int8-stochastic" })],
];

const compiled = OPTIMIZERS.map(([, optimizer]): CompiledOptimizer => {
  const params = { x: { shape: [size], data: start } };
  const bound = compileOptimizer(optimizer, { params, learningRate: 1e-3 });
  bound.gradients["x"]?.data.set(gradient);
  bound.step();
  return bound;
});
const checks: Record<string, number> = {};
const [reference, ...others] = compiled.map(
  ({ params }) => params["x"]?.data ?? new Float32Array(),
);
for (const [i, data] of others.entries()) {
  const wrong = data.findIndex((x, at) => !Object.is(x, reference?.[at]));
  checks[`${OPTIMIZERS[i + 1]?.[0]}: parameters unlike float32's after one step`] =
    wrong < 0 ? 0 : 1;
  if (wrong >= 0) {
    throw new Error(
      `compressedState: first steps must agree, got another parameter ${wrong} with ${OPTIMIZERS[i + 1]?.[0]}`,
    );
  }
}

const contestants = OPTIMIZERS.map(([name], i) => ({
  name,
  run: () => timed(() => compiled[i]?.step()),
}));
const measured = await interleave(contestants, { rounds, warmups: 2 });
const timings = measured.map(({ name, minMs, medianMs }, i) => ({
  name,
  stateBytes: compiled[i]?.stateBytes ?? Number.NaN,
  minMs,
  medianMs,
  ratio: medianMs / (measured[0]?.medianMs ?? Number.NaN),
  ratioOfMinima: minMs / (measured[0]?.minMs ?? Number.NaN),
}));

if (values.json) {
  console.log(
    JSON.stringify(
      { environment: environment(new Date()), parameters: size, checks, timings },
      null,
      2,
    ),
  );
} else {
  console.log(JSON.stringify(environment(new Date())));
  for (const { name, stateBytes, minMs, medianMs, ratio, ratioOfMinima } of timings) {
    const times = `min ${minMs.toFixed(2)} ms, median ${medianMs.toFixed(2)} ms`;
    const ratios = `x${ratio.toFixed(2)} (minima x${ratioOfMinima.toFixed(2)})`;
    console.log(`${name.padEnd(24)} ${stateBytes.toFixed(3)} bytes, ${times}, ${ratios}`);
  }
}
