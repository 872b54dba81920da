/**
 * FastAdaBelief: O(log T) regret on strongly convex losses.
 *
 *     β₂ₜ = 1 − γ/t
 *     mₜ = β₁ mₜ₋₁ + (1 − β₁) gₜ                        no bias correction
 *     sₜ = β₂ₜ sₜ₋₁ + (1 − β₂ₜ)(gₜ − mₜ)²               belief, around the new mean
 *     hₜ = max(hₜ₋₁, sₜ)
 *     x  = p − (α/t) mₜ / (hₜ + δ/t)                    no root
 *     p  = argmin Σ (hₜ + δ/t)ᵢ (yᵢ − xᵢ)² over y in the box or the ball, where there is one
 */

import {
  requireFlag,
  requireOneOf,
  requirePositive,
  requireShare,
  requireThat,
} from "../errors.ts";
import { add, clamp, div, lerp, max, mul, neg, square, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  type Hyperparameter,
  type NamedInputs,
  type Optimizer,
  perElement,
  positive,
  type StateSpec,
} from "../optimizer.ts";
import { type DecayOptions, withDecay } from "../transforms/weightDecay.ts";
import { projectOntoBall } from "./ballProjection.ts";

export interface StronglyConvexOptions extends DecayOptions {
  /** β₁ in [0, 1), default 0.9. */
  readonly b1?: number;
  /** γ in (0, 1], default 0.9: β₂ₜ = 1 − γ/t. */
  readonly gamma?: number;
  /** δ, greater than 0, default 0.01: the denominator is at least δ/t. */
  readonly delta?: number;
  /** `"1/t"` (default): the step is the rate divided by t. `"constant"`: the rate as given, for schedules of one's own. */
  readonly schedule?: "1/t" | "constant";
}

export interface FastAdaBeliefOptions extends StronglyConvexOptions {
  /** Whether h is the running maximum of s (default) or s itself. */
  readonly max?: boolean;
  /** Parameters are kept in [−box, box]; unbounded without. */
  readonly box?: number;
  /** Parameters are kept in the ball ‖p‖ ≤ ball; unbounded without. One of `box` and `ball` at most. */
  readonly ball?: number;
  /** `"all"` (default): the ball is one of all leaves together; `"tensor"`: each leaf has its own. */
  readonly ballOver?: "all" | "tensor";
}

/**
 * FastAdaBelief: AdaBelief without the root, with α/t steps and β₂ₜ = 1 − γ/t.
 *
 *     update = −(α/t) mₜ / (hₜ + δ/t),  hₜ = max(hₜ₋₁, sₜ)
 *
 * The update scales as 1/g: choose α in proportion to the squared gradients (α at least max h over the
 * strong-convexity constant); there is no rate that is safe everywhere. Deep networks want
 * `schedule: "constant"` and a schedule of one's own.
 *
 * State: `mu` = m, `s`, `h`: 12 bytes a float32 parameter, 8 with `max: false`.
 *
 * @throws RangeError naming the option that is out of range, and for a box with a ball.
 * @remarks Projections are in the norm weighted by h + δ/t, as in the paper. For the box that clamps each coordinate. The
 * ball takes one more pass over the parameters, and where the step leaves it one for each step of Newton's method, 1 to 5 as
 * a rule and 20 at most; ‖p‖ ≤ ball holds to a few roundings of the dtype, also should 20 not suffice for the nearest point.
 * The ball of all leaves is that of those that take part in the step, in a `group` that of the group. Where a step over
 * arrays of TensorFlow.js or jax-js keeps reductions on the device, all 20 are computed.
 * @see Zhou et al. 2021, Algorithm 1, https://arxiv.org/abs/2104.13790
 */
