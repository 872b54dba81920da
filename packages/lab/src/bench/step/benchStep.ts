/**
 * How long does an optimizer step take, and how close is that to moving its bytes?
 *
 * Each size on its own: everything is bound to the same parameters, takes three steps with the same gradients,
 * and is compared; then all of it is timed in one interleaved run.
 */

import type { Clock } from "@adastra/core";
import { checkOutputs, type OutputCheck, relativeDifference } from "../compareOutputs.ts";
import type { Stamp } from "../environment.ts";
import { breathe, interleave } from "../interleave.ts";
import { bindOurs, bytesOf, copySubject, type StepEntry, type Traffic } from "./ours.ts";
import type { PeerName } from "./peers/index.ts";
import { bindPlainAdam } from "./peers/plain.ts";
import { createProblem, type StepProblem, strideOf } from "./problem.ts";
import type { SizeResult, StepResult, StepRow } from "./result.ts";
import type { StepSize } from "./sizes.ts";
import type { LeftOut, Peer, Subject } from "./subject.ts";
import { judge } from "./targets.ts";

export interface StepPlan {
  readonly sizes: readonly StepSize[];
  readonly entries: readonly StepEntry[];
  readonly peers: ReadonlyMap<PeerName, Peer | LeftOut>;
  /** The most rounds of a contestant. */
  readonly rounds: number;
}

export interface StepWorld {
  readonly clock: Clock;
  readonly environment: Stamp;
  /** Ends after the step that is under way; what is finished is kept. */
  readonly signal?: AbortSignal;
  /** Told the share done, from 0 to 1, and what is being done. */
  readonly onProgress?: (share: number, doing: string) => void;
}

/** One that takes too long for all rounds takes part in as many as fit into this, but in three. */
const SHARE_MS = 4000;
const FEWEST_ROUNDS = 3;
/** A run below this is repeated: the clock's own grain and call would show. */
const SHORTEST_MS = 1;
const MOST_REPEATS = 1000;
/**
 * Steps before the clock counts: every slot of AdaShift's ring has held a gradient, and V8 has optimised.
 * Then as many in turn with the others: the first touch of a page after all have been bound costs an access
 * to its entry in the page table, and a ring of ten slots meets that in ten steps, other arrays in one.
 */
const WARM_STEPS = 12;
const WARM_MS = 30;
const SLOW_MS = 500;
const CHECK_STEPS = 3;

interface Bound extends Pick<StepRow, "name" | "kind" | "key" | "bytes"> {
  readonly subject: Subject;
  readonly firstStepMs: number;
}

/** @throws Error when an output does not agree with what it is compared with; nothing of that size was timed then. */
export async function benchStep(plan: StepPlan, world: StepWorld): Promise<StepResult> {
  const sizes: SizeResult[] = [];
  const weights = plan.sizes.map(({ parameters }) => 1 + parameters / 1e5);
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  let before = 0;
  for (const [i, size] of plan.sizes.entries()) {
    if (world.signal?.aborted) {
      break;
    }
    const weight = weights[i] as number;
    const onProgress = (share: number, doing: string): void =>
      world.onProgress?.((before + share * weight) / all, `${size.name}: ${doing}`);
    sizes.push(await measureSize(size, plan, { ...world, onProgress }));
    before += weight;
  }
  return {
    question: "step",
    environment: world.environment,
    rounds: plan.rounds,
    sizes: sizes.filter(({ rows }) => rows.length > 0),
    targets: judge(sizes),
    interrupted: world.signal?.aborted ?? false,
  };
}

/** Binding and checking is about half of the work. */
const BINDING_SHARE = 0.5;

