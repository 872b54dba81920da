/**
 * Adafactor: the second moment of a matrix as a row and a column
 *
 *     β̂₂ₜ = 1 − t^−γ
 *     Rₜ = β̂₂ₜ Rₜ₋₁ + (1 − β̂₂ₜ) mean of Gₜ² along each row
 *     Cₜ = β̂₂ₜ Cₜ₋₁ + (1 − β̂₂ₜ) mean of Gₜ² along each column
 *     V̂ₜ = Rₜ Cₜ / mean(Rₜ)                            a vector keeps its own average of g²
 *     Uₜ = Gₜ / √V̂ₜ,  Ûₜ = Uₜ / max(1, RMS(Uₜ)/θ)
 *     update = −max(ε₂, RMS(p)) ρₜ Ûₜ,  ρₜ = min(αₜ, 1/√t)
 */

import {
  requireCount,
  requireDecay,
  requireFlag,
  requireNonNegative,
  requireOneOf,
  requireThat,
} from "../errors.ts";
import {
  add,
  byLeaf,
  div,
  hostPow,
  lerp,
  max,
  min,
  mul,
  neg,
  size,
  sqrt,
  square,
  sub,
  sum,
} from "../expr/build.ts";
import { type Expr, type LeafInfo, matrixOf, type ReduceOver } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  type Hyperparameter,
  nonNegative,
  type Optimizer,
  perColumn,
  perElement,
  perRow,
  positive,
  type StateSpec,
} from "../optimizer.ts";
import { ownDecay } from "../transforms/weightDecay.ts";

export interface AdafactorOptions {
  /** Whose defaults apply, where ε₁ joins, and whether the rate scales the decay: `"torch"` (default) or `"optax"`. */
  readonly convention?: "torch" | "optax";
  /** γ, greater than 0, default 0.8. */
  readonly decay?: number;
  /**
   * ε₁, greater than 0. torch: √V̂ is at least ε₁ and mean(R) too, default 2⁻²³; optax: joins g², default 1e-30.
   */
  readonly eps?: number;
  /** ε₂, at least 0, default 1e-3: the least RMS that a parameter counts for. */
  readonly minScale?: number;
  /** θ, greater than 0, default 1; ∞ clips nothing. */
  readonly clippingThreshold?: number;
  /** Whether steps are relative to RMS(p); default true. */
  readonly scaleByParameter?: boolean;
  /** Whether ρ = min(α, 1/√t) takes the place of α; default true with torch, false with optax. */
  readonly relativeStep?: boolean;
  /** β₁ in [0, 1), default 0 (none): the average of updates that takes their place. */
  readonly momentum?: number;
  /** A matrix is factored where both its sides are at least this; default 1 with torch, 128 with optax. */
  readonly minFactored?: number;
  /** λ, at least 0, default 0 (none): decoupled; torch multiplies it by the rate, optax does not. */
  readonly weightDecay?: number;
}

/**
 * Adafactor, with memory that grows with the sides of a matrix, not with its size.
 *
 *     V̂ = R C / mean(R)      U = G / √V̂      update = −max(ε₂, RMS(p)) ρ U / max(1, RMS(U)/θ)
 *
 * State: `nuRow` = R and `nuColumn` = C of a factored matrix, in float64, 8 bytes a row and a column: 0.016 bytes a
 * parameter of 1024 × 1024. `nu` of every other leaf, 4 bytes a float32 parameter; `mu`, 4 more, with momentum.
 * Three passes: the averages, then RMS(U), then the step.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks Leaves of three axes and more are one matrix here, its rows all axes but the last; torch factors each matrix
 * of the last two axes, optax the two longest. torch takes the ε₁ of the dtype (2⁻⁵² in float64). The paper's own ε₁
 * joins g², as optax's.
 * @see Shazeer & Stern 2018, Algorithms 4 to 6, https://arxiv.org/abs/1804.04235
 * @example compileOptimizer(adafactor(), { params, learningRate: 1e-2 })
 */
