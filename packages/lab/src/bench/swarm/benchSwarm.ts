/** How fast do peers exchange and mix: real ones against plain TCP, and a thousand in one process? */

import type { Clock } from "@adastra/core";
import type { Stamp } from "../environment.ts";
import { interleave } from "../interleave.ts";
import { judge, type SimulatorRow, type SwarmBenchResult, type TransportResult } from "./result.ts";
import { contestantOf, edgesIn, type Simulated, titleOf } from "./simulator.ts";
import { benchTransport } from "./transport.ts";

/** Packages whose versions a result states. */
export const swarmPackages: readonly string[] = ["libp2p", "@chainsafe/libp2p-noise"];

export interface SwarmBenchPlan {
  /** Parameters of an exchange. */
  readonly sizes: readonly number[];
  readonly simulated: readonly Simulated[];
  readonly rounds: number;
  /** Simulations of each graph. */
  readonly simulations: number;
}

export interface SwarmBenchWorld {
  readonly clock: Clock;
  readonly environment: Stamp;
  readonly signal?: AbortSignal;
  readonly onProgress?: (share: number, doing: string) => void;
}

/** @throws Error where values arrive changed; nothing of that size was timed then. */
export async function benchSwarm(
  { sizes, simulated, rounds, simulations }: SwarmBenchPlan,
  { clock, environment, signal, onProgress }: SwarmBenchWorld,
): Promise<SwarmBenchResult> {
  const now = (): number => clock.now();
  const stages = sizes.length + (simulated.length > 0 ? 1 : 0);
  const tell = (stage: number, share: number, doing: string): void =>
    onProgress?.((stage + share) / stages, doing);
  const watch = signal === undefined ? {} : { signal };
  const transport: TransportResult[] = [];
  for (const [stage, parameters] of sizes.entries()) {
    if (signal?.aborted) {
      break;
    }
    const doing = `${parameters.toLocaleString("en")} parameters`;
    tell(stage, 0, `${doing}: connecting`);
    const result = await benchTransport(parameters, rounds, {
      now,
      ...watch,
      onRound: (done) => tell(stage, done / rounds, `${doing}: round ${done}`),
    });
    if (result.rows.length === 2) {
      transport.push(result);
    }
  }
  tell(sizes.length, 0, "simulating");
  const timings = await interleave(
    simulated.map((entry) => contestantOf(entry, now)),
    {
      rounds: simulations,
      ...watch,
      onRound: (done) => tell(sizes.length, done / simulations, `simulation ${done}`),
    },
  );
  const simulator = timings.map((timing): SimulatorRow => {
    const entry = simulated.find((each) => titleOf(each) === timing.name) as Simulated;
    const { method, graph, parameters } = entry;
    return {
      ...timing,
      method,
      graph: graph.name,
      peers: graph.peers,
      edges: edgesIn(entry),
      parameters,
      roundsPerSecond: 1000 / timing.medianMs,
    };
  });
  return {
    question: "swarm",
    environment,
    rounds,
    transport,
    simulator,
    targets: judge(transport, simulator),
    interrupted: signal?.aborted ?? false,
  };
}
