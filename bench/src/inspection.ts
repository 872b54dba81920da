/**
 * What does an inspected step cost, and how often may one step in a run be inspected for 10 % in all?
 *
 *     node bench/dist/inspection.js [parameters, default 100000,1000000,10000000] [rounds, default 41] [--json]
 *
 * Each optimizer over one leaf of each size, over the six leaves of 784-256-256-10, and over 50 leaves of 256 elements:
 * plain steps; steps inspected by a sample, nothing read; the same with the model's statistics read; every tenth step
 * inspected and read; every step inspected in full. They are interleaved over the same parameters and state, and a run is
 * so many steps in a row that it takes part in collecting its garbage. Statistics of all elements are compared with sums in
 * plain JavaScript first, and parameters with those of steps that are not inspected, bit for bit, at the first size.
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

/** Leaves to train, and gradients for three steps in turn. */
interface Model {
  readonly name: string;
  readonly elements: number;
  readonly params: Record<string, { shape: readonly number[]; data: Float32Array }>;
  readonly gradients: readonly Record<string, Float32Array>[];
}

function model(name: string, shapes: readonly (readonly number[])[]): Model {
  const of = (f: (i: number) => number): [string, Float32Array][] =>
    shapes.map((shape, leaf) => {
      const size = shape.reduce((a, b) => a * b, 1);
      return [`x${leaf}`, Float32Array.from({ length: size }, (_, i) => f(i))];
    });
  const start = of(Math.sin);
  return {
    name,
    elements: start.reduce((sum, [, { length }]) => sum + length, 0),
    params: Object.fromEntries(
      start.map(([path, data], leaf) => [path, { shape: shapes[leaf] ?? [], data }]),
    ),
    gradients: [1, 2, 3].map((k) => Object.fromEntries(of((i) => 0.1 * Math.cos(7 * i + k)))),
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
const compared = model("compared", [[sizes[0] ?? 1]]);
for (const [name, optimizer] of OPTIMIZERS) {
  const [plain, inspected, sampled] = [false, true, true].map((inspect) =>
    bind(optimizer, compared, inspect),
  ) as [CompiledOptimizer, CompiledOptimizer, CompiledOptimizer];
  for (let t = 0; t < 12; t++) {
    const g = compared.gradients[t % 3]!.x0!;
    const before = norm(inspected.params.x0?.data ?? []);
    plain.step({ x0: g });
    const { statistics } = inspected.step({ x0: g }, { inspect: "all" });
    sampled.step({ x0: g }, { inspect: true });
    const pairs = [
      [statistics?.model.gradient.norm, norm(g)],
      [statistics?.model.parameter.norm, before],
    ] as const;
    for (const [found = Number.NaN, exact] of pairs) {
      const key = `${name}: norms against plain JavaScript`;
      checks[key] = Math.max(checks[key] ?? 0, Math.abs(found / exact - 1));
    }
  }
  const [a, ...others] = [plain, inspected, sampled].map(({ params }) => params.x0!.data);
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

/** What is inspected of which step, every so many, and whether the model's statistics are read. */
interface Way {
  readonly name: string;
  readonly inspect: true | "all" | false;
  readonly every: number;
  readonly reads: boolean;
}

const WAYS: readonly Way[] = [
  { name: "plain", inspect: false, every: 1, reads: false },
  { name: "a sample", inspect: true, every: 1, reads: false },
  { name: "a sample, read", inspect: true, every: 1, reads: true },
  { name: "every 10th, read", inspect: true, every: 10, reads: true },
  { name: "all", inspect: "all", every: 1, reads: false },
];

/** Elements that all steps of a run come by at least, in multiples of ten steps: 2,000,000 by default. */
const ELEMENTS_A_RUN = 20 * (sizes[0] ?? 0);

async function measure(
  [name, optimizer]: (typeof OPTIMIZERS)[number],
  over: Model,
): Promise<readonly Timing[]> {
  const compiled = bind(optimizer, over, true);
  const steps = 10 * Math.ceil(ELEMENTS_A_RUN / 10 / over.elements);
  let round = 0;
  /** Kept, so that no read is left out. */
  let read = 0;
  const contestants = WAYS.map(
    ({ name: way, inspect, every, reads }): Contestant => ({
      name: `${name}, ${over.name}, ${way}`,
      run: () => {
        for (const [path, g] of Object.entries(over.gradients[round++ % 3]!)) {
          compiled.gradients[path]!.data.set(g);
        }
        const taken = timed(() => {
          for (let step = 0; step < steps; step++) {
            const { statistics } = compiled.step(null, { inspect: step % every === 0 && inspect });
            if (reads && statistics !== undefined) {
              read += statistics.model.updateRatio;
            }
          }
        });
        return taken / steps;
      },
    }),
  );
  const timings = await interleave(contestants, { rounds, warmups: 4 });
  if (Number.isNaN(read)) {
    throw new Error(`inspection: statistics of "${name}" must be numbers, got NaN`);
  }
  return timings;
}

const MODELS: readonly (readonly [string, readonly (readonly number[])[]])[] = [
  ...sizes.map((size) => [`1 leaf of ${size}`, [[size]]] as const),
  ["784-256-256-10", [[784, 256], [256], [256, 256], [256], [256, 10], [10]]],
  ["50 leaves of 256", Array.from({ length: 50 }, () => [256])],
];

const timings: Timing[] = [];
interface Ratio {
  readonly name: string;
  readonly ratio: number;
  readonly ratioOfMinima: number;
  /** The least at which inspected steps of this kind add no more than what is allowed, by minima. */
  readonly interval: number;
}

/** Over plain. */
const ratios: Ratio[] = [];
for (const [title, shapes] of MODELS) {
  const leaves = model(title, shapes);
  for (const optimizer of OPTIMIZERS) {
    const taken = await measure(optimizer, leaves);
    timings.push(...taken);
    const [plain, ...inspected] = taken;
    for (const [i, { name, medianMs, minMs }] of inspected.entries()) {
      const [ratio, ratioOfMinima] = [medianMs / plain!.medianMs, minMs / plain!.minMs];
      const { every } = WAYS[i + 1]!;
      const interval = Math.max(1, Math.ceil((every * (ratioOfMinima - 1)) / ALLOWED));
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
    console.log(`${name.padEnd(48)} min ${minMs.toFixed(4)} ms, median ${medianMs.toFixed(4)} ms`);
  }
  for (const { name, ratio, ratioOfMinima, interval } of ratios) {
    const both = `x${ratio.toFixed(2)} (minima x${ratioOfMinima.toFixed(2)})`;
    console.log(`${name}: ${both}; at most 10 % where one step in ${interval} is inspected`);
  }
}
