/** Small runs for tests: peers with quadratics of their own, or whatever gradient a test gives them. */

import { adam, adashift, mulberry32 } from "@adastra/core";
import { dadagrad } from "../methods/dAdagrad.ts";
import { dadam } from "../methods/dAdam.ts";
import { damsgrad } from "../methods/dAmsgrad.ts";
import { dpsgd } from "../methods/dPsgd.ts";
import { decentralized, type Method } from "../methods/framework.ts";
import type { Mixing } from "../mixing/mixing.ts";
import type { Peer } from "../protocol/message.ts";
import { createTrainer, type Trainer } from "../train/trainer.ts";
import { type SimulateOptions, type Simulation, simulate } from "./simulate.ts";

/** Every method, delayed and not; ε where steps stay short. */
export const METHODS: readonly (readonly [name: string, make: () => Method])[] = [
  ["dpsgd", () => dpsgd()],
  ["dadam", () => dadam({ b2: 0.99, eps: 1e-2 })],
  ["damsgrad", () => damsgrad({ b2: 0.99, eps: 1e-2 })],
  ["damsgrad, not delayed", () => damsgrad({ b2: 0.99, eps: 1e-2, delayed: false })],
  ["dadagrad", () => dadagrad({ eps: 1e-2 })],
  ["dadagrad, not delayed", () => dadagrad({ eps: 1e-2, delayed: false })],
  ["decentralized Adam", () => decentralized(adam(), { eps: 1e-2 })],
  ["decentralized AdaShift", () => decentralized(adashift({ n: 3 }), { eps: 1e-2 })],
  [
    "decentralized AdaShift by elements, not delayed",
    () => decentralized(adashift({ n: 2, phi: "none" }), { eps: 1e-2, delayed: false }),
  ],
];

export interface TestRun extends Partial<Omit<SimulateOptions, "trainer" | "mixing" | "rounds">> {
  readonly mixing: Mixing;
  readonly method: Method;
  readonly rounds: number;
  readonly learningRate?: number;
  readonly dtype?: "float32" | "float64";
  readonly localSteps?: number;
  /** Where a peer starts; the same everywhere by default. */
  readonly start?: (peer: Peer) => ArrayLike<number>;
  /** Writes a peer's gradient; by default that of ½ Σ aᵢ (x − cᵢ)² with a and c of its own. */
  readonly gradient?: (
    peer: Peer,
    x: ArrayLike<number>,
    g: Float32Array | Float64Array,
    step: number,
  ) => void;
}

/** Elements of the default start. */
export const SIZE = 6;

export function runTest({
  mixing,
  method,
  rounds,
  learningRate = 0.01,
  dtype = "float64",
  localSteps = 1,
  start = () => Float64Array.from({ length: SIZE }, (_, i) => Math.sin(i + 1)),
  gradient = quadratic,
  ...options
}: TestRun): Promise<Simulation> {
  const trainer = (peer: Peer): Trainer => {
    const from = Float64Array.from(start(peer));
    return createTrainer({
      method,
      params: { x: { shape: [from.length], data: from } },
      learningRate,
      dtype,
      localSteps,
      gradient: (params, gradients, step) => {
        gradient(peer, params["x"]!.data, gradients["x"]!.data, step);
        return 0;
      },
    });
  };
  return simulate({ ...options, mixing, rounds, trainer });
}

function quadratic(peer: Peer, x: ArrayLike<number>, g: Float32Array | Float64Array): void {
  const random = mulberry32(peer + 1);
  for (let i = 0; i < g.length; i++) {
    const [a, c] = [0.5 + 2 * random.next(), random.normal()];
    g[i] = a * ((x[i] as number) - c);
  }
}

/** A vector of a trainer: its parameters, or state by key. */
export function vectorOf({ optimizer }: Trainer, key: "p" | "utilde" | "vhat"): number[] {
  const leaves = key === "p" ? optimizer.params : optimizer.views(key);
  return Object.values(leaves).flatMap(({ data }) => Array.from(data));
}

/** Elementwise mean over the peers. */
export function meanOf(trainers: readonly Trainer[], key: "p" | "utilde" | "vhat"): number[] {
  const all = trainers.map((trainer) => vectorOf(trainer, key));
  return (all[0] ?? []).map(
    (_, i) => all.reduce((sum, vector) => sum + (vector[i] as number), 0) / all.length,
  );
}

/** Largest difference of two vectors. */
export function gap(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Math.max(...Array.from(a, (x, i) => Math.abs(x - (b[i] as number))));
}
