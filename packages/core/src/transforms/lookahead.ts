/**
 * Lookahead: k fast steps forward, one step back.
 *
 *     θ ← a step of the inner optimizer                          fast weights
 *     every k steps:  φ ← φ + α (θ − φ),  θ ← φ,  φ₀ = θ₀        slow weights
 */

import { requireCount } from "../errors.ts";
import { add, div, eq, floor, lerp, select, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import { combine, type Optimizer, perElement, requireOptimizer, share } from "../optimizer.ts";

export interface LookaheadOptions {
  /** k, an integer of at least 1, default 5: fast steps for each slow one. */
  readonly steps?: number;
  /** α in [0, 1], default 0.5: how far the slow weights follow. */
  readonly alpha?: number;
}

/**
 * Lookahead around any optimizer.
 *
 *     θₜ = θₜ₋₁ + update;  where t is a multiple of k:  φ ← φ + α (θₜ − φ),  θₜ ← φ
 *
 * State: the inner optimizer's, which goes on over synchronisations, and `slow` = φ: 4 bytes a float32 parameter. The
 * hyperparameter `alpha` can be changed while training. Evaluated: the parameters as they are, as the inner optimizer
 * has them; the paper evaluates after a synchronisation.
 *
 * @throws RangeError naming the option that is out of range, TypeError for what is no optimizer.
 * @see Zhang et al. 2019, Algorithm 1, https://arxiv.org/abs/1907.08610
 * @example lookahead(adam(), { steps: 6 })
 */
export function lookahead(
  inner: Optimizer,
  { steps = 5, alpha = 0.5 }: LookaheadOptions = {},
): Optimizer {
  requireCount("lookahead", "steps", steps);
  requireOptimizer("lookahead", "`inner`", inner);
  const rate = share(alpha);
  rate.check("lookahead", "alpha", alpha);
  const own = { state: { slow: perElement("params") }, hyperparameters: { alpha: rate } };
  const combined = combine([inner, own]);
  const { before = [], evaluation } = inner;
  return {
    name: `lookahead(${inner.name})`,
    state: combined.state,
    hyperparameters: combined.hyperparameters,
    step: (inputs) => {
      const { p, t } = inputs;
      const { slow, alpha: a } = combined.inputsOf(1, inputs) as typeof inputs &
        Record<"slow" | "alpha", Expr>;
      const outputs = inner.step(combined.inputsOf(0, inputs));
      const fast = outputs.params ?? add(p, outputs.update);
      const due = eq(div(t, steps), floor(div(t, steps)));
      const synchronised = lerp(slow, fast, a);
      return {
        ...outputs,
        update: select(due, sub(synchronised, p), outputs.update),
        params: select(due, synchronised, fast),
        next: {
          ...combined.rename(0, outputs.next),
          ...combined.rename(1, { slow: select(due, synchronised, slow) }),
        },
      };
    },
    before: before.map((phase) => ({
      status: phase.status,
      step: (inputs) => {
        const outputs = phase.step(combined.inputsOf(0, inputs));
        return { ...outputs, next: combined.rename(0, outputs.next) };
      },
    })),
    ...(evaluation !== undefined && {
      evaluation: (inputs) => evaluation(combined.inputsOf(0, inputs)),
    }),
  };
}
