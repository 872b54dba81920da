/** Who a peer is: an Ed25519 key, and the peer id that is made of its public half. */

import {
  generateKeyPair,
  generateKeyPairFromSeed,
  privateKeyFromProtobuf,
  privateKeyToProtobuf,
} from "@libp2p/crypto/keys";
import type { Ed25519PrivateKey } from "@libp2p/interface";

/** A key pair; whoever has it is this peer. */
export interface Identity {
  /** The peer id, "12D3KooW…". */
  readonly id: string;
  readonly privateKey: Ed25519PrivateKey;
}

const identityOf = (privateKey: Ed25519PrivateKey): Identity => ({
  id: privateKey.publicKey.toString(),
  privateKey,
});

/** A new identity, drawn by the platform's generator of keys. */
export async function generateIdentity(): Promise<Identity> {
  return identityOf(await generateKeyPair("Ed25519"));
}

/** The identity of 32 bytes, which are as secret as the key. @throws RangeError for any other number of bytes. */
export async function identityFromSeed(seed: Uint8Array): Promise<Identity> {
  if (seed.length !== 32) {
    throw new RangeError(`identityFromSeed: a seed must be 32 bytes, got ${seed.length}`);
  }
  return identityOf(await generateKeyPairFromSeed("Ed25519", seed));
}

/** An identity as bytes that `parseIdentity` takes back: libp2p's protobuf of a private key. */
export function formatIdentity({ privateKey }: Identity): Uint8Array {
  return privateKeyToProtobuf(privateKey);
}

/** @throws TypeError for bytes that are no Ed25519 key. */
export function parseIdentity(bytes: Uint8Array): Identity {
  try {
    const privateKey = privateKeyFromProtobuf(bytes);
    if (privateKey.type === "Ed25519") {
      return identityOf(privateKey);
    }
  } catch (cause) {
    throw new TypeError(keyExpected(bytes), { cause });
  }
  throw new TypeError(keyExpected(bytes));
}

const keyExpected = (bytes: Uint8Array): string =>
  `parseIdentity: an Ed25519 private key as libp2p's protobuf expected, got ${bytes.length} other bytes`;
