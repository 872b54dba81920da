import { ring } from "@adastra/swarm";
import { describe, expect, test } from "vitest";
import { benchSwarm } from "./benchSwarm.ts";
import { judge, type SimulatorRow, type TransportResult } from "./result.ts";
import { renderSwarmTable } from "./swarmTable.ts";

const environment = {
  cpu: "a cpu",
  cores: 2,
  os: "linux",
  node: "v20",
  flags: "",
  revision: "abc",
  clean: true,
  load: [0, 0, 0],
  date: "2026-01-02",
  packages: {},
};
const timing = { rounds: 3, spread: 1 };

describe("bench swarm", () => {
  test("compares what arrives, then times real peers and simulated ones", async () => {
    const doing: string[] = [];
    const result = await benchSwarm(
      {
        sizes: [1000],
        simulated: [{ method: "damsgrad", graph: ring(4), parameters: 10 }],
        rounds: 2,
        simulations: 1,
      },
      { clock: performance, environment, onProgress: (_, what) => doing.push(what) },
    );
    const [exchange] = result.transport;
    expect(exchange?.wrong).toEqual({ libp2p: 0, tcp: 0 });
    // Two vectors of 1,000 numbers of 4 bytes; frames and settlements come to less than a hundred bytes.
    expect(exchange?.byteRatio).toBeGreaterThan(1);
    expect(exchange?.byteRatio).toBeLessThan(1.02);
    expect(exchange?.rows.map(({ key }) => key)).toEqual(["libp2p", "tcp"]);
    for (const { minMs, medianMs } of [...(exchange?.rows ?? []), ...result.simulator]) {
      expect(minMs).toBeGreaterThan(0);
      expect(medianMs).toBeGreaterThanOrEqual(minMs);
    }
    expect(result.simulator).toMatchObject([{ method: "damsgrad", peers: 4, edges: 4 }]);
    expect(doing).toContain("1,000 parameters: round 2");
    const table = renderSwarmTable(result);
    expect(table).toContain("0 arrays of libp2p and 0 of TCP arrived changed");
    expect(table).toContain("damsgrad, 4 peers on a ring, 10 parameters");
  });

  test("stopped before it began, it has nothing and says so", async () => {
    const result = await benchSwarm(
      { sizes: [1000], simulated: [], rounds: 2, simulations: 1 },
      { clock: performance, environment, signal: AbortSignal.abort() },
    );
    expect(result).toMatchObject({ transport: [], simulator: [], targets: [], interrupted: true });
    expect(renderSwarmTable(result)).toContain("interrupted");
  });

  test("targets are ratios to TCP, bytes, and rounds a second of a thousand peers", () => {
    const row = (key: "libp2p" | "tcp", minMs: number, medianMs: number) => ({
      ...timing,
      key,
      name: key,
      minMs,
      medianMs,
      cpuMs: 1,
    });
    const exchange: TransportResult = {
      parameters: 1e6,
      wrong: { libp2p: 0, tcp: 0 },
      bytesPerEdge: 8.1e6,
      byteRatio: 1.0125,
      rows: [row("libp2p", 20, 35), row("tcp", 10, 10)],
    };
    const simulation = (graph: string, peers: number): SimulatorRow => ({
      ...timing,
      name: "",
      method: "dpsgd",
      graph,
      peers,
      edges: peers,
      parameters: 10_000,
      minMs: 80,
      medianMs: 90,
      roundsPerSecond: 1000 / 90,
    });
    const targets = judge(
      [exchange, { ...exchange, rows: [] }],
      [simulation("ring", 1000), simulation("ring", 500), simulation("torus", 1000)],
    );
    expect(targets.map(({ value, ofMinima, status }) => [value, ofMinima, status])).toEqual([
      [3.5, 2, "missed"],
      [1.0125, null, "met"],
      [null, null, "not measured"],
      [1.0125, null, "met"],
      [1000 / 90, 12.5, "met"],
    ]);
  });
});
