/** What a process dials and listens by; `browser` in package.json puts transports.browser.ts in its place. */

import { tcp } from "@libp2p/tcp";
import { webSockets } from "@libp2p/websockets";
import type { Libp2pOptions } from "libp2p";

export type Transports = NonNullable<Libp2pOptions["transports"]>;

/** A process listens by WebSocket for pages, which cannot dial TCP. */
export function transports(): Transports {
  return [tcp(), webSockets()];
}