async function measureSize(
  size: StepSize,
  plan: StepPlan,
  world: StepWorld & Required<Pick<StepWorld, "onProgress">>,
): Promise<SizeResult> {
  const { clock, signal, onProgress } = world;
  onProgress(0, "preparing");
  const problem = createProblem(size);
  const bound: Bound[] = [];
  const checks: OutputCheck[] = [];
  const leftOut: LeftOut[] = [];
  let complete = false;
  let rows: readonly StepRow[] = [];
  const binders = contestantsOf(plan, problem, clock, checks, leftOut);
  try {
    for (const [i, bind] of binders.entries()) {
      if (signal?.aborted) {
        break;
      }
      onProgress((BINDING_SHARE * i) / binders.length, "binding and comparing");
      const contestant = await bind();
      if (contestant !== undefined) {
        bound.push(contestant);
      }
      await breathe();
    }
    if (!signal?.aborted) {
      ({ rows, complete } = await timeAll(bound, plan.rounds, world));
    }
  } finally {
    for (const { subject } of bound) {
      await subject.close();
    }
  }
  return {
    name: size.name,
    description: size.description,
    parameters: size.parameters,
    tensors: size.shapes.length,
    checks,
    rows,
    leftOut,
    complete,
  };
}

/** Each binds one contestant and compares what it computes; checks and peers left out are noted on the way. */
function contestantsOf(
  { entries, peers }: StepPlan,
  problem: StepProblem,
  clock: Clock,
  checks: OutputCheck[],
  leftOut: LeftOut[],
): readonly (() => Promise<Bound | undefined>)[] {
  const stride = strideOf(problem);
  const plain = lazy(async () => {
    const subject = bindPlainAdam(problem, clock);
    await takeSteps(subject);
    return subject;
  });
  const own = entries.map((entry) => async (): Promise<Bound> => {
    const { compiled, subject } = bindOurs(entry.build(), problem, clock);
    const firstStepMs = await takeSteps(subject, entry.checkSteps);
    checks.push(await checkAgainstJavaScript(entry, subject, problem, clock));
    if (entry.name === "adam") {
      const expected = await (await plain()).params(stride);
      checks.push(checkAdam(entry.title, await subject.params(stride), expected));
    }
    return {
      name: compiled.backend === "wasm" ? entry.title : `${entry.title} on ${compiled.backend}`,
      kind: "adastra",
      key: entry.name,
      bytes: bytesOf(compiled),
      subject,
      firstStepMs,
    };
  });
  const traffic = trafficsOf(entries).map(({ traffic, users }) => async (): Promise<Bound> => {
    const { compiled, subject } = bindOurs(traffic.build(), problem, clock);
    return {
      name: `bytes alone of ${users.map(({ title }) => title.split(",")[0]).join(", ")}`,
      kind: "traffic",
      key: users.map(({ name }) => name).join(","),
      bytes: bytesOf(compiled),
      subject,
      firstStepMs: await takeSteps(subject),
    };
  });
  const copy = async (): Promise<Bound> => {
    const subject = copySubject(problem, clock);
    const firstStepMs = await takeSteps(subject);
    return { name: "copy", kind: "copy", key: "copy", bytes: 8, subject, firstStepMs };
  };
  const others = [...peers].map(([key, peer]) => async (): Promise<Bound | undefined> => {
    if ("reason" in peer) {
      leftOut.push(peer);
      return undefined;
    }
    let subject: Subject | undefined;
    let values: ArrayLike<number>;
    let firstStepMs: number;
    try {
      subject = await peer.bind(problem, clock);
      firstStepMs = await takeSteps(subject);
      values = await subject.params(stride);
    } catch (error) {
      await subject?.close();
      leftOut.push({
        name: peer.name,
        reason: error instanceof Error ? error.message : String(error),
      });
      return undefined;
    }
    if (key !== "plain") {
      checks.push(checkAdam(peer.name, values, await (await plain()).params(stride)));
    }
    return { name: peer.name, kind: "peer", key, bytes: null, subject, firstStepMs };
  });
  return [...own, ...traffic, copy, ...others];
}

/** At least three steps, with each gradient; returns the milliseconds of the first. */
async function takeSteps(subject: Subject, steps = CHECK_STEPS): Promise<number> {
  const first = await subject.step(0, 1);
  for (let k = 1; k < steps; k++) {
    await subject.step(k, 1);
  }
  return first;
}