export function fastAdaBelief({
  b1 = 0.9,
  gamma = 0.9,
  delta = 0.01,
  schedule = "1/t",
  max: keepMax = true,
  box,
  ball,
  ballOver = "all",
  weightDecay = 0,
  decoupled = false,
}: FastAdaBeliefOptions = {}): Optimizer {
  requireOneOf("fastAdaBelief", "schedule", schedule, SCHEDULES);
  requireFlag("fastAdaBelief", "max", keepMax);
  if (box !== undefined) {
    requirePositive("fastAdaBelief", "box", box);
  }
  if (ball !== undefined) {
    requirePositive("fastAdaBelief", "ball", ball);
    requireThat(
      box === undefined,
      "fastAdaBelief",
      "`box` must be left out where there is a `ball`",
      box,
      "pass one of them",
    );
  }
  requireOneOf("fastAdaBelief", "ballOver", ballOver, ["all", "tensor"]);
  const state: Record<string, StateSpec> = {
    mu: perElement(),
    s: perElement(),
    ...(keepMax ? { h: perElement() } : {}),
  };
  const belief = defineOptimizer(
    "fastAdaBelief",
    state,
    convexRates(b1, gamma, delta),
    (inputs) => {
      const { g, t, lr, b1, gamma, delta } = inputs;
      // `h` is read only where it is declared.
      const { mu, s, h: before } = inputs as typeof inputs & Record<"mu" | "s" | "h", Expr>;
      const m = lerp(mu, g, sub(1, b1));
      const spread = lerp(s, square(sub(g, m)), div(gamma, t));
      const h = keepMax ? max(before, spread) : spread;
      const denominator = add(h, div(delta, t));
      const update = neg(div(mul(lr, m), denominator));
      const next: Record<string, Expr> = { mu: m, s: spread, ...(keepMax ? { h } : {}) };
      return { update, next, inspect: { belief: spread, effectiveRate: div(lr, denominator) } };
    },
  );
  const decayed = withDecay(belief, { weightDecay, decoupled });
  const timed = schedule === "1/t" ? overTime(decayed) : decayed;
  if (ball !== undefined) {
    return projected(timed, (x, { delta, t }, { s, h = s }) =>
      // State of `belief` and its hyperparameter, which no wrapper renames.
      projectOntoBall(x, add(h as Expr, div(delta as Expr, t)), ball, ballOver),
    );
  }
  return box === undefined ? timed : projected(timed, (x) => clamp(x, -box, box));
}

/**
 * SAdam: Adam for strongly convex losses, the sibling of FastAdaBelief around zero instead of the mean.
 *
 *     vₜ = β₂ₜ vₜ₋₁ + (1 − β₂ₜ) gₜ²,  β₂ₜ = 1 − γ/t
 *     update = −(α/t) mₜ / (vₜ + δ/t)
 *
 * State: `mu` = m, `nu` = v: 8 bytes a float32 parameter. With b1 = 0 it is SC-RMSprop with a constant δ.
 *
 * @throws RangeError naming the option that is out of range.
 * @see Wang et al. 2020, Algorithm 1, https://arxiv.org/abs/1905.02957
 */
export function sadam({
  b1 = 0.9,
  gamma = 0.9,
  delta = 0.01,
  schedule = "1/t",
  weightDecay = 0,
  decoupled = false,
}: StronglyConvexOptions = {}): Optimizer {
  requireOneOf("sadam", "schedule", schedule, SCHEDULES);
  const convex = defineOptimizer(
    "sadam",
    { mu: perElement(), nu: perElement() },
    convexRates(b1, gamma, delta),
    ({ g, mu, nu, t, lr, b1, gamma, delta }) => {
      const m = lerp(mu, g, sub(1, b1));
      const v = lerp(nu, square(g), div(gamma, t));
      const denominator = add(v, div(delta, t));
      const inspect = { v, effectiveRate: div(lr, denominator) };
      return { update: neg(div(mul(lr, m), denominator)), next: { mu: m, nu: v }, inspect };
    },
  );
  const decayed = withDecay(convex, { weightDecay, decoupled });
  return schedule === "1/t" ? overTime(decayed) : decayed;
}

/** Divides the rate by t: the step, and the decoupled decay with it, has rate α/t. */
function overTime(optimizer: Optimizer): Optimizer {
  return {
    ...optimizer,
    step: (inputs) => optimizer.step({ ...inputs, lr: div(inputs.lr, inputs.t) }),
  };
}

/** Ends each step in a projection. */
function projected(
  optimizer: Optimizer,
  onto: (x: Expr, inputs: NamedInputs, next: Readonly<Record<string, Expr>>) => Expr,
): Optimizer {
  return {
    ...optimizer,
    step: (inputs) => {
      const { update, ...others } = optimizer.step(inputs);
      const params = onto(add(inputs.p, update), inputs, others.next);
      return { ...others, update: sub(params, inputs.p), params };
    },
  };
}

const SCHEDULES = ["1/t", "constant"] as const;

function convexRates(
  b1: number,
  gamma: number,
  delta: number,
): Readonly<Record<"b1" | "gamma" | "delta", Hyperparameter>> {
  const aboveZero: Hyperparameter = {
    value: gamma,
    check: (where, name, value) => requireShare(where, name, value, "(0, 1]"),
  };
  return { b1: decayRate(b1), gamma: aboveZero, delta: positive(delta) };
}
