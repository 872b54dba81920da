/** What a page dials by; it cannot listen. */

import { webSockets } from "@libp2p/websockets";
import type { Libp2pOptions } from "libp2p";

export function transports(): NonNullable<Libp2pOptions["transports"]> {
  return [webSockets()];
}
