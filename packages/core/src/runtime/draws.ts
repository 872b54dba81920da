/** The keys of draws: by seed, leaf, step and call. */

import type { PhasePlan } from "../codegen/passes.ts";
import { keyOf } from "../expr/draw.ts";
import type { PassCall } from "./parts.ts";
import type { Tensor } from "./tensor.ts";

/** The key of the draws of a call; 0 where its pass draws nothing. */
export function keyOfCall({ pass, phase, first }: PassCall, seed: number): number {
  return pass.steady.draws === true ? drawKey(first, seed, phase) : 0;
}

/** The key of the draws of a tensor in the phase of its coming step. */
function drawKey({ owner, leaf, count }: Tensor, seed: number, phase: PhasePlan): number {
  return keyOf(seed, leaf.path, count + 1, owner.plan.before.indexOf(phase) + 1);
}
