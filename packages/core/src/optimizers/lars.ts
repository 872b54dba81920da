/**
 * LARS: momentum whose rate follows the ratio of a tensor's norm to its gradient's.
 *
 *     dₜ = gₜ + λ p
 *     κₜ = η ‖p‖ / (‖gₜ‖ + λ‖p‖ + ε)          optax: η ‖p‖ / (‖dₜ‖ + ε); 1 where a norm is 0
 *     bₜ = μ bₜ₋₁ + αₜ κₜ dₜ
 *     update = −bₜ                            Nesterov: −(αₜ κₜ dₜ + μ bₜ)
 */

import { requireDecay, requireFlag, requireOneOf, requireThat } from "../errors.ts";
import { add, div, mul, neg } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  nonNegative,
  type Optimizer,
  perElement,
  positive,
  type StepInputs,
} from "../optimizer.ts";
import { ownDecay } from "../transforms/weightDecay.ts";
import { norm, trustRatio } from "./trustRatio.ts";

export interface LarsOptions {
  /** μ in [0, 1), default 0.9; 0 leaves it out. */
  readonly momentum?: number;
  /** Look ahead by one step of momentum; needs momentum. */
  readonly nesterov?: boolean;
  /** η, greater than 0, default 0.001: the share of its norm that a tensor may move, times the rate. */
  readonly trustCoefficient?: number;
  /** ε, at least 0, default 0; added to the denominator of the ratio. */
  readonly eps?: number;
  /** λ, at least 0, default 0 (none); joins the gradient. */
  readonly weightDecay?: number;
  /** The denominator: `"paper"` (default) the sum of both norms, `"optax"` the norm of the sum. */
  readonly convention?: "paper" | "optax";
}

/**
 * LARS (layer-wise adaptive rate scaling), for large batches.
 *
 *     bₜ = μ bₜ₋₁ + αₜ κₜ (gₜ + λ p),  κₜ = η ‖p‖ / (‖gₜ‖ + λ‖p‖ + ε)          update = −bₜ
 *
 * State: `trace` = b, 4 bytes a float32 parameter; none without momentum. Two passes: the norms want all of g first.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks The rate is inside b, as in the paper and in optax; timm has it outside, which differs where the rate changes.
 * The paper's κ divides by both norms, as NVIDIA's and timm's code does, optax by the norm of g + λp: the same without
 * decay. ε is in neither; timm has 1e-8, optax 0. Where ‖p‖ or the gradient's norm is 0 κ is 1, as in both; the
 * gradient's norm is that of g here, that of g + λp in optax.
 * @see You, Gitman & Ginsburg 2017, Algorithm 1, https://arxiv.org/abs/1708.03888
 * @example compileOptimizer(lars({ weightDecay: 1e-4 }), { params, learningRate: 1 })
 */
export function lars({
  momentum = 0.9,
  nesterov = false,
  trustCoefficient = 0.001,
  eps = 0,
  weightDecay = 0,
  convention = "paper",
}: LarsOptions = {}): Optimizer {
  requireDecay("lars", "momentum", momentum);
  requireFlag("lars", "nesterov", nesterov);
  requireOneOf("lars", "convention", convention, ["paper", "optax"]);
  requireThat(
    !nesterov || momentum > 0,
    "lars",
    "`nesterov` needs `momentum` above 0",
    `momentum ${momentum}`,
  );
  const decays = weightDecay > 0;
  const rates = {
    trustCoefficient: positive(trustCoefficient),
    eps: nonNegative(eps),
    ...ownDecay("lars", weightDecay),
  };
  const scaled = (inputs: StepInputs & Readonly<Record<keyof typeof rates, Expr>>): Expr => {
    const { g, p, lr, trustCoefficient, eps, weightDecay } = inputs;
    const d = decays ? add(g, mul(weightDecay, p)) : g;
    const measured = convention === "paper" ? norm(g) : norm(d);
    const decay = decays && convention === "paper" ? mul(weightDecay, norm(p)) : 0;
    const denominator = add(add(measured, decay), eps);
    const ratio = div(mul(trustCoefficient, norm(p)), denominator);
    return mul(mul(lr, trustRatio(norm(p), measured, ratio)), d);
  };
  if (momentum === 0) {
    return defineOptimizer<never, keyof typeof rates>("lars", {}, rates, (inputs) => ({
      update: neg(scaled(inputs)),
      next: {},
    }));
  }
  const heavy = { ...rates, momentum: decayRate(momentum) };
  return defineOptimizer("lars", { trace: perElement() }, heavy, (inputs) => {
    const { trace, momentum } = inputs;
    const step = scaled(inputs);
    const b = add(mul(momentum, trace), step);
    return { update: neg(nesterov ? add(step, mul(momentum, b)) : b), next: { trace: b } };
  });
}
