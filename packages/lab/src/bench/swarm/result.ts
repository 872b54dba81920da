/** What `adastra bench swarm` measures, as its JSON has it. */

import type { Stamp } from "../environment.ts";
import type { Timing } from "../interleave.ts";

export interface TransportRow extends Timing {
  readonly key: "libp2p" | "tcp";
  /** Median of the CPU time of all peers in a round. */
  readonly cpuMs: number;
}

/** Exchanges of one size. */
export interface TransportResult {
  readonly parameters: number;
  /** Values that arrived changed in the round that was compared, over each. */
  readonly wrong: Readonly<Record<"libp2p" | "tcp", number>>;
  /** Bytes that came over one edge in a round, and their share of 8 bytes a parameter. */
  readonly bytesPerEdge: number;
  readonly byteRatio: number;
  readonly rows: readonly TransportRow[];
}

export interface SimulatorRow extends Timing {
  readonly method: "dpsgd" | "damsgrad";
  readonly graph: string;
  readonly peers: number;
  readonly edges: number;
  readonly parameters: number;
  /** Of the median. */
  readonly roundsPerSecond: number;
}

export interface TargetResult {
  readonly target: string;
  readonly limit: number;
  readonly atLeast: boolean;
  /** Of medians, and of minima where there are any; null where it was not measured. */
  readonly value: number | null;
  readonly ofMinima: number | null;
  readonly status: "met" | "missed" | "not measured";
}

export interface SwarmBenchResult {
  readonly question: "swarm";
  readonly environment: Stamp;
  readonly rounds: number;
  readonly transport: readonly TransportResult[];
  readonly simulator: readonly SimulatorRow[];
  readonly targets: readonly TargetResult[];
  readonly interrupted: boolean;
}

/** An exchange takes at most three times that of plain TCP and 2 % more bytes; a thousand peers take ten rounds a second. */
export function judge(
  transport: readonly TransportResult[],
  simulator: readonly SimulatorRow[],
): readonly TargetResult[] {
  const exchanges = transport.flatMap(({ parameters, byteRatio, rows }) => {
    const [ours, tcp] = (["libp2p", "tcp"] as const).map((key) =>
      rows.find((row) => row.key === key),
    );
    const size = `${parameters.toLocaleString("en")} parameters`;
    const ratio = (of: (row: Timing) => number): number | null =>
      ours === undefined || tcp === undefined ? null : of(ours) / of(tcp);
    return [
      target(`${size}: a round over libp2p, against TCP`, 3, false, {
        value: ratio(({ medianMs }) => medianMs),
        ofMinima: ratio(({ minMs }) => minMs),
      }),
      target(`${size}: bytes of an edge, against 8 a parameter`, 1.02, false, {
        value: byteRatio,
        ofMinima: null,
      }),
    ];
  });
  const large = simulator.filter(({ peers, graph }) => peers === 1000 && graph === "ring");
  return [
    ...exchanges,
    ...large.map(({ method, peers, parameters, roundsPerSecond, minMs }) =>
      target(
        `${method}, ${peers} peers on a ring, ${parameters.toLocaleString("en")} parameters: rounds a second`,
        10,
        true,
        { value: roundsPerSecond, ofMinima: 1000 / minMs },
      ),
    ),
  ];
}

function target(
  title: string,
  limit: number,
  atLeast: boolean,
  measured: Pick<TargetResult, "value" | "ofMinima">,
): TargetResult {
  const { value } = measured;
  const holds = value !== null && (atLeast ? value >= limit : value <= limit);
  const status = value === null ? "not measured" : holds ? "met" : "missed";
  return { target: title, limit, atLeast, ...measured, status };
}
