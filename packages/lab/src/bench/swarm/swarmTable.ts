/** The tables a run of `adastra bench swarm` ends with. */

import { align } from "../../cli/resultTable.ts";
import { describeStamp } from "../environment.ts";
import type { SwarmBenchResult } from "./result.ts";

const ms = (value: number): string => value.toPrecision(3);

export function renderSwarmTable(result: SwarmBenchResult): string {
  return [
    "Peers: exchanges of a ring of four processes on loopback, and whole graphs simulated in one process. Milliseconds a round.",
    describeStamp(result.environment),
    "",
    ...result.transport.flatMap(({ parameters, byteRatio, wrong, rows }) => [
      `${parameters.toLocaleString("en")} parameters, two vectors to both neighbours`,
      ...align([
        ["", "min", "median", "spread", "CPU of all", "rounds"],
        ...rows.map(({ name, minMs, medianMs, spread, cpuMs, rounds }) => [
          name,
          ms(minMs),
          ms(medianMs),
          spread.toFixed(2),
          ms(cpuMs),
          String(rounds),
        ]),
      ]).map((line) => `  ${line}`),
      `  compared before timing: ${wrong.libp2p} arrays of libp2p and ${wrong.tcp} of TCP arrived changed; ${byteRatio.toFixed(5)} times 8 bytes a parameter went over an edge`,
      "",
    ]),
    ...(result.simulator.length === 0
      ? []
      : [
          "simulated",
          ...align([
            ["", "edges", "min", "median", "spread", "rounds a second", "ns an edge and parameter"],
            ...result.simulator.map((row) => [
              row.name,
              String(row.edges),
              ms(row.minMs),
              ms(row.medianMs),
              row.spread.toFixed(2),
              row.roundsPerSecond.toFixed(1),
              ((1e6 * row.medianMs) / row.edges / row.parameters).toFixed(2),
            ]),
          ]).map((line) => `  ${line}`),
          "",
        ]),
    "targets, by medians (minima)",
    ...align(
      result.targets.map(({ target, limit, atLeast, value, ofMinima, status }) => [
        `  ${status}`,
        target,
        value === null
          ? ""
          : `${value.toPrecision(3)}${ofMinima === null ? "" : ` (${ofMinima.toPrecision(3)})`} of at ${atLeast ? "least" : "most"} ${limit}`,
      ]),
    ),
    ...(result.interrupted ? ["", "interrupted: the tables hold what was finished"] : []),
    "",
  ].join("\n");
}
