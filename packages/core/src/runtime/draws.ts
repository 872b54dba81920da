/** The keys of draws: by seed, leaf, step and call. */

import { draws } from "../codegen/kernel.ts";
import type { PhasePlan, Variant } from "../codegen/passes.ts";
import { keyOf } from "../expr/draw.ts";
import type { PassCall } from "./parts.ts";
import type { Tensor } from "./tensor.ts";

/** The key of the draws of a call; 0 where its pass draws nothing. */
export function keyOfCall({ pass, phase, first }: PassCall, seed: number): number {
  return drawsIn(pass.steady) ? drawKey(first, seed, phase) : 0;
}

/** The key of the draws of a tensor in the phase of its coming step. */
export function drawKey({ owner, leaf, count }: Tensor, seed: number, phase: PhasePlan): number {
  return keyOf(seed, leaf.path, count + 1, owner.plan.before.indexOf(phase) + 1);
}

/** Whether a pass draws: in its kernel, or to round what it keeps. */
function drawsIn({ kernel, packed = [] }: Variant): boolean {
  return draws(kernel) || packed.some(({ pack }) => pack !== undefined && draws(pack));
}
