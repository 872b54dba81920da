/**
 * How long does the gradient of a model take, against PyTorch on as many threads?
 *
 * Each model and number of threads on its own: our gradient is compared with each peer's, every leaf of it, and
 * then all are timed in one interleaved run, a whole training step of ours beside them.
 */

import {
  adashift,
  type Clock,
  compileOptimizer,
  type Leaves,
  mulberry32,
  type Random,
} from "@adastra/core";
import {
  type BackendName,
  type BatchArrays,
  type CompiledGradient,
  compile,
} from "@adastra/engine";
import { checkOutputs, type OutputCheck } from "../compareOutputs.ts";
import type { Stamp } from "../environment.ts";
import { breathe, type Contestant, interleave } from "../interleave.ts";
import { createModel, DATA_BATCHES, type GradientModel, type ModelName } from "./models.ts";
import {
  type GradientBenchResult,
  type GradientRow,
  judge,
  type ModelResult,
  type RowKey,
} from "./result.ts";
import { bindTfjs } from "./tfjs.ts";
import { openTorch, type TorchModel } from "./torch.ts";

export type GradientPeer = "torch" | "jax-js" | "tfjs";
export const gradientPeers: readonly GradientPeer[] = ["torch", "jax-js", "tfjs"];

/** Packages whose versions a result states. */
export const gradientPackages: readonly string[] = [
  "onnxruntime-node",
  "@jax-js/jax",
  "@tensorflow/tfjs-core",
];

export interface GradientPlan {
  readonly models: readonly ModelName[];
  readonly threads: readonly number[];
  readonly peers: readonly GradientPeer[];
  readonly rounds: number;
  /** The Python that PyTorch runs in. */
  readonly python: string | undefined;
}

export interface GradientWorld {
  readonly clock: Clock;
  readonly environment: Stamp;
  /** Ends after the gradient that is under way; what is finished is kept. */
  readonly signal?: AbortSignal;
  /** Told the share done, from 0 to 1, and what is being done. */
  readonly onProgress?: (share: number, doing: string) => void;
}

/**
 * Runs before the clock counts, as many as fit into a second: until then allocations of megabytes are returned
 * to the system after each run, and their pages come back at a price (784-256-256-10: 210 page faults a run and
 * 5 ms in the first forty, none and 0.8 ms after a hundred).
 */
const WARM_RUNS = 150;
const WARM_MS = 1000;
const WARMUPS = 2;
/** Runs shorter than this are repeated: in training a gradient follows one of its own kind, not those of its peers. */
const SHORTEST_MS = 20;
/** A peer whose one gradient takes longer is left out, and said to. */
const LONGEST_MS = 4000;
/** One that takes longer than this takes part in three rounds. */
const SLOW_MS = 500;
const FEWEST_ROUNDS = 3;

/** @throws Error when a gradient does not agree with a peer's; nothing of that model was timed then. */
export async function benchGradient(
  plan: GradientPlan,
  world: GradientWorld,
): Promise<GradientBenchResult> {
  const runs = plan.threads.flatMap((threads) => plan.models.map((name) => ({ name, threads })));
  const models: ModelResult[] = [];
  for (const [i, { name, threads }] of runs.entries()) {
    if (world.signal?.aborted) {
      break;
    }
    const onProgress = (share: number, doing: string): void =>
      world.onProgress?.((i + share) / runs.length, `${name}, ${threads} thread(s): ${doing}`);
    models.push(await measure(createModel(name), threads, plan, { ...world, onProgress }));
  }
  const finished = models.filter(({ rows }) => rows.length > 0);
  return {
    question: "gradient",
    environment: world.environment,
    rounds: plan.rounds,
    models: finished,
    targets: judge(finished),
    interrupted: world.signal?.aborted ?? false,
  };
}

interface Bound {
  readonly key: RowKey;
  readonly name: string;
  /** Takes so many gradients in a row and says how many milliseconds one took. */
  readonly run: (repeats: number) => Promise<number>;
  readonly rounds?: number;
  readonly close: () => void | Promise<void>;
}

type Loud = GradientWorld & Required<Pick<GradientWorld, "onProgress">>;

