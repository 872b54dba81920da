/**
 * How long does an optimizer step take over many parameters, and how close is that to memory traffic alone?
 *
 *     node bench/dist/optimizerStep.js [parameters, default 10000000] [rounds, default 21] [--json]
 *
 * Peers in the same interleaved run: a plain JavaScript loop, kernels that only move the same bytes, and
 * PyTorch's fused Adam where ADASTRA_PYTHON names a Python that has torch. Outputs are compared first.
 */

import { parseArgs } from "node:util";
import {
  adai,
  adam,
  adashift,
  add,
  type CompiledOptimizer,
  compileOptimizer,
  cpropAdam,
  defineOptimizer,
  fastAdaBelief,
  type Optimizer,
  perElement,
  sgd,
} from "@adastra/core";
import {
  type Contestant,
  environment,
  interleave,
  printTable,
  relativeDifference,
  startPython,
  timed,
} from "./harness.ts";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false } },
  allowPositionals: true,
});
const size = Number(positionals[0] ?? 10_000_000);
const rounds = Number(positionals[1] ?? 21);
const learningRate = 1e-3;

const start = Float32Array.from({ length: size }, (_, i) => Math.sin(i));
/** A few gradients in turn: one repeated input flatters. */
const gradients = [1, 2, 3].map((k) =>
  Float32Array.from({ length: size }, (_, i) => 0.1 * Math.cos(7 * i + k)),
);

/** Reads p, g and two states, writes all but g: Adam's traffic with one addition an array. */
const traffic = defineOptimizer("traffic", { a: perElement(), b: perElement() }, ({ g, a, b }) => ({
  update: g,
  next: { a: add(a, g), b: add(b, g) },
}));
/** Reads p, g, an old g and a state, writes p and the state: AdaShift's traffic. */
const shiftTraffic = defineOptimizer(
  "shiftTraffic",
  { a: perElement(), b: perElement() },
  ({ g, a, b }) => ({
    update: add(g, b),
    next: { a: add(a, g), b },
  }),
);

interface Entry {
  readonly name: string;
  readonly optimizer: Optimizer;
  /** Bytes read and written an element, in one step. */
  readonly bytes: number;
}

const ENTRIES: readonly Entry[] = [
  { name: "Adam, wasm", optimizer: adam(), bytes: 28 },
  { name: "traffic of Adam's bytes", optimizer: traffic, bytes: 28 },
  { name: "AdaShift max n=10, wasm", optimizer: adashift({ n: 10 }), bytes: 24 },
  { name: "traffic of AdaShift's bytes", optimizer: shiftTraffic, bytes: 24 },
  { name: "SGD momentum, wasm", optimizer: sgd({ momentum: 0.9 }), bytes: 20 },
  { name: "Adai, wasm", optimizer: adai(), bytes: 44 },
  { name: "FastAdaBelief, wasm", optimizer: fastAdaBelief({ schedule: "constant" }), bytes: 36 },
  { name: "CProp(Adam), wasm", optimizer: cpropAdam(), bytes: 36 },
];

/** Adam as one writes it in JavaScript. */
class PlainAdam {
  readonly p = start.slice();
  private readonly m = new Float32Array(size);
  private readonly v = new Float32Array(size);
  private t = 0;

  step(g: Float32Array): void {
    this.t += 1;
    const { p, m, v } = this;
    const c1 = 1 - 0.9 ** this.t;
    const c2 = 1 - 0.999 ** this.t;
    for (let i = 0; i < p.length; i++) {
      const gi = g[i]!;
      const mi = 0.9 * m[i]! + 0.1 * gi;
      const vi = 0.999 * v[i]! + 0.001 * gi * gi;
      m[i] = mi;
      v[i] = vi;
      p[i] = p[i]! - (learningRate * (mi / c1)) / (Math.sqrt(vi / c2) + 1e-8);
    }
  }
}

function bind(optimizer: Optimizer): CompiledOptimizer {
  const params = { x: { shape: [size], data: start } };
  return compileOptimizer(optimizer, { params, learningRate });
}

/** The gradient is written before the clock starts: producing it is not the optimizer's work. */
function contestant(name: string, compiled: CompiledOptimizer): Contestant {
  let round = 0;
  return {
    name,
    run: () => {
      compiled.gradients.x?.data.set(gradients[round++ % 3] as Float32Array);
      return timed(() => compiled.step());
    },
  };
}

const TORCH = `
import sys, time, torch
torch.set_num_threads(1)
n = ${size}
i = torch.arange(n, dtype=torch.float64)
p = torch.nn.Parameter(torch.sin(i).float())
gs = [(0.1 * torch.cos(7 * i + k)).float() for k in (1, 2, 3)]
o = torch.optim.Adam([p], lr=${learningRate}, fused=True)
print("PyTorch " + torch.__version__ + " Adam fused=True, 1 thread")
r = 0
for line in sys.stdin:
    p.grad = gs[r % 3]; r += 1
    t = time.perf_counter(); o.step(); ms = (time.perf_counter() - t) * 1e3
    print(ms if line.strip() == "step" else " ".join(repr(x) for x in p.detach()[:1000].tolist()))
`;

const torch = await startPython(TORCH);

// Compare before timing: three steps of each Adam.
const reference = new PlainAdam();
const ours = bind(adam());
for (const g of gradients) {
  reference.step(g);
  ours.step({ x: g });
}
const checks: Record<string, number> = {
  "Adam wasm against plain JavaScript": relativeDifference(ours.params.x?.data ?? [], reference.p),
};
if (torch !== undefined) {
  await torch.ask("step");
  await torch.ask("step");
  const stepped = (await torch.ask("values")).split(" ").map(Number);
  checks["PyTorch against plain JavaScript"] = relativeDifference(
    stepped,
    reference.p.slice(0, stepped.length),
  );
}
for (const [what, difference] of Object.entries(checks)) {
  // Three float32 steps of 1e-3 on parameters of size 1: a few roundings, 2^-24 each.
  if (!(difference < 1e-6)) {
    throw new Error(`optimizerStep: ${what} must agree within 1e-6, got ${difference}`);
  }
}

const plain = new PlainAdam();
let plainRound = 0;
const compiled = ENTRIES.map((entry) => contestant(entry.name, bind(entry.optimizer)));
const contestants: Contestant[] = [
  ...compiled,
  {
    name: "Adam, plain JavaScript loop",
    run: () => timed(() => plain.step(gradients[plainRound++ % 3] as Float32Array)),
  },
  ...(torch === undefined
    ? []
    : [{ name: torch.banner, run: async () => Number(await torch.ask("step")) }]),
];

const timings = (await interleave(contestants, rounds)).map((timing) => {
  const bytes = ENTRIES.find(({ name }) => name === timing.name)?.bytes ?? 28;
  return { ...timing, bytes: bytes * size };
});
torch?.close();

if (values.json) {
  console.log(
    JSON.stringify({ environment: environment(), parameters: size, checks, timings }, null, 2),
  );
} else {
  console.log(JSON.stringify(environment()));
  for (const [what, difference] of Object.entries(checks)) {
    console.log(`${what}: difference ${difference.toExponential(1)}`);
  }
  printTable(`step over ${size.toLocaleString("en")} float32 parameters, 1 thread`, timings);
  if (torch === undefined) {
    console.log("PyTorch left out: set ADASTRA_PYTHON to a Python that has torch");
  }
}
