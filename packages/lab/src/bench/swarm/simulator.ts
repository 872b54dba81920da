/** Rounds of whole graphs in one process: what mixing, steps and the peers' loop cost without a network. */

import {
  createMixer,
  createTrainer,
  damsgrad,
  dpsgd,
  edgesOf,
  type Graph,
  type Method,
  metropolis,
  ring,
  simulate,
  type Trainer,
  torus,
} from "@adastra/swarm";
import type { Contestant } from "../interleave.ts";

type MethodName = "dpsgd" | "damsgrad";
const METHODS: Readonly<Record<MethodName, () => Method>> = { dpsgd, damsgrad };

export interface Simulated {
  readonly method: MethodName;
  readonly graph: Graph;
  readonly parameters: number;
}

/** Rings of 250 to 1,000 peers, and a torus with as many peers and twice the edges. */
export const simulated: readonly Simulated[] = [
  { method: "dpsgd", graph: ring(1000), parameters: 10_000 },
  { method: "damsgrad", graph: ring(1000), parameters: 10_000 },
  { method: "damsgrad", graph: ring(500), parameters: 10_000 },
  { method: "damsgrad", graph: ring(250), parameters: 10_000 },
  { method: "damsgrad", graph: torus(25, 40), parameters: 10_000 },
];

/** Rounds before the clock counts: arrays are made then. */
const WARM = 4;
const ROUNDS = 6;

export function titleOf({ method, graph, parameters }: Simulated): string {
  const shape = graph.name.startsWith("torus") ? "torus" : graph.name;
  return `${method}, ${graph.peers} peers on a ${shape}, ${parameters.toLocaleString("en")} parameters`;
}

export function edgesIn({ graph }: Simulated): number {
  return edgesOf(graph).length;
}

/** A simulation whose time is that of a round; peers have quadratics of their own. */
export function contestantOf(entry: Simulated, now: () => number): Contestant {
  const { method, graph, parameters } = entry;
  const { peers } = graph;
  const start = Float32Array.from({ length: parameters }, (_, i) => Math.sin(i));
  return {
    name: titleOf(entry),
    run: async () => {
      let [ended, began, took] = [0, 0, Number.NaN];
      let mixer: ReturnType<typeof createMixer> | undefined;
      await simulate({
        mixing: metropolis(graph),
        rounds: WARM + ROUNDS,
        trainer: (peer): Trainer => {
          const trainer = createTrainer({
            method: METHODS[method](),
            params: { x: { shape: [parameters], data: start } },
            learningRate: 0.01,
            ...(mixer && { mixer }),
            gradient: ({ x }, { x: gradient }) => {
              pullTo(peer / peers, x?.data as Float32Array, gradient?.data as Float32Array);
              return 0;
            },
          });
          mixer ??= createMixer(trainer.vectors * trainer.parameters, trainer.dtype);
          return trainer;
        },
        onRound: () => {
          ended += 1;
          if (ended === WARM * peers) {
            began = now();
          } else if (ended === (WARM + ROUNDS) * peers) {
            took = (now() - began) / ROUNDS;
          }
        },
      });
      return took;
    },
  };
}

/** The gradient of ½ Σ (x − c)². */
function pullTo(c: number, x: Float32Array, gradient: Float32Array): void {
  for (let i = 0; i < gradient.length; i++) {
    gradient[i] = (x[i] as number) - c;
  }
}
