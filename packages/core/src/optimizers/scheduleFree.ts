/**
 * Schedule-Free SGD and AdamW: an average of the iterates takes the place of a falling rate
 *
 *     yₜ = (1 − β₁) zₜ + β₁ xₜ                        where gradients are taken
 *     zₜ₊₁ = zₜ − αₜ dₜ                               dₜ the direction at yₜ, weight decay λ yₜ included
 *     xₜ₊₁ = (1 − cₜ₊₁) xₜ + cₜ₊₁ zₜ₊₁                 where the model is evaluated
 *     cₜ₊₁ = wₜ / Σᵢ≤ₜ wᵢ,  wₜ = tʳ (maxᵢ≤ₜ αᵢ)^ω
 *
 *     SGD     dₜ = gₜ + λ yₜ
 *     AdamW   vₜ = β₂ vₜ₋₁ + (1 − β₂) gₜ²,  dₜ = gₜ / (√v̂ₜ + ε) + λ yₜ
 *
 * The parameters are y. With x out of the way, y moves by itself: yₜ₊₁ = yₜ + c (zₜ − yₜ) − αₜ (1 − β₁ (1 − c)) dₜ.
 */

import { requireNonNegative, requireOneOf, requireThat } from "../errors.ts";
import { add, div, eq, lerp, max, min, mul, select, sqrt, square, sub } from "../expr/build.ts";
import { pow } from "../expr/math.ts";
import type { Expr } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  type NamedInputs,
  nonNegative,
  type Optimizer,
  perElement,
  perTensor,
} from "../optimizer.ts";
import { ownDecay } from "../transforms/weightDecay.ts";
import { correction } from "./adam.ts";

export interface ScheduleFreeOptions {
  /** β₁ in (0, 1), default 0.9: how far y stands towards the average x. */
  readonly b1?: number;
  /** λ, at least 0, default 0 (none); taken at y. */
  readonly weightDecay?: number;
  /** Steps in which the rate rises linearly to its full value; an integer of at least 0, default 0. */
  readonly warmupSteps?: number;
  /** r, at least 0, default 0: later steps weigh tʳ in the average. */
  readonly r?: number;
  /** ω, at least 0, default 2: steps weigh the largest rate so far to this power. */
  readonly weightLrPower?: number;
}

/**
 * Schedule-Free SGD: gradients at y, a plain SGD sequence z, and their weighted average x to evaluate at.
 *
 *     z ← z − α (g + λ y)      x ← (1 − c) x + c z      y = (1 − β₁) z + β₁ x
 *
 * The compiled optimizer's parameters are y; `evaluationParams` gives x. Rates are constant, larger than those of
 * a scheduled SGD.
 *
 * State: `z`, 4 bytes a float32 parameter, starting at the parameters; `weightSum` and `lrMax`, a number a tensor each.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks As the authors' package; a step of rate 0 before any other weighs nothing, there and here. Weights are
 * counted per tensor: a tensor that skips a step skips its weight. Batch-norm statistics, had the model any, belong to x.
 * @see Defazio et al. 2024, Algorithm 1, https://arxiv.org/abs/2405.15682
 * @example compileOptimizer(scheduleFreeSgd({ warmupSteps: 100 }), { params, learningRate: 1 })
 */
export function scheduleFreeSgd(options: ScheduleFreeOptions = {}): Optimizer {
  const name = "scheduleFreeSgd";
  const average = averaging(name, options);
  const free = defineOptimizer(
    name,
    { z: perElement("params"), ...weights() },
    average.rates,
    (inputs) => average(inputs, mul(inputs.lr, average.warmup(inputs.t)), inputs.g),
  );
  return { ...free, evaluation: average.evaluation };
}

export interface ScheduleFreeAdamWOptions extends ScheduleFreeOptions {
  /** β₂ in [0, 1), default 0.999. */
  readonly b2?: number;
  /** ε, at least 0, default 1e-8; added after the root. */
  readonly eps?: number;
  /**
   * Where v is corrected: `"authors"` (default) multiplies the rate by √(1 − β₂ᵗ), which the weights of the average
   * and the decay then see; `"optax"` divides v by 1 − β₂ᵗ.
   */
  readonly convention?: "authors" | "optax";
}

