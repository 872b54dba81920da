/** From the numbers of tensors to what their statistics are made of. */

import type { PhasePlan } from "../codegen/passes.ts";
import type { Reading } from "../inspect.ts";
import type { Tensor } from "./tensor.ts";

/** What an inspected step reduced of tensors. */
export function readingsOf(tensors: readonly Tensor[]): Reading[] {
  return tensors.map((tensor) => {
    // There is an inspected phase: the step has run it.
    const phase = tensor.owner.plan.inspected as PhasePlan;
    const { numbers } = tensor.valuesOf(phase);
    const reduced = phase.inspect.map(({ name, slot }) => [name, numbers[slot] as number]);
    return {
      path: tensor.leaf.path,
      elements: tensor.extent.size,
      reduced: Object.fromEntries(reduced),
    };
  });
}
