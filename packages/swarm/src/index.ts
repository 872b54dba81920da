/** @adastra/swarm: decentralized training. */

export type { Timers } from "./clock.ts";
export type {
  Message,
  Payload,
  Peer,
  Round,
  Settlement,
} from "./protocol/message.ts";
export type { Listener, Traffic, Transport } from "./transport/transport.ts";