export function adafactor({
  convention = "torch",
  decay = 0.8,
  eps = convention === "optax" ? 1e-30 : 2 ** -23,
  minScale = 1e-3,
  clippingThreshold = 1,
  scaleByParameter = true,
  relativeStep = convention !== "optax",
  momentum = 0,
  minFactored = convention === "optax" ? 128 : 1,
  weightDecay = 0,
}: AdafactorOptions = {}): Optimizer {
  requireOneOf("adafactor", "convention", convention, ["torch", "optax"]);
  requireNonNegative("adafactor", "minScale", minScale);
  requireThat(
    typeof clippingThreshold === "number" && clippingThreshold > 0,
    "adafactor",
    "`clippingThreshold` must be greater than 0",
    clippingThreshold,
  );
  requireFlag("adafactor", "scaleByParameter", scaleByParameter);
  requireFlag("adafactor", "relativeStep", relativeStep);
  requireDecay("adafactor", "momentum", momentum);
  requireCount("adafactor", "minFactored", minFactored);
  const isFactored = ({ shape }: LeafInfo): boolean => {
    const { rows, columns } = matrixOf(shape);
    return shape.length > 1 && Math.min(rows, columns) >= minFactored;
  };
  const joins = convention === "optax";
  const averages = momentum > 0;
  const clips = clippingThreshold < Number.POSITIVE_INFINITY;
  const decays = weightDecay > 0;
  const state: Record<string, StateSpec> = {
    nuRow: perRow(),
    nuColumn: perColumn(),
    nu: perElement(),
    ...(averages ? { mu: perElement() } : {}),
  };
  const rates: Record<string, Hyperparameter> = {
    decay: positive(decay),
    eps: positive(eps),
    ...(scaleByParameter ? { minScale: nonNegative(minScale) } : {}),
    ...(clips ? { clippingThreshold: positive(clippingThreshold) } : {}),
    ...(averages ? { momentum: decayRate(momentum) } : {}),
    ...ownDecay("adafactor", weightDecay),
  };
  return defineOptimizer("adafactor", state, rates, (inputs) => {
    const { g, p, t, lr } = inputs;
    // State and hyperparameters of an option are read only where they are declared.
    const { nuRow, nuColumn, nu, mu } = inputs as typeof inputs &
      Record<"nuRow" | "nuColumn" | "nu" | "mu", Expr>;
    const { decay, eps, minScale, clippingThreshold, momentum, weightDecay } =
      inputs as typeof inputs &
        Record<
          "decay" | "eps" | "minScale" | "clippingThreshold" | "momentum" | "weightDecay",
          Expr
        >;
    const w = hostPow(t, neg(decay));
    const squared = joins ? add(square(g), eps) : square(g);
    const row = lerp(nuRow, average(squared, "row"), w);
    const column = lerp(nuColumn, average(squared, "column"), w);
    const whole = lerp(nu, squared, w);
    const meanRow = average(row, "tensor");
    const v = byLeaf(isFactored, mul(div(row, joins ? meanRow : max(meanRow, eps)), column), whole);
    const u = div(g, joins ? sqrt(v) : max(sqrt(v), eps));
    const clip = clips ? max(1, div(sqrt(average(square(u), "tensor")), clippingThreshold)) : 1;
    const rho = relativeStep ? min(lr, div(1, sqrt(t))) : lr;
    const scale = scaleByParameter ? max(minScale, sqrt(average(square(p), "tensor"))) : 1;
    const step = mul(div(mul(scale, rho), clip), u);
    const moved = averages ? lerp(mu, step, sub(1, momentum)) : step;
    return {
      update: neg(decays ? add(moved, mul(joins ? weightDecay : mul(lr, weightDecay), p)) : moved),
      next: {
        nuRow: byLeaf(isFactored, row, nuRow),
        nuColumn: byLeaf(isFactored, column, nuColumn),
        nu: byLeaf(isFactored, nu, whole),
        ...(averages ? { mu: moved } : {}),
      },
    };
  });
}

/** The mean, 0 over nothing: a matrix without rows has columns all the same. */
function average(x: Expr, over: ReduceOver): Expr {
  return div(sum(x, over), max(size(over), 1));
}
