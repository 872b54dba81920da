/** The peers by the names the command line gives them. */

import type { LeftOut, Peer } from "../subject.ts";
import { openJax } from "./jax.ts";
import { plainPeer } from "./plain.ts";
import { openAdapter, openTfjs } from "./tfjs.ts";
import { openTorch } from "./torch.ts";

export const peerNames = [
  "plain",
  "tfjs-wasm",
  "tfjs-cpu",
  "tfjs-adastra",
  "jax-js",
  "torch-fused",
  "torch-foreach",
] as const;

export type PeerName = (typeof peerNames)[number];

/** Packages whose versions belong to a result. */
export const peerPackages = [
  "@tensorflow/tfjs-core",
  "@tensorflow/tfjs-backend-cpu",
  "@tensorflow/tfjs-backend-wasm",
  "@jax-js/jax",
] as const;

/** Opens peers; one that does not run here is left out by name. */
export async function openPeers(
  names: readonly PeerName[],
  python: string | undefined,
): Promise<ReadonlyMap<PeerName, Peer | LeftOut>> {
  const kinds = (["fused", "foreach"] as const).filter((kind) => names.includes(`torch-${kind}`));
  const torch = await openTorch(python, kinds);
  const opened = new Map<PeerName, Peer | LeftOut>();
  for (const name of names) {
    switch (name) {
      case "plain":
        opened.set(name, plainPeer);
        break;
      case "tfjs-wasm":
        opened.set(name, await openTfjs("wasm"));
        break;
      case "tfjs-cpu":
        opened.set(name, await openTfjs("cpu"));
        break;
      case "tfjs-adastra":
        opened.set(name, await openAdapter());
        break;
      case "jax-js":
        opened.set(name, await openJax());
        break;
      case "torch-fused":
      case "torch-foreach": {
        const at = kinds.findIndex((kind) => name === `torch-${kind}`);
        opened.set(name, torch[at] as Peer | LeftOut);
        break;
      }
      default:
        name satisfies never;
    }
  }
  return opened;
}
