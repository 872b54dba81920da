/**
 * What does a round's exchange over libp2p cost, against the same bytes over plain TCP?
 *
 * A ring of four processes on loopback. In a round every peer sends two vectors to both neighbours and has theirs; rounds
 * alternate between the two. What arrives is compared before timing.
 */

import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median } from "../../compare/statistics.ts";
import { compiledScript } from "../../compiledScript.ts";
import { freePorts } from "../../freePorts.ts";
import { interleave } from "../interleave.ts";
import { PEERS } from "./exchange.ts";
import type { TransportResult } from "./result.ts";

/** What a peer is told. */
export type Ask =
  | { readonly ports: readonly number[] }
  | { readonly over: "libp2p" | "tcp"; readonly round: number; readonly compare: boolean };

export interface Reply {
  /** Arrays that came changed. */
  readonly wrong: number;
  readonly received: number;
  readonly cpuMs: number;
}

export interface TransportWatch {
  readonly now: () => number;
  readonly signal?: AbortSignal;
  readonly onRound?: (done: number) => void;
}

const SCRIPT = fileURLToPath(compiledScript(import.meta.url, "./exchangePeer.js"));

const KINDS = ["libp2p", "tcp"] as const;
const WARMUPS = 3;

export async function benchTransport(
  parameters: number,
  rounds: number,
  { now, signal, onRound }: TransportWatch,
): Promise<TransportResult> {
  const children = Array.from({ length: PEERS }, (_, peer) =>
    fork(SCRIPT, [String(peer), String(parameters)], { execArgv: [] }),
  );
  const askAll = (what: Ask): Promise<Reply[]> =>
    Promise.all(children.map((child) => ask(child, what)));
  try {
    await askAll({ ports: await freePorts(2 * PEERS) });
    const wrong = { libp2p: 0, tcp: 0 };
    let bytesPerEdge = Number.NaN;
    for (const over of KINDS) {
      const replies = await askAll({ over, round: 0, compare: true });
      wrong[over] = replies.reduce((sum, reply) => sum + reply.wrong, 0);
      if (over === "libp2p") {
        bytesPerEdge = (replies[0] as Reply).received / 2;
      }
    }
    if (wrong.libp2p + wrong.tcp > 0) {
      throw new Error(
        `bench swarm: what arrives must be what was sent, got ${wrong.libp2p} arrays of libp2p and ${wrong.tcp} of TCP changed`,
      );
    }
    let round = 0;
    const cpu: Record<"libp2p" | "tcp", number[]> = { libp2p: [], tcp: [] };
    const contestants = KINDS.map((over) => ({
      name: over === "tcp" ? "TCP" : over,
      run: async () => {
        round += 1;
        const start = now();
        const replies = await askAll({ over, round, compare: false });
        cpu[over].push(replies.reduce((sum, { cpuMs }) => sum + cpuMs, 0));
        return now() - start;
      },
    }));
    const timings = await interleave(contestants, {
      rounds,
      warmups: WARMUPS,
      ...(signal !== undefined && { signal }),
      ...(onRound !== undefined && { onRound }),
    });
    return {
      parameters,
      wrong,
      bytesPerEdge,
      byteRatio: bytesPerEdge / (8 * parameters),
      rows: timings.map((timing) => {
        const key = timing.name === "TCP" ? "tcp" : "libp2p";
        return { key, ...timing, cpuMs: median(cpu[key]) };
      }),
    };
  } finally {
    children.forEach((child) => child.kill());
  }
}

/** @throws Error where the process ends instead of answering. */
function ask(child: ChildProcess, what: Ask): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null): void => {
      reject(new Error(`bench swarm: a peer's process must answer, got exit ${code}`));
    };
    child.once("exit", ended);
    child.once("message", (reply) => {
      child.off("exit", ended);
      resolve(reply as Reply);
    });
    child.send(what);
  });
}
