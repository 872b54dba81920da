/**
 * Muon: momentum whose singular values are brought to about one.
 *
 *     Mₜ = β Mₜ₋₁ + (1 − β) Gₜ                                  torch           optax
 *     Uₜ = β M̂ₜ + (1 − β) Ĝₜ  (Nesterov), or M̂ₜ                 M̂ = M, Ĝ = G    M̂ = M/(1 − βᵗ), with Nesterov M/(1 − βᵗ⁺¹); Ĝ = G/(1 − βᵗ)
 *     X₀ = Uₜ / ‖Uₜ‖                                            max(‖U‖, ε)     ‖U‖ + ε
 *     Xₖ = a Xₖ₋₁ + (b XXᵀ + c (XXᵀ)²) Xₖ₋₁,  k = 1 … K         the Newton-Schulz iteration, with X = Xₖ₋₁
 *     W ← (1 − αₜ λ) W − αₜ s X_K                               s by the shape of W
 */

import {
  requireFlag,
  requireNonNegative,
  requireOneOf,
  requirePositive,
  requireThat,
} from "../errors.ts";
import { add, byLeaf, div, lerp, max, maximum, mul, neg, size, sqrt, sub } from "../expr/build.ts";
import { newtonSchulz } from "../expr/newtonSchulz.ts";
import type { Expr } from "../expr/node.ts";
import {
  combine,
  decayRate,
  defineOptimizer,
  type NamedInputs,
  nonNegative,
  type Optimizer,
  perElement,
  requireOptimizer,
  type StepOutputs,
  uniqueKey,
} from "../optimizer.ts";
import { type LeafMask, masked } from "../transforms/patterns.ts";
import { withDecay } from "../transforms/weightDecay.ts";
import { correction } from "./adam.ts";
import { nadam } from "./nadam.ts";
import { norm } from "./trustRatio.ts";

/** Coefficients of one iteration of Newton-Schulz. */
export type MuonCoefficients = readonly [a: number, b: number, c: number];

export interface MuonOptions {
  /** β in [0, 1), default 0.95. */
  readonly momentum?: number;
  /** Whether the step looks ahead along the momentum, default true. */
  readonly nesterov?: boolean;
  /** K, iterations of Newton-Schulz, an integer of at least 1, default 5. */
  readonly nsSteps?: number;
  /** a, b and c, default [3.4445, −4.775, 2.0315]; steepest at 0, so that small singular values grow fastest. */
  readonly nsCoefficients?: MuonCoefficients;
  /** ε, greater than 0, default 1e-8 with optax, 1e-7 with torch. */
  readonly eps?: number;
  /** λ, at least 0, default 0 with optax, 0.1 with torch; decoupled. */
  readonly weightDecay?: number;
  /** `"optax"` (default): the last axis of W is its output; `"torch"`: the first is. See the equations for the rest. */
  readonly convention?: "optax" | "torch";
  /**
   * RMS of the update of every matrix, greater than 0: s = rms·√max(rows, columns), which takes AdamW's rates with 0.2. Where left
   * out, s = √max(1, outputs/inputs).
   */
  readonly rms?: number;
  /** The leaves that are matrices, default those of two axes. Where there are more, all axes but the last make rows. */
  readonly mask?: LeafMask;
  /** What the other leaves train with, default `nadam({ convention: "optax", b1: 0.9, b2: 0.999, eps: 1e-8 })`. */
  readonly auxiliary?: Optimizer;
  /** What the rate is multiplied by for the other leaves, at least 0, default 1; can be changed while training. */
  readonly auxiliaryScale?: number;
}

/**
 * Muon, for the hidden matrices of a network, with another optimizer for everything else.
 *
 *     W ← (1 − αₜ λ) W − αₜ s NewtonSchulz(Uₜ / ‖Uₜ‖)
 *
 * State: `mu` = M of a matrix, 4 bytes a float32 parameter, and that of the other optimizer for its leaves. Working memory: 4
 * bytes a parameter, and 12 to 20 for the largest matrix. An iteration multiplies 1.5 to 2 times min(rows, columns) numbers a parameter.
 *
 * @throws RangeError naming the option that is out of range, and for an auxiliary optimizer that takes calls before a step; TypeError for
 * what is no optimizer. When compiled, RangeError for a pattern that takes no leaf.
 * @remarks Leave embeddings and the last layer to the other optimizer: `mask: ({ path, shape }) => shape.length === 2 && path !== "head/kernel"`. PyTorch rounds to
 * bfloat16 before it iterates; here the dtype is kept.
 * @see Jordan et al. 2024, https://kellerjordan.github.io/posts/muon; for `rms` Liu et al. 2025, https://arxiv.org/abs/2502.16982
 * @example compileOptimizer(muon({ auxiliaryScale: 0.1 }), { params, learningRate: 0.02 })
 */