async function measure(
  model: GradientModel,
  threads: number,
  plan: GradientPlan,
  world: Loud,
): Promise<ModelResult> {
  const { clock, signal, onProgress } = world;
  onProgress(0, "compiling");
  const ours = await bindOurs(model, { threads }, "cpu", clock);
  const bound: Bound[] = [
    own("adastra", `Adastra, ${threads} thread(s)`, ours, clock),
    await withStep(model, threads, clock),
  ];
  const checks: OutputCheck[] = [];
  if (threads > 1) {
    const copies = await bindOurs(model, { replicas: threads }, "cpu", clock);
    const byParts = Object.keys(model.state).length > 0;
    const name = `Adastra, ${threads} replicas${byParts ? " (batch norm by parts)" : ""}`;
    bound.push(own("adastra-replicas", name, copies, clock));
    // Batch norm by parts is another function.
    checks.push(...(byParts ? [] : compare(model, name, ours, answerOf(copies))));
  }
  const leftOut: { name: string; reason: string }[] = [];
  try {
    for (const peer of plan.peers) {
      onProgress(0.1, `binding ${peer}`);
      const outcome = await bindPeer(peer, model, threads, plan, clock);
      if ("reason" in outcome) {
        leftOut.push({ name: peer, reason: outcome.reason });
        continue;
      }
      bound.push(outcome.bound, ...(outcome.step === undefined ? [] : [outcome.step]));
      checks.push(...compare(model, outcome.bound.name, ours, outcome));
      await breathe();
    }
    const contestants: (Contestant & { readonly key: RowKey; readonly repeats: number })[] = [];
    for (const { key, name, run, rounds } of bound) {
      onProgress(0.2, `warming up ${name}`);
      const repeats = Math.max(1, Math.round(SHORTEST_MS / (await warmUp(run))));
      const own = rounds === undefined ? {} : { rounds };
      contestants.push({ key, name, repeats, run: () => run(repeats), ...own });
    }
    onProgress(0.3, "timing");
    const timings = await interleave(contestants, {
      rounds: plan.rounds,
      warmups: WARMUPS,
      ...(signal !== undefined && { signal }),
      onRound: (done) => onProgress(0.3 + (0.7 * done) / plan.rounds, `round ${done}`),
    });
    const { nodes = 0, traceMs = 0, lowerMs = 0, sessionMs = 0 } = ours.compiled.report;
    return {
      name: model.name,
      description: model.description,
      parameters: Object.values(model.params).reduce((sum, { data }) => sum + data.length, 0),
      threads,
      compile: { nodes, traceMs, lowerMs, sessionMs },
      checks,
      rows: timings.map((timing): GradientRow => {
        const { key, repeats } = contestants.find(
          ({ name }) => name === timing.name,
        ) as (typeof contestants)[number];
        return { key, ...timing, repeats };
      }),
      leftOut,
      complete: !(signal?.aborted ?? false),
    };
  } finally {
    for (const { close } of bound) {
      await close();
    }
  }
}

/** Our gradient on a backend, with the arrays it is written into. */
interface Ours {
  readonly compiled: CompiledGradient;
  readonly gradients: Leaves<Float32Array>;
  readonly loss: number;
  readonly ms: number;
  run(): Promise<void>;
}

async function bindOurs(
  model: GradientModel,
  cores: { readonly threads?: number; readonly replicas?: number },
  backend: BackendName,
  clock: Clock,
): Promise<Ours> {
  const { params, batch, loss } = model;
  const state = copyOf(model.state);
  const compiled = await compile(loss, { params, example: batch, state, backend, ...cores, clock });
  const gradients = copyOf(params);
  const started = clock.now();
  const first = await compiled.run(batch, params, gradients);
  return {
    compiled,
    gradients,
    loss: first.loss,
    ms: clock.now() - started,
    run: async () => {
      await compiled.run(batch, params, gradients);
    },
  };
}

function own(key: RowKey, name: string, ours: Ours, clock: Clock): Bound {
  return {
    key,
    name,
    run: (repeats) => timeEach(clock, repeats, () => ours.run()),
    close: () => ours.compiled.dispose(),
  };
}

/** A training step: rows drawn into a batch, their gradient into the optimizer's arena, and AdaShift's step over it. */
async function withStep(model: GradientModel, threads: number, clock: Clock): Promise<Bound> {
  const optimizer = compileOptimizer(adashift(), { params: model.params, learningRate: 1e-4 });
  const state = copyOf(model.state);
  const { batch, loss } = model;
  const compiled = await compile(loss, { params: model.params, example: batch, state, threads });
  const draw = drawing(batch, mulberry32(4));
  const step = async (): Promise<void> => {
    await compiled.run(draw(), optimizer.params, optimizer.gradients);
    optimizer.step();
  };
  return {
    key: "adastra-step",
    name: `Adastra with data and AdaShift's step, ${threads} thread(s)`,
    run: (repeats) => timeEach(clock, repeats, step),
    close: () => compiled.dispose(),
  };
}

/** Copies rows of data into a batch, drawn at random. */
function drawing(batch: BatchArrays, random: Random): () => BatchArrays {
  const arrays = Object.values(batch).map(({ shape: [rows = 1], data: to }) => ({
    to,
    size: to.length / rows,
    data: concatenate(to, DATA_BATCHES),
  }));
  const rows = Math.min(...Object.values(batch).map(({ shape }) => shape[0] ?? 1));
  return () => {
    for (let row = 0; row < rows; row++) {
      const from = random.integer(rows * DATA_BATCHES);
      for (const { data, to, size } of arrays) {
        to.set(data.subarray(from * size, (from + 1) * size), row * size);
      }
    }
    return batch;
  };
}

