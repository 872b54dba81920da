/**
 * Adadelta: the step has the size of past steps, so the rate has no unit.
 *
 *     vₜ = ρ vₜ₋₁ + (1 − ρ) gₜ²
 *     Δₜ = √((wₜ₋₁ + ε) / (vₜ + ε)) gₜ
 *     wₜ = ρ wₜ₋₁ + (1 − ρ) Δₜ²
 *     update = −αₜ Δₜ
 */

import { add, div, lerp, mul, neg, sqrt, square, sub } from "../expr/build.ts";
import { decayRate, defineOptimizer, type Optimizer, perElement, positive } from "../optimizer.ts";
import { type DecayOptions, withDecay } from "../transforms/weightDecay.ts";

export interface AdadeltaOptions extends DecayOptions {
  /** ρ in [0, 1), default 0.9. */
  readonly rho?: number;
  /** ε, greater than 0, default 1e-6: the square of the first steps' size. */
  readonly eps?: number;
}

/**
 * Adadelta.
 *
 *     update = −αₜ √((wₜ₋₁ + ε) / (vₜ + ε)) gₜ,  v and w averages of g² and of Δ²
 *
 * The rate is 1 in the paper; it scales the step after w has seen it.
 *
 * State: `nu` = v, `delta` = w: 8 bytes a float32 parameter.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks Without ε the first step would be 0 and so all that follow, hence greater than 0; torch takes 0, too.
 * @see Zeiler 2012, Algorithm 1, https://arxiv.org/abs/1212.5701
 * @example compileOptimizer(adadelta(), { params, learningRate: 1 })
 */
export function adadelta({ rho = 0.9, eps = 1e-6, ...decay }: AdadeltaOptions = {}): Optimizer {
  const state = { nu: perElement(), delta: perElement() };
  const rates = { rho: decayRate(rho), eps: positive(eps) };
  const plain = defineOptimizer("adadelta", state, rates, (inputs) => {
    const { g, nu, delta, lr, rho, eps } = inputs;
    const v = lerp(nu, square(g), sub(1, rho));
    const step = mul(sqrt(div(add(delta, eps), add(v, eps))), g);
    const w = lerp(delta, square(step), sub(1, rho));
    return { update: neg(mul(lr, step)), next: { nu: v, delta: w } };
  });
  return withDecay(plain, decay);
}
