/** Who gets in: peers of the roster, after proving who they are; everybody else is turned away before any stream. */

import type { ConnectionGater, MultiaddrConnection } from "@libp2p/interface";

export interface GateOptions {
  /** Peer ids. */
  readonly allowed: ReadonlySet<string>;
  /** Connections that have not proved who they are; the oldest gives way to a new one. */
  readonly maxPending: number;
  readonly refused: (why: "uninvited" | "pending") => void;
}

/**
 * Connections are accepted from anybody and bounded until they prove an identity. With the oldest giving way, whoever opens
 * sockets and says nothing cannot keep a peer out that proves itself in less time than `maxPending` sockets take to come.
 */
export function gate({ allowed, maxPending, refused }: GateOptions): ConnectionGater {
  const pending = new Set<MultiaddrConnection>();
  const isUninvited = (id: string): boolean => {
    if (allowed.has(id)) {
      return false;
    }
    refused("uninvited");
    return true;
  };
  return {
    denyDialMultiaddr: () => false,
    denyInboundConnection: (connection) => {
      const [oldest] = pending;
      if (oldest !== undefined && pending.size >= maxPending) {
        pending.delete(oldest);
        refused("pending");
        oldest.abort(new Error("too many connections that have not proved who they are"));
      }
      pending.add(connection);
      connection.addEventListener("close", () => pending.delete(connection));
      return false;
    },
    denyInboundEncryptedConnection: (peer, connection) => {
      pending.delete(connection);
      return isUninvited(peer.toString());
    },
    denyOutboundConnection: (peer) => isUninvited(peer.toString()),
  };
}
