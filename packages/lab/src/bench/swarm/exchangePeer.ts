/** The process of one peer, told by the one that times: `node exchangePeer.js PEER PARAMETERS`. */

import type { Transport } from "@adastra/swarm";
import { type Exchange, overLibp2p, overTcp, PEERS, valuesOf } from "./exchange.ts";
import type { Ask, Reply } from "./transport.ts";

const [self, parameters] = process.argv.slice(2).map(Number) as [number, number];
const exchanges: Partial<Record<"libp2p" | "tcp", Exchange>> = {};
let transport: Transport | undefined;
const mine = valuesOf(self, parameters);

async function answer(ask: Ask): Promise<Reply> {
  const before = transport?.traffic.received ?? 0;
  const cpu = process.cpuUsage();
  let wrong = 0;
  if ("ports" in ask) {
    const place = { self, parameters };
    [exchanges.libp2p, transport] = await overLibp2p({
      ...place,
      ports: ask.ports.slice(0, PEERS),
    });
    exchanges.tcp = await overTcp({ ...place, ports: ask.ports.slice(PEERS) });
  } else {
    const got = (await exchanges[ask.over]?.(mine, ask.round)) ?? new Map<number, Float32Array>();
    wrong = ask.compare
      ? [...got].filter(([peer, theirs]) => !isEqual(theirs, valuesOf(peer, parameters))).length
      : 0;
  }
  const used = process.cpuUsage(cpu);
  const received = (transport?.traffic.received ?? 0) - before;
  return { wrong, received, cpuMs: (used.user + used.system) / 1000 };
}

function isEqual(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

process.on("disconnect", () => process.exit());
process.on("message", (ask: Ask) => {
  void answer(ask).then((reply) => process.send?.(reply));
});
