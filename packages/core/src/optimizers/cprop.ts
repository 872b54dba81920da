/**
 * CProp: scale any update by how surely past gradients agree on a sign.
 *
 *     mₜ = mₜ₋₁ + (1 − β)(gₜ − mₜ₋₁)          vₜ = vₜ₋₁ + (1 − β)(gₜ² − vₜ₋₁)
 *     bc = 1 − βᵗ       m̂ = m/bc       v̂ = v/bc       N = bc/(1 − β)
 *     se = √(max(v̂ − m̂², 0) / (N − 1 + ε)) + ε       standard error of the mean gradient
 *     F  = cdf of Normal(m̂, se) at 0
 *     s  = min(2c·|F − ½|, 1)                          1: signs agree; 0: noise
 *     update ← s · update of the inner optimizer
 */

import {
  requireDecay,
  requireFlag,
  requireNonNegative,
  requireOneOf,
  requirePositive,
} from "../errors.ts";
import {
  abs,
  add,
  div,
  le,
  lerp,
  max,
  min,
  mul,
  neg,
  select,
  sqrt,
  square,
  sub,
} from "../expr/build.ts";
import { erf, exp } from "../expr/math.ts";
import type { Expr } from "../expr/node.ts";
import {
  decayRate,
  type Optimizer,
  perElement,
  positive,
  requireOptimizer,
  type StateSpec,
  uniqueKey,
} from "../optimizer.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import { type AdamOptions, adamAs, amsgradAs, correction } from "./adam.ts";
import { type SgdOptions, sgdAs } from "./sgd.ts";

export type Cdf = "bft" | "bfo" | "logistic" | "normal";

export interface CPropOptions {
  /** β in [0, 1), default 0.999: how far back conformity looks; 0.9997 or 0.9999 for longer runs. */
  readonly beta?: number;
  /** c, greater than 0, default 1: above 1 stays closer to the inner optimizer. */
  readonly c?: number;
  /** ε, greater than 0, default 1e-8. */
  readonly eps?: number;
  /**
   * The normal cdf, z = −m̂/se: `"normal"` exactly, `"bft"` (default) 1/(1 + e^(−0.07056 z³ − 1.5976 z)),
   * `"bfo"` 1/(1 + e^(−1.702 z)), `"logistic"` with the normal's variance.
   */
  readonly cdf?: Cdf;
}

/**
 * CProp around any optimizer: its update, times the conformity s of past gradients.
 *
 *     p ← p + s(g₁ … gₜ) · update
 *
 * Moments and momentum of the inner optimizer are not scaled; its decoupled weight decay is. Statistics see
 * the gradient that arrives: put `l2` before it in a chain to let them see decay.
 *
 * State: the inner optimizer's, and `meanGradient` = m, `meanSquare` = v: 8 bytes a float32 parameter, less
 * where the inner optimizer keeps the same average (Adam with b2 = beta: 4).
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks At t = 1 the variance is 0 by definition; here it is taken so, since v̂ − m̂² is rounding in float32.
 * @see Preechakul & Kijsirikul 2019, Algorithm 1, https://arxiv.org/abs/1912.11493
 * @example compileOptimizer(cprop(adam()), { params, learningRate: 1e-3 })
 */
export function cprop(inner: Optimizer, options: CPropOptions = {}): Optimizer {
  requireOptimizer("cprop", "`inner`", inner);
  return { ...conforming("cprop", inner, options), name: `cprop(${inner.name})` };
}

