/** A run's roster, signed by who founded it: one text that every peer gets, over any channel. */

import { peerIdFromString } from "@libp2p/peer-id";
import type { Identity } from "./identity.ts";
import { type Roster, requireRoster } from "./roster.ts";

/** Signed with the roster, so that a signature for anything else is none for an invitation. */
const DOMAIN = "adastra invitation 1\n";

const signedBytes = (roster: unknown): Uint8Array =>
  new TextEncoder().encode(DOMAIN + JSON.stringify(roster));

/**
 * An invitation to a run, as JSON text.
 *
 * @throws RangeError for a roster that is none: peers without ids, edges that nobody can dial, shares that do not sum to 1.
 */
export async function createInvitation(roster: Roster, founder: Identity): Promise<string> {
  const checked = requireRoster("createInvitation", roster);
  // As the reader will have it: JSON leaves out what is undefined.
  const plain: unknown = JSON.parse(JSON.stringify(checked));
  const signature = await founder.privateKey.sign(signedBytes(plain));
  const hex = Array.from(signature, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return JSON.stringify({ roster: plain, founder: founder.id, signature: hex }, null, 1);
}

/**
 * The roster of an invitation.
 *
 * @param founder - the peer id whose invitations are taken, as its owner told it. An invitation proves who made it, not that
 * he is to be trusted.
 * @throws SyntaxError for text that is no JSON, RangeError for an invitation of somebody else, one that was changed after it
 * was signed, and a roster that is none.
 */
export async function readInvitation(text: string, founder: string): Promise<Roster> {
  const fields = JSON.parse(text) as Readonly<Record<string, unknown>> | null;
  const { roster, founder: signer, signature } = fields ?? {};
  if (signer !== founder) {
    throw new RangeError(
      `readInvitation: an invitation must be of ${founder}, got one of ${JSON.stringify(signer)}; ask for another, or name that founder if you trust him`,
    );
  }
  if (!(await isSignedBy(founder, roster, signature))) {
    throw new RangeError(
      `readInvitation: an invitation must bear its founder's signature, got a roster that was changed after ${founder} signed it, or never was; ask for another`,
    );
  }
  return requireRoster("readInvitation", roster);
}

async function isSignedBy(founder: string, roster: unknown, signature: unknown): Promise<boolean> {
  const key = peerIdFromString(founder).publicKey;
  if (typeof signature !== "string" || !/^(?:[0-9a-f]{2})+$/.test(signature) || key === undefined) {
    return false;
  }
  const bytes = Uint8Array.from(signature.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  try {
    return await key.verify(signedBytes(roster), bytes);
  } catch {
    return false;
  }
}