function concatenate(part: BatchArrays[string]["data"], times: number): typeof part {
  const whole = new (part.constructor as Float32ArrayConstructor)(part.length * times);
  for (let i = 0; i < times; i++) {
    whole.set(part, i * part.length);
  }
  return whole;
}

async function timeEach(clock: Clock, repeats: number, work: () => Promise<void>): Promise<number> {
  const started = clock.now();
  for (let i = 0; i < repeats; i++) {
    await work();
  }
  return (clock.now() - started) / repeats;
}

interface Answer {
  readonly bound: Bound;
  /** Its own training step. */
  readonly step?: Bound;
  readonly loss: number;
  readonly gradients: Readonly<Record<string, ArrayLike<number>>>;
}

async function bindPeer(
  peer: GradientPeer,
  model: GradientModel,
  threads: number,
  { python, rounds }: GradientPlan,
  clock: Clock,
): Promise<Answer | { readonly reason: string }> {
  if (peer === "torch") {
    return bindTorch(model, threads, python);
  }
  if (threads > 1) {
    return { reason: "runs on one thread" };
  }
  if (peer === "tfjs") {
    const tfjs = await bindTfjs(model, clock);
    return "reason" in tfjs
      ? tfjs
      : (tooSlow(tfjs.ms) ?? {
          loss: tfjs.loss,
          gradients: tfjs.gradients,
          bound: {
            key: "tfjs",
            name: tfjs.name,
            run: (repeats) => tfjs.run(repeats),
            close: () => tfjs.close(),
            ...share(tfjs.ms, rounds),
          },
        });
  }
  const jax = await bindOurs(model, {}, "jax", clock);
  const { ms } = jax;
  const slow = tooSlow(ms);
  if (slow !== undefined) {
    await jax.compiled.dispose();
    return slow;
  }
  const bound = own("jax-js", "jax-js, wasm, jitted", jax, clock);
  return {
    ...answerOf(jax),
    bound: { ...bound, ...share(ms, rounds) },
  };
}

async function bindTorch(
  model: GradientModel,
  threads: number,
  python: string | undefined,
): Promise<Answer | { readonly reason: string }> {
  const peer = await openTorch(python, threads);
  if ("reason" in peer) {
    return peer;
  }
  const torch: TorchModel = await peer.bind(model);
  const { loss, gradients } = await torch.gradient();
  return {
    loss,
    gradients,
    bound: {
      key: "torch",
      name: `${torch.name}, ${threads} thread(s)`,
      run: (repeats) => torch.time(repeats),
      close: () => peer.close(),
    },
    step: {
      key: "torch-step",
      name: `${torch.name} with data and fused Adam's step, ${threads} thread(s)`,
      run: (repeats) => torch.timeStep(repeats),
      close: () => undefined,
    },
  };
}

/** Returns the milliseconds of one gradient. */
async function warmUp(run: Bound["run"]): Promise<number> {
  let ms = Number.POSITIVE_INFINITY;
  for (let runs = 0, spent = 0; runs < WARM_RUNS && spent < WARM_MS; runs++) {
    const took = await run(1);
    ms = Math.min(ms, took);
    spent += took;
    await breathe();
  }
  return ms;
}

function tooSlow(ms: number): { readonly reason: string } | undefined {
  return ms > LONGEST_MS ? { reason: `one gradient took ${(ms / 1000).toFixed(1)} s` } : undefined;
}

function share(ms: number, rounds: number): { rounds?: number } {
  return ms > SLOW_MS ? { rounds: Math.min(rounds, FEWEST_ROUNDS) } : {};
}

function answerOf({ loss, gradients }: Ours): Pick<Answer, "loss" | "gradients"> {
  return { loss, gradients: dataOf(gradients) };
}

/** The loss, and each leaf's gradient by itself. */
function compare(
  { name }: GradientModel,
  against: string,
  ours: Ours,
  { loss, gradients }: Pick<Answer, "loss" | "gradients">,
): OutputCheck[] {
  const check = (what: string, values: ArrayLike<number>, expected: ArrayLike<number>) =>
    checkOutputs("bench gradient", values, expected, {
      name: `${name}: ${what}`,
      against,
      tolerance: 1e-5,
      reason: "float32 sums of up to 65,536 products in another order",
    });
  return [
    check("loss", [ours.loss], [loss]),
    ...Object.entries(ours.gradients).map(([path, { data }]) =>
      check(path, data, gradients[path] ?? []),
    ),
  ];
}

function copyOf(leaves: Leaves<Float32Array>): Leaves<Float32Array> {
  return Object.fromEntries(
    Object.entries(leaves).map(([path, { shape, data }]) => [path, { shape, data: data.slice() }]),
  );
}

function dataOf(leaves: Leaves<Float32Array>): Readonly<Record<string, Float32Array>> {
  return Object.fromEntries(Object.entries(leaves).map(([path, { data }]) => [path, data]));
}