async function checkAgainstJavaScript(
  { title, build, checkSteps }: StepEntry,
  subject: Subject,
  problem: StepProblem,
  clock: Clock,
): Promise<OutputCheck> {
  const { subject: reference } = bindOurs(build(), problem, clock, "js");
  await takeSteps(reference, checkSteps);
  const values = await subject.params(1);
  if (relativeDifference(values, problem.start) === 0) {
    throw new Error(
      `bench step: ${title} must have moved its parameters in ${checkSteps} steps, got those it began with`,
    );
  }
  return checkOutputs("bench step", values, await reference.params(1), {
    name: title,
    against: "its JavaScript backend",
    tolerance: 0,
    reason: "all backends give the same bits",
  });
}

function checkAdam(
  name: string,
  values: ArrayLike<number>,
  expected: ArrayLike<number>,
): OutputCheck {
  return checkOutputs("bench step", values, expected, {
    name,
    against: "the plain JavaScript loop",
    // Without bias correction, or with ε inside the root, the difference is 1e-4 and more.
    tolerance: 1e-6,
    reason:
      "three float32 steps of 1e-3 on parameters of size 1: a few roundings of 6e-8, and β₂ᵗ in float32 changes a step by 3e-5 of itself",
  });
}

/** Traffic kernels by what they move, each once, with the optimizers whose bytes they move. */
function trafficsOf(
  entries: readonly StepEntry[],
): readonly { readonly traffic: Traffic; readonly users: readonly StepEntry[] }[] {
  const kinds = [...new Set(entries.map(({ traffic }) => traffic))];
  return kinds.map((traffic) => ({
    traffic,
    users: entries.filter((entry) => entry.traffic === traffic),
  }));
}

async function timeAll(
  bound: readonly Bound[],
  rounds: number,
  { signal, onProgress }: StepWorld & Required<Pick<StepWorld, "onProgress">>,
): Promise<Pick<SizeResult, "rows" | "complete">> {
  const plans: { readonly rounds: number; readonly repeats: number }[] = [];
  for (const { subject } of bound) {
    if (signal?.aborted) {
      return { rows: [], complete: false };
    }
    onProgress(BINDING_SHARE, "warming up");
    const stepMs = await warmUp(subject);
    const repeats = Math.min(MOST_REPEATS, Math.max(1, Math.round(SHORTEST_MS / stepMs)));
    const fit = Math.floor(SHARE_MS / (stepMs * repeats));
    plans.push({ rounds: Math.min(rounds, Math.max(FEWEST_ROUNDS, fit)), repeats });
    await breathe();
  }
  let k = 0;
  const timings = await interleave(
    bound.map(({ subject }, i) => ({
      name: String(i),
      rounds: plans[i]?.rounds ?? rounds,
      run: () => subject.step(k++, plans[i]?.repeats ?? 1),
    })),
    {
      rounds,
      warmups: WARM_STEPS,
      ...(signal !== undefined && { signal }),
      onRound: (done) =>
        onProgress(
          BINDING_SHARE + (1 - BINDING_SHARE) * (done / rounds),
          `round ${done} of ${rounds}`,
        ),
    },
  );
  const rows = timings.map(({ name, ...timing }): StepRow => {
    const { subject, ...contestant } = bound[Number(name)] as Bound;
    const { compileMs } = subject;
    return { ...contestant, ...timing, compileMs, repeats: plans[Number(name)]?.repeats ?? 1 };
  });
  const complete = timings.every(({ name, rounds: done }) => done === plans[Number(name)]?.rounds);
  return { rows, complete: complete && rows.length === bound.length };
}

/** Steps until nothing changes any more; returns the shortest. */
async function warmUp(subject: Subject): Promise<number> {
  let shortest = Number.POSITIVE_INFINITY;
  let spent = 0;
  for (let step = 0; (step < WARM_STEPS || spent < WARM_MS) && spent < SLOW_MS; step++) {
    const ms = await subject.step(step, 1);
    shortest = Math.min(shortest, ms);
    spent += ms;
  }
  return shortest;
}

function lazy<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
