/**
 * What does an inspected step cost, and how often may one step in a run be inspected for 10 % in all?
 *
 *     node bench/dist/inspection.js [parameters, default 100000,1000000,10000000] [rounds, default 41] [--json]
 *
 * Each optimizer over one leaf of each size, and over 50 leaves of 256 elements: plain steps, steps inspected by a sample,
 * and steps inspected in full, interleaved over the same parameters and state. Statistics of all elements are compared with
 * sums in plain JavaScript first, and parameters with those of steps that are not inspected, bit for bit, at the first size.
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
import { type Contestant, environment, interleave, type Timing, timed } from "adastra/bench";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const sizes = (positionals[0] ?? "100000,1000000,10000000").split(",").map(Number);
const rounds = Number(positionals[1] ?? 41);
const learningRate = 1e-3;
/** What inspection may add to a run, as a share of the time of its steps. */
const ALLOWED = 0.1;

const OPTIMIZERS: readonly (readonly [string, Optimizer])[] = [
  ["Adam", adam()],
  ["AdaShift max", adashift()],
  ["AdaShift none", adashift({ phi: "none" })],
  ["Adai", adai()],
  ["CProp(Adam)", cpropAdam()],
  ["SGD momentum", sgd({ momentum: 0.9 })],
];

/** Equal leaves, and gradients for three steps in turn. */
interface Model {
  readonly name: string;
  readonly params: Record<string, { shape: number[]; data: Float32Array }>;
  readonly gradients: readonly Record<string, Float32Array>[];
}

function model(leaves: number, size: number): Model {
  const paths = Array.from({ length: leaves }, (_, i) => (leaves === 1 ? "x" : `x${i}`));
  const start = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
  const gradients = [1, 2, 3].map((k) =>
    Float32Array.from({ length: size }, (_, i) => 0.1 * Math.cos(7 * i + k)),
  );
  const named = <T>(value: T): Record<string, T> =>
    Object.fromEntries(paths.map((path) => [path, value]));
  return {
    name: `${leaves} ${leaves === 1 ? "leaf" : "leaves"} of ${size}`,
    params: named({ shape: [size], data: start }),
    gradients: gradients.map(named),
  };
}

function bind(optimizer: Optimizer, { params }: Model, inspect: boolean): CompiledOptimizer {
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
const compared = model(1, sizes[0] ?? 1);
for (const [name, optimizer] of OPTIMIZERS) {
  const [plain, inspected, sampled] = [false, true, true].map((inspect) =>
    bind(optimizer, compared, inspect),
  ) as [CompiledOptimizer, CompiledOptimizer, CompiledOptimizer];
  for (let t = 0; t < 12; t++) {
    const g = compared.gradients[t % 3]!.x!;
    const before = norm(inspected.params.x?.data ?? []);
    plain.step({ x: g });
    const { statistics } = inspected.step({ x: g }, { inspect: "all" });
    sampled.step({ x: g }, { inspect: true });
    const pairs = [
      [statistics?.model.gradient.norm, norm(g)],
      [statistics?.model.parameter.norm, before],
    ] as const;
    for (const [found = Number.NaN, exact] of pairs) {
      const key = `${name}: norms against plain JavaScript`;
      checks[key] = Math.max(checks[key] ?? 0, Math.abs(found / exact - 1));
    }
  }
  const [a, ...others] = [plain, inspected, sampled].map(({ params }) => params.x!.data);
  checks[`${name}: parameters that inspection changes`] = Math.max(
    ...others.map((b) => Array.from(a!).filter((x, i) => !Object.is(x, b[i])).length),
  );
}
for (const [what, difference] of Object.entries(checks)) {
  // Squares rounded to float32, 2^-24 each, and added in float64.
  if (!(difference < 1e-6)) {
    throw new Error(`inspection: ${what} must agree within 1e-6, got ${difference}`);
  }
}

const WAYS = [
  ["plain", false],
  ["a sample", true],
  ["all", "all"],
] as const;

async function measure(
  [name, optimizer]: (typeof OPTIMIZERS)[number],
  over: Model,
): Promise<readonly Timing[]> {
  const compiled = bind(optimizer, over, true);
  let round = 0;
  const contestants = WAYS.map(
    ([way, inspect]): Contestant => ({
      name: `${name}, ${over.name}, ${way}`,
      run: () => {
        for (const [path, g] of Object.entries(over.gradients[round++ % 3]!)) {
          compiled.gradients[path]!.data.set(g);
        }
        return timed(() => compiled.step(null, { inspect }));
      },
    }),
  );
  return interleave(contestants, { rounds, warmups: 4 });
}

const timings: Timing[] = [];
/** Inspected over plain, and the least interval at which the share stays within what is allowed. */
const ratios: { name: string; ratio: number; ratioOfMinima: number; interval: number }[] = [];
for (const [count, size] of [...sizes.map((each) => [1, each] as const), [50, 256] as const]) {
  const leaves = model(count, size);
  for (const optimizer of OPTIMIZERS) {
    const taken = await measure(optimizer, leaves);
    timings.push(...taken);
    const [plain, ...inspected] = taken;
    for (const { name, medianMs, minMs } of inspected) {
      const [ratio, ratioOfMinima] = [medianMs / plain!.medianMs, minMs / plain!.minMs];
      const interval = Math.max(1, Math.ceil((Math.max(ratio, ratioOfMinima) - 1) / ALLOWED));
      ratios.push({ name, ratio, ratioOfMinima, interval });
    }
  }
}

if (values.json) {
  const result = {
    environment: environment(new Date()),
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
  console.log("steps over float32 parameters, 1 thread");
  for (const { name, minMs, medianMs } of timings) {
    console.log(`${name.padEnd(48)} min ${minMs.toFixed(3)} ms, median ${medianMs.toFixed(3)} ms`);
  }
  for (const { name, ratio, ratioOfMinima, interval } of ratios) {
    const both = `x${ratio.toFixed(2)} (minima x${ratioOfMinima.toFixed(2)})`;
    console.log(`${name}: ${both}; at most 10 % from every ${interval} steps on`);
  }
}
