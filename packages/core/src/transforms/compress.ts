/** Optimizer state in fewer bits. */

import { requireOneOf } from "../errors.ts";
import {
  type Optimizer,
  requireOptimizer,
  type StateFormat,
  type StateSpec,
} from "../optimizer.ts";
import { FORMATS } from "./formats.ts";

/**
 * Keeps state arrays in fewer bits between steps: of 4 bytes a parameter and array, bfloat16 keep 2, and 8 bits with a
 * float32 scale for each 256 numbers of a leaf 1 + 1/64.
 *
 *     sₜ = round(f(gₜ, sₜ₋₁))          f the optimizer's program, in float32
 *
 * The update sees the state of its own step unrounded; only what is kept is rounded. `"bf16"` and `"int8"` round to the
 * nearest, which suits first moments. They stand still where a step changes a number by less than half the way to its
 * neighbour: in bfloat16 an average with a decay rate above 1 − 2⁻⁹ never decays. `"bf16-stochastic"` and
 * `"int8-stochastic"` round to either neighbour, with the probabilities that keep the mean, from the `seed` of
 * `compileOptimizer`: for second moments.
 *
 * bfloat16 is within 2⁻⁸ of a number, and keeps ±∞ and NaN. In 8 bits the neighbours of x, in a block of largest
 * magnitude s, are (4/n)·(s/|x|)^¼ of x apart, n = 255 in a block without negative numbers and 127 in others (`expr/int8.ts`);
 * what is not 0 does not become 0, and a NaN or infinity makes its block NaN. A leaf of one number takes more than in
 * float32: `group` leaves small ones out. Saves memory, not time.
 *
 * @param formats - by key of the state, as in `optimizer.state`; what is not named stays as it is.
 * @throws RangeError for a key that is no state of one number an element, or a format that does not exist;
 * `compileOptimizer` throws one for dtype float64, and for state in 8 bits of a program that runs row by row or has windows.
 * @see Dettmers et al. 2022, 8-bit Optimizers via Block-wise Quantization, https://arxiv.org/abs/2110.02861
 * @see Zamirai et al. 2021, Revisiting BFloat16 Training, https://arxiv.org/abs/2010.06192
 * @example compress(adam(), { mu: "int8", nu: "int8-stochastic" })
 */
export function compress<K extends string>(
  optimizer: Optimizer<K>,
  formats: Readonly<Partial<Record<K, StateFormat>>>,
): Optimizer<K> {
  requireOptimizer("compress", "`optimizer`", optimizer);
  const state: Record<K, StateSpec> = { ...optimizer.state };
  const known = Object.keys(state).filter((key) => state[key as K].scope === "element");
  // Object.entries and Object.keys forget what their keys are; of the state, the check that follows sees to it.
  for (const [key, format] of Object.entries(formats) as [K, StateFormat][]) {
    requireOneOf("compress", "keys", key, known);
    requireOneOf("compress", key, format, Object.keys(FORMATS) as StateFormat[]);
    state[key] = { ...state[key], format: FORMATS[format] };
  }
  return { ...optimizer, state };
}