export function muon({
  convention = "optax",
  momentum = 0.95,
  nesterov = true,
  nsSteps = 5,
  nsCoefficients = [3.4445, -4.775, 2.0315],
  eps = convention === "torch" ? 1e-7 : 1e-8,
  weightDecay = convention === "torch" ? 0.1 : 0,
  rms,
  mask,
  auxiliary = nadam({ convention: "optax", b1: 0.9, b2: 0.999, eps: 1e-8 }),
  auxiliaryScale = 1,
}: MuonOptions = {}): Optimizer {
  requireOneOf("muon", "convention", convention, ["optax", "torch"]);
  requireFlag("muon", "nesterov", nesterov);
  requireThat(
    Number.isSafeInteger(nsSteps) && nsSteps >= 1,
    "muon",
    "`nsSteps` must be an integer of at least 1",
    nsSteps,
  );
  requireThat(
    Array.isArray(nsCoefficients) &&
      nsCoefficients.length === 3 &&
      nsCoefficients.every(Number.isFinite),
    "muon",
    "`nsCoefficients` must be three numbers",
    nsCoefficients,
  );
  requirePositive("muon", "eps", eps);
  requireNonNegative("muon", "weightDecay", weightDecay);
  requireNonNegative("muon", "auxiliaryScale", auxiliaryScale);
  if (rms !== undefined) {
    requirePositive("muon", "rms", rms);
  }
  requireOptimizer("muon", "`auxiliary`", auxiliary);
  requireThat(
    (auxiliary.before ?? []).length === 0,
    "muon",
    "`auxiliary` must take its steps in one call",
    auxiliary.name,
    "put accumulate or sam around muon",
  );
  const isTorch = convention === "torch";
  const state = { mu: perElement() };
  const rates = { momentum: decayRate(momentum) };
  const orthogonal = defineOptimizer("muon", state, rates, ({ g, mu, t, lr, momentum }) => {
    const m = lerp(mu, g, sub(1, momentum));
    const ahead = add(t, 1);
    const mHat = isTorch ? m : div(m, correction(momentum, nesterov ? ahead : t));
    const gHat = isTorch ? g : div(g, correction(momentum, t));
    const u = nesterov ? lerp(gHat, mHat, momentum) : mHat;
    const length = isTorch ? max(norm(u), eps) : add(norm(u), eps);
    const x = newtonSchulz(div(u, length), Array<MuonCoefficients>(nsSteps).fill(nsCoefficients));
    return { update: neg(mul(mul(lr, shapeScale(isTorch, rms)), x)), next: { mu: m } };
  });
  const where =
    mask === undefined
      ? (a: Expr, b: Expr): Expr => byLeaf(({ shape }) => shape.length === 2, a, b)
      : masked("muon", mask);
  const own = withDecay(orthogonal, { weightDecay, decoupled: true });
  return sideBySide(own, auxiliary, auxiliaryScale, where);
}

/** s of a matrix. */
function shapeScale(isTorch: boolean, rms: number | undefined): Expr {
  const columns = maximum(size("row"));
  const rows = div(size(), columns);
  if (rms !== undefined) {
    return mul(rms, sqrt(max(rows, columns)));
  }
  return sqrt(max(1, isTorch ? div(rows, columns) : div(columns, rows)));
}

/** One optimizer where the leaves say so, and another, at a rate of its own, everywhere else. */
function sideBySide(
  own: Optimizer,
  auxiliary: Optimizer,
  auxiliaryScale: number,
  where: (a: Expr, b: Expr) => Expr,
): Optimizer {
  const combined = combine([own, auxiliary], true);
  const key = uniqueKey("auxiliaryScale", { ...combined.state, ...combined.hyperparameters });
  const inputsOf = (index: number, inputs: NamedInputs): NamedInputs => {
    const lr = index === 0 ? inputs.lr : mul(inputs.lr, inputs[key] as Expr);
    return { ...combined.inputsOf(index, inputs), lr };
  };
  const evaluate = auxiliary.evaluation;
  return {
    name: own.name,
    state: combined.state,
    hyperparameters: { ...combined.hyperparameters, [key]: nonNegative(auxiliaryScale) },
    step: (inputs) => {
      const a = own.step(inputsOf(0, inputs));
      const b = auxiliary.step(inputsOf(1, inputs));
      const paramsOf = ({ update, params = add(inputs.p, update) }: StepOutputs<string>): Expr =>
        params;
      const [nextA, nextB] = [combined.rename(0, a.next), combined.rename(1, b.next)];
      const after = (name: string): Expr => {
        const before = inputs[name] as Expr;
        return where(nextA[name] ?? before, nextB[name] ?? before);
      };
      return {
        update: where(a.update, b.update),
        params: where(paramsOf(a), paramsOf(b)),
        next: Object.fromEntries(Object.keys(combined.state).map((name) => [name, after(name)])),
      };
    },
    ...(evaluate !== undefined && {
      evaluation: (inputs) => where(inputs.p, evaluate(inputsOf(1, inputs))),
    }),
  };
}
