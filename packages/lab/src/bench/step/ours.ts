/** Adastra's optimizers as contestants, and kernels that only move the same bytes. */

import {
  adai,
  adam,
  adamw,
  adashift,
  add,
  type Clock,
  type CompiledOptimizer,
  type CompileOptions,
  compileOptimizer,
  cpropAdam,
  defineOptimizer,
  delay,
  fastAdaBelief,
  mean,
  mul,
  type Optimizer,
  perElement,
  sgd,
  sub,
} from "@adastra/core";
import { every, gradientOf, LEARNING_RATE, type StepProblem } from "./problem.ts";
import { type Subject, timeEach } from "./subject.ts";

export interface StepEntry {
  /** As on the command line, and in the catalogue of `compare`. */
  readonly name: string;
  readonly title: string;
  readonly build: () => Optimizer;
  /** The same reads and writes with next to no arithmetic, pass by pass. */
  readonly traffic: Traffic;
  /** Steps after which the parameters have moved, so that comparing them says something; at least three. */
  readonly checkSteps: number;
  /** One of the methods whose time is held to that of its bytes. */
  readonly target: boolean;
}

export interface Traffic {
  readonly name: string;
  readonly build: () => Optimizer;
}

const LENGTH = 10; // of AdaShift's window

/** Reads p, g and one state, writes both but g. */
const oneState: Traffic = {
  name: "one state",
  build: () =>
    defineOptimizer("traffic", { a: perElement() }, ({ g, a }) => ({
      update: g,
      next: { a: add(a, g) },
    })),
};
/** Reads p, g and two states, writes all but g. Two equal states would be planned as one. */
const twoStates: Traffic = {
  name: "two states",
  build: () =>
    defineOptimizer("traffic", { a: perElement(), b: perElement() }, ({ g, a, b }) => ({
      update: g,
      next: { a: add(a, g), b: sub(b, g) },
    })),
};
/** Reads p, g and three states, writes all but g. */
const threeStates: Traffic = {
  name: "three states",
  build: () =>
    defineOptimizer(
      "traffic",
      { a: perElement(), b: perElement(), c: perElement() },
      ({ g, a, b, c }) => ({
        update: g,
        next: { a: add(a, g), b: sub(b, g), c: sub(g, c) },
      }),
    ),
};
/** Reads p, g, the gradient of ten steps ago and a state, writes p and the state. */
const ring: Traffic = {
  name: "ring of gradients",
  build: () =>
    defineOptimizer("traffic", { a: perElement() }, ({ g, a }) => ({
      update: delay(g, LENGTH),
      next: { a: add(a, g) },
    })),
};
/** Reads g and a state and writes that; then, once their mean is known, reads all five arrays and writes the other three. */
const twoPasses: Traffic = {
  name: "two passes",
  build: () =>
    defineOptimizer(
      "traffic",
      { a: perElement(), b: perElement(), c: perElement() },
      ({ g, a, b, c }) => {
        const v = add(a, g);
        const m = mean(v, "all");
        return { update: mul(m, g), next: { a: v, b: add(b, mul(m, v)), c: sub(c, mul(m, g)) } };
      },
    ),
};

export const entries: readonly StepEntry[] = [
  {
    name: "adam",
    title: "Adam",
    build: () => adam(),
    traffic: twoStates,
    checkSteps: 3,
    target: false,
  },
  {
    name: "adamw",
    title: "AdamW",
    build: () => adamw(),
    traffic: twoStates,
    checkSteps: 3,
    target: false,
  },
  {
    name: "momentum",
    title: "SGD, momentum 0.9",
    build: () => sgd({ momentum: 0.9 }),
    traffic: oneState,
    checkSteps: 3,
    target: false,
  },
  {
    name: "adashift",
    title: "AdaShift, max, n = 10",
    build: () => adashift({ n: LENGTH }),
    traffic: ring,
    checkSteps: LENGTH + 2,
    target: true,
  },
  {
    name: "adai",
    title: "Adai",
    build: () => adai(),
    traffic: twoPasses,
    checkSteps: 3,
    target: true,
  },
  {
    name: "fastadabelief",
    title: "FastAdaBelief",
    build: () => fastAdaBelief({ schedule: "constant" }),
    traffic: threeStates,
    checkSteps: 3,
    target: true,
  },
  {
    name: "cprop-adam",
    title: "CProp over Adam",
    build: () => cpropAdam(),
    traffic: threeStates,
    checkSteps: 3,
    target: true,
  },
];

/** What one pass reads and writes, in numbers an element. */
export interface PassTraffic {
  readonly reads: number;
  readonly writes: number;
}

/** The planned passes of an optimizer that runs one program over all leaves. Blocks whose windows are summed anew (one in 64) read more. */
export function trafficOf({ plans }: CompiledOptimizer): readonly PassTraffic[] {
  return (plans[0]?.step.passes ?? []).map(({ steady: { kernel } }) => ({
    reads: kernel.body.filter(({ op }) => op === "load").length,
    writes: kernel.stores.length,
  }));
}

/** Bytes read and written a float32 parameter, in one step. */
export function bytesOf(compiled: CompiledOptimizer): number {
  return trafficOf(compiled).reduce((sum, { reads, writes }) => sum + 4 * (reads + writes), 0);
}

/** An optimizer of ours, bound to the problem and timed while it is. */
export function bindOurs(
  optimizer: Optimizer,
  problem: StepProblem,
  clock: Clock,
  backend: NonNullable<CompileOptions["backend"]> = "auto",
): { readonly compiled: CompiledOptimizer<"float32">; readonly subject: Subject } {
  const began = clock.now();
  const compiled = compileFor(optimizer, problem, backend);
  const compileMs = clock.now() - began;
  return { compiled, subject: subjectOf(compiled, compileMs, problem, clock) };
}

function compileFor(
  optimizer: Optimizer,
  { tensors, start }: StepProblem,
  backend: NonNullable<CompileOptions["backend"]>,
): CompiledOptimizer<"float32"> {
  const params = Object.fromEntries(
    tensors.map(({ path, shape, begin, end }) => [
      path,
      { shape, data: start.subarray(begin, end) },
    ]),
  );
  return compileOptimizer(optimizer, { params, learningRate: LEARNING_RATE, backend });
}

function subjectOf(
  compiled: CompiledOptimizer<"float32">,
  compileMs: number,
  problem: StepProblem,
  clock: Clock,
): Subject {
  const write = (k: number): void => {
    const gradient = gradientOf(problem, k);
    const into = compiled.gradients;
    for (const { path, begin, end } of problem.tensors) {
      into[path]?.data.set(gradient.subarray(begin, end));
    }
  };
  return {
    compileMs,
    step: (k, repeats) => {
      write(k);
      return timeEach(clock, repeats, () => compiled.step());
    },
    params: (stride) => {
      const flat = new Float32Array(problem.size.parameters);
      for (const { path, begin } of problem.tensors) {
        flat.set(compiled.params[path]?.data ?? [], begin);
      }
      return every(stride, flat);
    },
    close: () => undefined,
  };
}

/** Copies as many bytes from one array to another as fast as the platform does: 4 read and 4 written a parameter. */
export function copySubject({ start }: StepProblem, clock: Clock): Subject {
  const [from, to] = [start.slice(), start.slice()];
  return {
    compileMs: 0,
    step: (_, repeats) => timeEach(clock, repeats, () => to.set(from)),
    params: (stride) => every(stride, to),
    close: () => undefined,
  };
}
