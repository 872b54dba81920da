/** Composition of programs by substitution. */

import type { Expr } from "../expr/node.ts";
import { type Optimizer, requireOptimizer, type StateSpec, uniqueKey } from "../optimizer.ts";

/**
 * Runs stages one after another: each sees the update of the one before as its gradient.
 *
 *     u₀ = g;  uᵢ = stageᵢ(uᵢ₋₁, p);  p ← p + u_last
 *
 * Transforms of the gradient (clipping, L2) stand before the optimizer, transforms of the update
 * (decoupled decay) after it. A projection holds only in the last stage.
 *
 * State keys are those of the stages; where two stages use the same key, the later one's carries its
 * position: `"mu"`, `"2.mu"`.
 *
 * @throws RangeError without stages.
 * @example chain(clipByGlobalNorm(1), adam(), decoupledWeightDecay(1e-2))
 */
export function chain(...stages: readonly Optimizer[]): Optimizer {
  if (stages.length === 0) {
    throw new RangeError("chain: at least one stage is needed, got none; pass an optimizer");
  }
  stages.forEach((stage, position) => requireOptimizer("chain", `stage ${position + 1}`, stage));
  const state: Record<string, StateSpec> = {};
  const keys = stages.map((stage, position) => {
    const named = Object.keys(stage.state).map((key) => {
      const unique = uniqueKey(key, state, position + 1);
      state[unique] = stage.state[key] as StateSpec;
      return [key, unique] as const;
    });
    return named;
  });
  return {
    name: stages.map((stage) => stage.name).join("+"),
    state,
    step: (inputs) => {
      const next: Record<string, Expr> = {};
      let update = inputs.g;
      let params: Expr | undefined;
      stages.forEach((stage, position) => {
        const named = keys[position] as readonly (readonly [string, string])[];
        const own = Object.fromEntries(named.map(([key, unique]) => [key, inputs[unique] as Expr]));
        const { g: _, ...rest } = inputs;
        const outputs = stage.step({ ...rest, ...own, g: update });
        for (const [key, unique] of named) {
          next[unique] = outputs.next[key] as Expr;
        }
        update = outputs.update;
        params = outputs.params;
      });
      return params === undefined ? { update, next } : { update, params, next };
    },
  };
}
