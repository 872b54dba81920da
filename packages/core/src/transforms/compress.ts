/** Optimizer state in fewer bits. */

import { requireOneOf } from "../errors.ts";
import {
  type Optimizer,
  requireOptimizer,
  type StateFormat,
  type StateSpec,
} from "../optimizer.ts";

/**
 * Keeps state arrays in bfloat16 between steps: 2 bytes a parameter and array instead of 4.
 *
 *     sₜ = round(f(gₜ, sₜ₋₁))          f the optimizer's program, in float32
 *
 * The update sees the state of its own step unrounded; only what is kept is rounded. `"bf16"` rounds to the nearest
 * (relative error up to 2⁻⁸), which suits first moments. It stands still where a step changes a number
 * by less than half its last place: an average with a decay rate above 1 − 2⁻⁹ never decays. `"bf16-stochastic"` rounds
 * to either neighbour, with the probabilities that keep the mean, from the `seed` of `compileOptimizer`: for second
 * moments. ±∞ and NaN are kept. Saves memory, not time.
 *
 * @param formats - by key of the state, as in `optimizer.state`; what is not named stays as it is.
 * @throws RangeError for a key that is no state of one number an element, or a format that does not exist;
 * `compileOptimizer` throws one for dtype float64.
 * @see Zamirai et al. 2021, Revisiting BFloat16 Training, https://arxiv.org/abs/2010.06192
 * @example compress(adam(), { mu: "bf16", nu: "bf16-stochastic" })
 */
export function compress<K extends string>(
  optimizer: Optimizer<K>,
  formats: Readonly<Partial<Record<K, StateFormat>>>,
): Optimizer<K> {
  requireOptimizer("compress", "`optimizer`", optimizer);
  const state: Record<K, StateSpec> = { ...optimizer.state };
  const known = Object.keys(state).filter((key) => state[key as K].scope === "element");
  // Object.entries forgets that its keys are those of the state; the check that follows sees to it.
  for (const [key, format] of Object.entries(formats) as [K, StateFormat][]) {
    requireOneOf("compress", "keys", key, known);
    requireOneOf("compress", key, format, ["bf16", "bf16-stochastic"]);
    state[key] = { ...state[key], format };
  }
  return { ...optimizer, state };
}
