/** What a peer tells of itself: counters and gauges in Prometheus' text format, on loopback alone. */

import { createServer, type Server } from "node:http";
import type { RoundReport, Traffic } from "@adastra/swarm";
import { Counter, Gauge, Registry } from "prom-client";

export interface PeerMetrics {
  observe(report: RoundReport, stallMs: number, traffic: Traffic): void;
  close(): Promise<void>;
}

const PREFIX = "adastra_swarm_";

/**
 * Serves `/metrics` on 127.0.0.1.
 *
 * @param port - 0 takes a free one; see `port` of what is returned.
 */
export async function serveMetrics(port: number): Promise<PeerMetrics & { readonly port: number }> {
  const registry = new Registry();
  const gauge = (name: string, help: string): Gauge =>
    new Gauge({ name: `${PREFIX}${name}`, help, registers: [registry] });
  const gauges = {
    round: gauge("round", "The round that ended last"),
    loss: gauge("loss", "Loss of the last gradient"),
    distance: gauge("distance", "Root mean square distance of parameters from the neighbours'"),
    awaited: gauge("neighbors_awaited", "Neighbours that are waited for"),
    stall: gauge("longest_stall_seconds", "Longest time between the ends of two rounds"),
    duration: gauge("round_seconds", "Duration of the last round"),
    sent: gauge("sent_bytes", "Bytes of frames sent so far"),
    received: gauge("received_bytes", "Bytes of frames received so far"),
  };
  const edges = new Counter({
    name: `${PREFIX}edges_total`,
    help: "Ends of edges of rounds by how they ended",
    labelNames: ["outcome"],
    registers: [registry],
  });
  const refused = new Gauge({
    name: `${PREFIX}refused`,
    help: "What was refused so far, by what was wrong with it",
    labelNames: ["fault"],
    registers: [registry],
  });
  const server = createServer((request, response) => {
    if (request.url !== "/metrics") {
      response.writeHead(404).end();
      return;
    }
    void registry.metrics().then((text) => {
      response.writeHead(200, { "content-type": registry.contentType }).end(text);
    });
  });
  await listen(server, port);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    observe: (report, stallMs, traffic) => {
      gauges.round.set(report.round);
      gauges.loss.set(report.loss);
      gauges.distance.set(report.distance);
      gauges.awaited.set(report.awaited);
      gauges.duration.set(report.ms / 1000);
      gauges.stall.set(stallMs / 1000);
      gauges.sent.set(traffic.sent);
      gauges.received.set(traffic.received);
      for (const outcome of ["mixed", "dropped", "unknown", "late"] as const) {
        edges.inc({ outcome }, report[outcome]);
      }
      for (const [fault, count] of Object.entries(traffic.refused)) {
        refused.set({ fault }, count);
      }
    },
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
}