/** CProp around `inner`, under a name of its own. */
function conforming(
  name: string,
  inner: Optimizer,
  { beta = 0.999, c = 1, eps = 1e-8, cdf = "bft" }: CPropOptions,
): Optimizer {
  requireDecay(name, "beta", beta);
  requirePositive(name, "c", c);
  requirePositive(name, "eps", eps);
  requireOneOf(name, "cdf", cdf, ["bft", "bfo", "logistic", "normal"]);
  const taken = { ...inner.state, ...inner.hyperparameters };
  const meanGradient = uniqueKey("meanGradient", taken);
  const meanSquare = uniqueKey("meanSquare", taken);
  // An average that the inner optimizer keeps at the same rate is one and the same: so must the rate be.
  const rates = inner.hyperparameters ?? {};
  const rate = decayRate(beta);
  const known = Object.keys(rates).find(
    (key) => rates[key]?.value === beta && rates[key].check === rate.check,
  );
  const betaKey = known ?? uniqueKey("beta", taken);
  const cKey = uniqueKey("c", taken);
  const state: Record<string, StateSpec> = {
    ...inner.state,
    [meanGradient]: perElement(),
    [meanSquare]: perElement(),
  };
  return {
    ...inner,
    name,
    state,
    hyperparameters: { ...rates, [betaKey]: rate, [cKey]: positive(c) },
    step: (inputs) => {
      const { g, t } = inputs;
      const beta = inputs[betaKey] as Expr;
      const open = sub(1, beta);
      const m = lerp(inputs[meanGradient] as Expr, g, open);
      const v = lerp(inputs[meanSquare] as Expr, square(g), open);
      const bc = correction(beta, t);
      const mean = mul(m, div(1, bc));
      const variance = max(sub(mul(v, div(1, bc)), square(mean)), 0);
      const freedom = add(sub(div(bc, open), 1), eps);
      const se = add(sqrt(mul(variance, select(le(t, 1), 0, div(1, freedom)))), eps);
      const conformity = min(mul(inputs[cKey] as Expr, twiceDistance(cdf, div(neg(mean), se))), 1);
      const { update, next, inspect = {} } = inner.step(inputs);
      return {
        update: mul(conformity, update),
        next: { ...next, [meanGradient]: m, [meanSquare]: v },
        inspect: { ...inspect, [uniqueKey("conformity", inspect)]: conformity },
      };
    },
  };
}

/** 2·|F(z) − ½| for the chosen F. */
function twiceDistance(cdf: Cdf, z: Expr): Expr {
  // F = 1/(1 + e⁻ˣ) has 2·|F − ½| = (1 − e)/(1 + e) with e = e^(−|x|), which is 1 to the last bit beyond 80.
  const logistic = (x: Expr): Expr => {
    const e = exp(max(neg(abs(x)), -80));
    return div(sub(1, e), add(1, e));
  };
  switch (cdf) {
    case "normal":
      return abs(erf(mul(z, Math.SQRT1_2)));
    case "bft":
      return logistic(mul(add(mul(0.07056, square(z)), 1.5976), z));
    case "bfo":
      return logistic(mul(1.702, z));
    case "logistic":
      return logistic(mul(Math.PI / Math.sqrt(3), z));
    default:
      return cdf satisfies never;
  }
}

/**
 * CPropSGD: SGD whose update is scaled by conformity. Statistics see the gradient without L2.
 *
 * State: 8 bytes a float32 parameter, 12 with momentum.
 */
export function cpropSgd(options: CPropOptions & SgdOptions = {}): Optimizer {
  return conforming("cpropSgd", sgdAs("cpropSgd", options), options);
}

/**
 * CPropAdam: Adam whose update is scaled by conformity. Statistics see the gradient with L2, and share the
 * averages that Adam keeps anyway where the decay rates agree.
 *
 * State: 12 bytes a float32 parameter with b2 = beta, which is the default.
 */
export function cpropAdam({
  weightDecay = 0,
  decoupled = false,
  amsgrad: keepMax = false,
  innerEps = 1e-8,
  b1 = 0.9,
  b2 = 0.999,
  ...options
}: CPropOptions &
  Omit<AdamOptions, "eps"> & { amsgrad?: boolean; innerEps?: number } = {}): Optimizer {
  const name = "cpropAdam";
  requireFlag(name, "amsgrad", keepMax);
  requireNonNegative(name, "innerEps", innerEps);
  const base = (keepMax ? amsgradAs : adamAs)(name, { b1, b2, eps: innerEps });
  return withDecay(conforming(name, base, options), { weightDecay, decoupled });
}