/**
 * Schedule-Free AdamW: Adam's scaling of the direction; momentum is the averaging itself.
 *
 *     z ← z − α (g / (√v̂ + ε) + λ y)      x ← (1 − c) x + c z      y = (1 − β₁) z + β₁ x
 *
 * The compiled optimizer's parameters are y; `evaluationParams` gives x.
 *
 * State: `z` and `nu` = v, 8 bytes a float32 parameter; `weightSum` and `lrMax`, a number a tensor each.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks The authors add ε to √v, not to √v̂: while t is small it counts for more. See `convention`.
 * @see Defazio et al. 2024, Algorithm 1, https://arxiv.org/abs/2405.15682
 * @example compileOptimizer(scheduleFreeAdamW({ warmupSteps: 100 }), { params, learningRate: 2.5e-3 })
 */
export function scheduleFreeAdamW({
  b2 = 0.999,
  eps = 1e-8,
  convention = "authors",
  ...options
}: ScheduleFreeAdamWOptions = {}): Optimizer {
  const name = "scheduleFreeAdamW";
  requireOneOf(name, "convention", convention, ["authors", "optax"]);
  const average = averaging(name, options);
  const free = defineOptimizer(
    name,
    { z: perElement("params"), nu: perElement(), ...weights() },
    { b2: decayRate(b2), eps: nonNegative(eps), ...average.rates },
    (inputs) => {
      const { g, nu, lr, t, b2, eps } = inputs;
      const v = lerp(nu, square(g), sub(1, b2));
      const root = sqrt(correction(b2, t));
      const rate = mul(lr, average.warmup(t));
      // g / (√v̂ + ε) as √c₂ g / (√v + ε √c₂): the correction is a number of the step.
      const [alpha, direction] =
        convention === "authors"
          ? [mul(rate, root), div(g, add(sqrt(v), eps))]
          : [rate, div(mul(root, g), add(sqrt(v), mul(eps, root)))];
      const { update, next } = average(inputs, alpha, direction);
      return { update, next: { ...next, nu: v } };
    },
  );
  return { ...free, evaluation: average.evaluation };
}

/** What the weights of the average need: their sum, and the largest rate so far. */
const weights = () => ({ weightSum: perTensor(), lrMax: perTensor() });

interface Averaged {
  readonly p: Expr;
  readonly z: Expr;
  readonly t: Expr;
  readonly weightSum: Expr;
  readonly lrMax: Expr;
  readonly weightDecay: Expr;
}

interface Averaging {
  /** Moves z along the direction, and y with it. */
  (
    at: Averaged,
    alpha: Expr,
    direction: Expr,
  ): { update: Expr; next: Record<"z" | "weightSum" | "lrMax", Expr> };
  readonly rates: ReturnType<typeof ownDecay>;
  /** The share of the rate that the warm-up leaves. */
  readonly warmup: (t: Expr) => Expr | number;
  /** x = y + (z − y)(1 − 1/β₁). */
  readonly evaluation: (inputs: NamedInputs) => Expr;
}

/** What the two methods share, with their options checked. */
function averaging(
  name: string,
  { b1 = 0.9, weightDecay = 0, warmupSteps = 0, r = 0, weightLrPower = 2 }: ScheduleFreeOptions,
): Averaging {
  requireThat(typeof b1 === "number" && b1 > 0 && b1 < 1, name, "`b1` must be in (0, 1)", b1);
  requireThat(
    Number.isSafeInteger(warmupSteps) && warmupSteps >= 0,
    name,
    "`warmupSteps` must be an integer of at least 0",
    warmupSteps,
  );
  requireNonNegative(name, "r", r);
  requireNonNegative(name, "weightLrPower", weightLrPower);
  const decays = weightDecay > 0;
  const average = (at: Averaged, alpha: Expr, direction: Expr) => {
    const { p, z, t, weightSum, lrMax, weightDecay } = at;
    const d = decays ? add(direction, mul(weightDecay, p)) : direction;
    const largest = max(lrMax, alpha);
    const weight = mul(pow(t, r), power(largest, weightLrPower));
    const total = add(weightSum, weight);
    const c = select(eq(total, 0), 0, div(weight, total));
    const gain = mul(alpha, sub(1, mul(b1, sub(1, c))));
    return {
      update: sub(mul(c, sub(z, p)), mul(gain, d)),
      next: { z: sub(z, mul(alpha, d)), weightSum: total, lrMax: largest },
    };
  };
  return Object.assign(average, {
    rates: ownDecay(name, weightDecay),
    warmup: (t: Expr) => (warmupSteps === 0 ? 1 : min(1, div(t, warmupSteps))),
    evaluation: ({ p, z }: NamedInputs) => lerp(p, z as Expr, 1 - 1 / b1),
  });
}

/** xᵖ; a square is a product, which every JavaScript engine rounds alike, as it does not the power. */
function power(x: Expr, p: number): Expr {
  return p === 2 ? square(x) : pow(x, p);
}
