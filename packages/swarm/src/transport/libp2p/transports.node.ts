/** What a process dials and listens by; `browser` in package.json puts transports.browser.ts in its place. */

import { createRequire } from "node:module";
import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import type { Libp2pOptions } from "libp2p";

/**
 * What a socket takes before it says that it is full: at the default of 16 KiB every piece waits for a turn of its own.
 * Node's own option, which libp2p's types leave out and hand on.
 */
const socket: object = { highWaterMark: 1 << 20 };

/** A process listens by WebSocket for pages, which cannot dial TCP, and dials peers that have no other address. */
export function transports(): NonNullable<Libp2pOptions["transports"]> {
  // Node has one of its own from version 22 on.
  globalThis.WebSocket ??= createRequire(import.meta.url)("ws") as typeof WebSocket;
  return [tcp({ dialOpts: socket, listenOpts: socket }), webSockets()];
}
