/**
 * Rprop: each element has a step size of its own, which signs alone change.
 *
 *     sₜ = sign(gₜ) · sign(gₜ₋₁)
 *     Δₜ = clamp(Δₜ₋₁ · (η⁺ where s > 0, η⁻ where s < 0, else 1), Δmin, Δmax),  Δ₀ = α
 *     update = −sign(gₜ) Δₜ, and 0 where s < 0; there gₜ counts as 0 at the next step
 */

import { requireNonNegative, requirePositive, requireThat } from "../errors.ts";
import { clamp, le, lt, mul, neg, select } from "../expr/build.ts";
import { defineOptimizer, type Optimizer, perElement } from "../optimizer.ts";
import { sign } from "./lion.ts";

export interface RpropOptions {
  /** η⁻ in (0, 1), default 0.5: what a change of sign makes of the step size. */
  readonly etaMinus?: number;
  /** η⁺, greater than 1, default 1.2: what the same sign again makes of it. */
  readonly etaPlus?: number;
  /** Δmin, at least 0, default 1e-6. */
  readonly minStepSize?: number;
  /** Δmax, at least Δmin, default 50. */
  readonly maxStepSize?: number;
}

/**
 * Rprop (resilient backpropagation), for full batches: the noise of small ones changes signs.
 *
 *     Δ ← Δ η⁺ where the gradient keeps its sign, Δ η⁻ where it changes      update = −sign(g) Δ
 *
 * The rate of the first step is the first Δ of every element; a schedule has no effect afterwards.
 *
 * State: `previous` = the sign of the last gradient, or 0, and `delta` = Δ: 8 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks The form without weight backtracking (iRprop⁻), as torch has it: where the sign changes the element rests for
 * a step. Signs are kept in place of gradients, whose product is 0 in torch where both are tiny. optax 0.2.8 applies the
 * update of the step before.
 * @see Igel & Hüsken 2003, iRprop⁻, Neurocomputing 50, 105-123; Riedmiller & Braun 1993
 * @example compileOptimizer(rprop(), { params, learningRate: 1e-2 })
 */
export function rprop({
  etaMinus = 0.5,
  etaPlus = 1.2,
  minStepSize = 1e-6,
  maxStepSize = 50,
}: RpropOptions = {}): Optimizer {
  requirePositive("rprop", "etaMinus", etaMinus);
  requireThat(etaMinus < 1, "rprop", "`etaMinus` must be less than 1", etaMinus);
  requirePositive("rprop", "etaPlus", etaPlus);
  requireThat(etaPlus > 1, "rprop", "`etaPlus` must be greater than 1", etaPlus);
  requireNonNegative("rprop", "minStepSize", minStepSize);
  requirePositive("rprop", "maxStepSize", maxStepSize);
  requireThat(
    maxStepSize >= minStepSize,
    "rprop",
    `\`maxStepSize\` must be at least \`minStepSize\`, ${minStepSize}`,
    maxStepSize,
  );
  const state = { previous: perElement(), delta: perElement() };
  return defineOptimizer("rprop", state, ({ g, previous, delta, t, lr }) => {
    const direction = sign(g);
    const s = mul(direction, previous);
    const factor = select(lt(0, s), etaPlus, select(lt(s, 0), etaMinus, 1));
    const size = clamp(mul(select(le(t, 1), lr, delta), factor), minStepSize, maxStepSize);
    const taken = select(lt(s, 0), 0, direction);
    return { update: neg(mul(taken, size)), next: { previous: taken, delta: size } };
  });
}
