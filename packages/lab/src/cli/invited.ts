/** What founders and members of runs have in common, of a swarm's and of a server's. */

import { readFile } from "node:fs/promises";
import type { Identity, Roster } from "@adastra/swarm/libp2p";
import { UsageError } from "./terminal.ts";

/** Where a key and an invitation lie unless options say otherwise. */
export const KEY = "adastra.key";
export const INVITATION = "invitation.json";

/** The id of a new run. */
export function drawRun(randomBytes: (count: number) => Uint8Array): string {
  return Array.from(randomBytes(8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The number of a start of a peer. */
export function drawSession(randomBytes: (count: number) => Uint8Array): number {
  return new DataView(randomBytes(4).buffer).getUint32(0);
}

/**
 * The invitation that options name, and this machine's identity.
 *
 * @throws UsageError without a founder; RangeError for an invitation that is not the founder's.
 */
export async function readInvited(
  where: string,
  {
    key = KEY,
    invitation = INVITATION,
    founder,
  }: { readonly key?: string; readonly invitation?: string; readonly founder?: string },
): Promise<{ readonly roster: Roster; readonly identity: Identity }> {
  if (founder === undefined) {
    throw new UsageError(
      `${where}: --founder must name the peer id whose invitations are taken, got none; ask who sent the invitation`,
    );
  }
  const { loadIdentity, readInvitation } = await import("@adastra/swarm/libp2p");
  const identity = await loadIdentity(key);
  return { roster: await readInvitation(await readFile(invitation, "utf8"), founder), identity };
}
