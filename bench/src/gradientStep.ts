/**
 * How long does the gradient of a small network take, against jax-js and PyTorch?
 *
 *     node bench/dist/gradientStep.js [rounds, default 101] [--threads N] [--json]
 *
 * Model: 784-256-256-10, ReLU, softmax cross-entropy, batch 64. Peers in the same interleaved run: jax-js on
 * its wasm backend, jitted, and PyTorch where ADASTRA_PYTHON names a Python that has torch, at the same
 * number of threads. Losses and gradients are compared first.
 */

import { parseArgs } from "node:util";
import { type Leaf, type Leaves, mulberry32 } from "@adastra/core";
import { compile, nn, type Traced, type Value } from "@adastra/engine";
import {
  environment,
  interleave,
  relativeDifference,
  startPython,
  type Timing,
} from "adastra/bench";

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false }, threads: { type: "string", default: "1" } },
  allowPositionals: true,
});
const threads = Number(values.threads);
const rounds = Number(positionals[0] ?? 101);

const random = mulberry32(1);
const model = nn.sequential(nn.dense(256), nn.relu(), nn.dense(256), nn.relu(), nn.dense(10));
const params = model.init(random, [784]);
const batches = [0, 1, 2].map(() => ({
  x: { shape: [64, 784], data: Float32Array.from({ length: 64 * 784 }, () => random.normal()) },
  y: { shape: [64], data: Int32Array.from({ length: 64 }, () => random.integer(10)) },
}));
type Batch = (typeof batches)[number];
const example = batches[0] as Batch;

const loss = (p: Traced<typeof params>, { x, y }: Traced<Batch>): Value =>
  nn.softmaxCrossEntropy(model.apply(p, x), y);

const started = performance.now();
const ours = await compile(loss, { params, example, threads });
const compileMs = performance.now() - started;
const jax = await compile(loss, { params, example, backend: "jax" });

const zeros = (): Leaves =>
  Object.fromEntries(
    Object.entries(params).map(([path, { shape, data }]): [string, Leaf] => [
      path,
      { shape, data: new Float32Array(data.length) },
    ]),
  );
const [oursInto, jaxInto] = [zeros(), zeros()];

const TORCH = `
import sys, json, time, torch, torch.nn.functional as F
torch.set_num_threads(${threads})
print("PyTorch " + torch.__version__ + ", ${threads} thread(s)")
d = json.loads(sys.stdin.readline())
ps = [torch.tensor(v, dtype=torch.float32).reshape(s).requires_grad_() for s, v in d["params"]]
bs = [(torch.tensor(x, dtype=torch.float32).reshape(64, 784), torch.tensor(y)) for x, y in d["batches"]]
def grad(i):
    x, y = bs[i]
    h = F.relu(torch.addmm(ps[1], x, ps[0])); h = F.relu(torch.addmm(ps[3], h, ps[2]))
    l = F.cross_entropy(torch.addmm(ps[5], h, ps[4]), y)
    return l, torch.autograd.grad(l, ps)
print("ready")
for line in sys.stdin:
    a = line.split()
    t = time.perf_counter(); l, g = grad(int(a[1])); ms = (time.perf_counter() - t) * 1e3
    print(ms if a[0] == "time" else json.dumps([l.item(), g[0].flatten().tolist()]))
`;

const order = [
  "dense1/kernel",
  "dense1/bias",
  "dense2/kernel",
  "dense2/bias",
  "dense3/kernel",
  "dense3/bias",
];
const python = process.env.ADASTRA_PYTHON;
const torch = python === undefined || python === "" ? undefined : await startPython(python, TORCH);
const checks: Record<string, number> = {};
const first = await ours.run(example, params, oursInto);
const reference = await jax.run(example, params, jaxInto);
checks["loss against jax-js"] = Math.abs(first.loss - reference.loss) / Math.abs(reference.loss);
for (const path of order) {
  checks[`gradient of ${path} against jax-js`] = relativeDifference(
    oursInto[path]?.data ?? [],
    jaxInto[path]?.data ?? [],
  );
}
if (torch !== undefined) {
  await torch.ask(
    JSON.stringify({
      params: order.map((path) => [params[path]?.shape, Array.from(params[path]?.data ?? [])]),
      batches: batches.map(({ x, y }) => [Array.from(x.data), Array.from(y.data)]),
    }),
  );
  const [torchLoss, torchGradient] = JSON.parse(await torch.ask("check 0")) as [number, number[]];
  checks["loss against PyTorch"] = Math.abs(first.loss - torchLoss) / Math.abs(torchLoss);
  checks["gradient of dense1/kernel against PyTorch"] = relativeDifference(
    oursInto["dense1/kernel"]?.data ?? [],
    torchGradient,
  );
}
for (const [what, difference] of Object.entries(checks)) {
  // Sums of 784 float32 products in another order: some tens of roundings of 2^-24.
  if (!(difference < 1e-4)) {
    throw new Error(`gradientStep: ${what} must agree within 1e-4, got ${difference}`);
  }
}

let round = 0;
const next = (): Batch => batches[round++ % 3] as Batch;
const elapsed = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now();
  await work();
  return performance.now() - start;
};
const timings = await interleave(
  [
    {
      name: `adastra (ONNX Runtime cpu), ${threads} thread(s)`,
      run: () => elapsed(() => ours.run(next(), params, oursInto)),
    },
    { name: "jax-js wasm, jitted", run: () => elapsed(() => jax.run(next(), params, jaxInto)) },
    ...(torch === undefined
      ? []
      : [
          {
            name: torch.banner,
            run: async () => Number(await torch.ask(`time ${round++ % 3}`)),
          },
        ]),
  ],
  { rounds, warmups: 10 },
);
torch?.close();

const stamp = environment(new Date(), ["@jax-js/jax", "onnxruntime-node"]);
if (values.json) {
  console.log(JSON.stringify({ environment: stamp, compileMs, checks, timings }, null, 2));
} else {
  console.log(JSON.stringify(stamp));
  console.log(`trace, lower and open: ${compileMs.toFixed(0)} ms`);
  for (const [what, difference] of Object.entries(checks)) {
    console.log(`${what}: difference ${difference.toExponential(1)}`);
  }
  printTable("gradient of 784-256-256-10, batch 64", timings);
  if (torch === undefined) {
    console.log("PyTorch left out: set ADASTRA_PYTHON to a Python that has torch");
  }
}
process.exit(0);

/** A table of timings, each beside the ratio of its median to the first. */
function printTable(title: string, rows: readonly Timing[]): void {
  const first = rows[0]?.medianMs ?? 1;
  console.log(title);
  for (const { name, minMs, medianMs, spread } of rows) {
    console.log(
      [
        name.padEnd(34),
        `min ${minMs.toFixed(3)} ms`.padEnd(16),
        `median ${medianMs.toFixed(3)} ms`.padEnd(20),
        `x${(medianMs / first).toFixed(2)}`.padEnd(8),
        `spread ${spread.toFixed(2)}`,
      ].join(" "),
    );
  }
}
