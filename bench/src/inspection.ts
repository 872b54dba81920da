/**
 * What does an inspected step cost, and how often may one step in a run be inspected for 10 % in all?
 *
 *     node bench/dist/inspection.js [parameters, default 1000000] [rounds, default 41] [--json]
 *
 * Each optimizer twice in the same interleaved run: plain steps, and steps that are all inspected. Statistics are
 * compared with sums in plain JavaScript first, and the parameters of both with each other, bit for bit.
 */

import { parseArgs } from "node:util";
import {
  adai,
  adam,
  adashift,
  type CompiledOptimizer,
  compileOptimizer,
  cpropAdam,
  type Optimizer,
  sgd,
} from "@adastra/core";
import { type Contestant, environment, interleave, timed } from "adastra/bench";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const size = Number(positionals[0] ?? 1_000_000);
const rounds = Number(positionals[1] ?? 41);
const learningRate = 1e-3;
/** What inspection may add to a run, as a share of the time of its steps. */
const ALLOWED = 0.1;

const start = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
const gradients = [1, 2, 3].map((k) =>
  Float32Array.from({ length: size }, (_, i) => 0.1 * Math.cos(7 * i + k)),
);

const OPTIMIZERS: readonly (readonly [string, Optimizer])[] = [
  ["Adam", adam()],
  ["AdaShift max", adashift()],
  ["AdaShift none", adashift({ phi: "none" })],
  ["Adai", adai()],
  ["CProp(Adam)", cpropAdam()],
  ["SGD momentum", sgd({ momentum: 0.9 })],
];

function bind(optimizer: Optimizer, inspect: boolean): CompiledOptimizer {
  const params = { x: { shape: [size], data: start } };
  return compileOptimizer(optimizer, { params, learningRate, inspect });
}

function norm(x: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < x.length; i++) {
    squares += x[i]! * x[i]!;
  }
  return Math.sqrt(squares);
}

// Compare before timing.
const checks: Record<string, number> = {};
for (const [name, optimizer] of OPTIMIZERS) {
  const [plain, inspected] = [bind(optimizer, false), bind(optimizer, true)];
  for (let t = 0; t < 12; t++) {
    const g = gradients[t % 3]!;
    const before = norm(inspected.params.x?.data ?? []);
    plain.step({ x: g });
    const { statistics } = inspected.step({ x: g }, { inspect: true });
    const pairs = [
      [statistics?.model.gradient.norm, norm(g)],
      [statistics?.model.parameter.norm, before],
    ] as const;
    for (const [found = Number.NaN, exact] of pairs) {
      const key = `${name}: norms against plain JavaScript`;
      checks[key] = Math.max(checks[key] ?? 0, Math.abs(found / exact - 1));
    }
  }
  const [a, b] = [plain, inspected].map(({ params }) => Array.from(params.x?.data ?? []));
  checks[`${name}: parameters that inspection changes`] =
    a?.filter((x, i) => !Object.is(x, b?.[i])).length ?? Number.NaN;
}
for (const [what, difference] of Object.entries(checks)) {
  // Squares rounded to float32, 2^-24 each, and added in float64.
  if (!(difference < 1e-6)) {
    throw new Error(`inspection: ${what} must agree within 1e-6, got ${difference}`);
  }
}

function contestant(name: string, compiled: CompiledOptimizer, inspect: boolean): Contestant {
  let round = 0;
  return {
    name,
    run: () => {
      compiled.gradients.x?.data.set(gradients[round++ % 3]!);
      return timed(() => compiled.step(null, { inspect }));
    },
  };
}

const contestants = OPTIMIZERS.flatMap(([name, optimizer]) => [
  contestant(name, bind(optimizer, true), false),
  contestant(`${name}, inspected`, bind(optimizer, true), true),
]);
const timings = await interleave(contestants, { rounds, warmups: 2 });

/** Inspected over plain, and the least interval at which the share stays within what is allowed. */
const ratios = OPTIMIZERS.map(([name], i) => {
  const [plain, inspected] = [timings[2 * i]!, timings[2 * i + 1]!];
  const ratio = inspected.medianMs / plain.medianMs;
  const ratioOfMinima = inspected.minMs / plain.minMs;
  const interval = Math.max(1, Math.ceil((Math.max(ratio, ratioOfMinima) - 1) / ALLOWED));
  return { name, ratio, ratioOfMinima, interval };
});

if (values.json) {
  const result = {
    environment: environment(new Date()),
    parameters: size,
    checks,
    timings,
    ratios,
  };
  console.log(JSON.stringify(result, null, 2));
} else {
  console.log(JSON.stringify(environment(new Date())));
  for (const [what, difference] of Object.entries(checks)) {
    console.log(`${what}: ${difference.toExponential(1)}`);
  }
  console.log(`step over ${size.toLocaleString("en")} float32 parameters, 1 thread`);
  for (const { name, minMs, medianMs } of timings) {
    console.log(`${name.padEnd(34)} min ${minMs.toFixed(3)} ms, median ${medianMs.toFixed(3)} ms`);
  }
  for (const { name, ratio, ratioOfMinima, interval } of ratios) {
    const both = `x${ratio.toFixed(2)} (minima x${ratioOfMinima.toFixed(2)})`;
    console.log(`${name}: inspected ${both}; at most 10 % from every ${interval} steps on`);
  }
}
