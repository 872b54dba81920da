/**
 * AdaShift: the second moment comes from a gradient n steps old, so that it is independent of the step.
 *
 *     wᵢ = β₁ⁱ / Σ_{j<W} β₁ʲ
 *     mₜ = Σ_{i<W} wᵢ gₜ₋ᵢ                               temporal: a window of W ≤ n gradients
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) φ(gₜ₋ₙ²)                   spatial: φ reduces over the tensor
 *     v̂ₜ = vₜ / (1 − β₂ᵏ)                                k = updates of v since its first non-zero one
 *     update = −αₜ mₜ / (√v̂ₜ + ε)                        0 while t ≤ n
 */

import { requireCount, requireFlag, requireOneOf, requireShare, requireThat } from "../errors.ts";
import {
  add,
  and,
  bf16,
  delay,
  div,
  eq,
  gt,
  hostPow,
  lerp,
  max,
  maximum,
  mean,
  mul,
  neg,
  not,
  type Operand,
  or,
  select,
  sqrt,
  square,
  sub,
  windowSum,
  wrap,
} from "../expr/build.ts";
import { expm1, log } from "../expr/math.ts";
import { type Expr, scopeOf } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  nonNegative,
  type Optimizer,
  perElement,
  perTensor,
  type StateSpec,
} from "../optimizer.ts";
import { type DecayOptions, ownDecay, withDecay } from "../transforms/weightDecay.ts";

/** The spatial function φ: of the squared gradients of a tensor, one number or an array of their shape. */
export type Phi = "max" | "mean" | "none" | ((squared: Expr) => Operand);

export interface AdaShiftOptions extends DecayOptions {
  /** β₁ in [0, 1], default 0.9; 0 takes the newest gradient alone, 1 a plain average of the window. */
  readonly b1?: number;
  /** β₂ in [0, 1), default 0.999. */
  readonly b2?: number;
  /** ε, at least 0, default 1e-10; added after the root. */
  readonly eps?: number;
  /** The shift n, at least 1, default 10: how old the gradient is that v sees. */
  readonly n?: number;
  /** W in 1..n, default n: gradients in the first moment. */
  readonly window?: number;
  /** φ, default `"max"`: the largest squared gradient of the tensor. */
  readonly phi?: Phi;
  /**
   * `"nonzero"` (default): no step, and no count k, until v has seen a gradient other than zero.
   * `"step"`: k = t − n; steps are wild where gradients start at zero.
   */
  readonly gate?: "nonzero" | "step";
  /**
   * `"window"` (default): mₜ as above. `"community"`: mₜ = β₁(mₜ₋₁ − w_{n−1} gₜ₋ₙ) + w₀ gₜ from t = n + 1 on,
   * which never adds the first n gradients (a popular port; window must be n).
   */
  readonly warmup?: "window" | "community";
  /**
   * `"float"` (default): past gradients in the dtype. `"bf16"`: each gradient is rounded to bfloat16 when it arrives,
   * and its past kept in 2 bytes; m and v see the rounded ones, so that what enters the window sum is what leaves it.
   */
  readonly history?: "float" | "bf16";
}

/**
 * AdaShift: Adam with a second moment that is decorrelated from the gradient it scales.
 *
 *     mₜ = Σ_{i<W} wᵢ gₜ₋ᵢ,  wᵢ = β₁ⁱ / Σ_{j<W} β₁ʲ
 *     vₜ = β₂ vₜ₋₁ + (1 − β₂) φ(gₜ₋ₙ²),  v̂ₜ = vₜ / max(1e-8, 1 − β₂ᵏ)
 *     update = −αₜ mₜ / (√v̂ₜ + ε), 0 for the first n steps
 *
 * State: with φ = max or mean the last W gradients and the running window sum, 4W + 4 bytes a float32
 * parameter; `nu` = v, `k` and the n maxima that wait are one number a tensor each. With φ = none the last n
 * gradients and v and k an element, 4n + 12 bytes.
 * With `history: "bf16"` 2 bytes a past gradient: 2W + 4, or 2n + 12.
 * With φ = max, v is larger than Adam's: take about ten times Adam's rate.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks With eps 0 and gate "step" an element whose gradients have all been zero is 0/0, NaN. Squares before it reduces,
 * corrects v, and takes no step for t ≤ n, as the authors' code and unlike their pseudocode. Coupled decay is seen by the
 * history; decoupled decay waits for the first step.
 * @see Zhou et al. 2019, Algorithm 3, https://arxiv.org/abs/1810.00143
 * @example compileOptimizer(adashift({ n: 10, phi: "max" }), { params, learningRate: 1e-2 })
 */
export function adashift({
  b1 = 0.9,
  b2 = 0.999,
  eps = 1e-10,
  n = 10,
  window = n,
  phi = "max",
  gate = "nonzero",
  warmup = "window",
  history = "float",
  weightDecay = 0,
  decoupled = false,
}: AdaShiftOptions = {}): Optimizer {
  requireShare("adashift", "b1", b1);
  requireCount("adashift", "n", n);
  requireCount("adashift", "window", window);
  requireThat(window <= n, "adashift", "`window` must be at most `n`", window);
  requireFlag("adashift", "decoupled", decoupled);
  requireOneOf("adashift", "gate", gate, ["nonzero", "step"]);
  requireOneOf("adashift", "warmup", warmup, ["window", "community"]);
  requireOneOf("adashift", "history", history, ["float", "bf16"]);
  requireThat(
    warmup === "window" || window === n,
    "adashift",
    '`window` must be `n` with warmup "community"',
    window,
  );

  const reduce = phiOf(phi);
  const weights = Array.from({ length: window }, (_, i) => b1 ** i);
  const w0 = 1 / weights.reduce((sum, weight) => sum + weight, 0);
  const v0 = scopeOf(reduce(square(PROBE))) === "element" ? perElement() : perTensor();
  const state: Record<string, StateSpec> = {
    nu: v0,
    ...(gate === "nonzero" ? { k: v0 } : {}),
    ...(warmup === "community" ? { mu: perElement() } : {}),
  };

  const shrinks = decoupled && weightDecay > 0;
  const rates = {
    b2: decayRate(b2),
    eps: nonNegative(eps),
    ...ownDecay("adashift", decoupled ? weightDecay : 0),
  };
  const shifted = defineOptimizer("adashift", state, rates, (inputs) => {
    const { p, t, lr, b2, eps, weightDecay } = inputs;
    const g = history === "bf16" ? bf16(inputs.g) : inputs.g;
    // `k` and `mu` are read only where they are declared.
    const { nu, k, mu } = inputs as typeof inputs & Record<"nu" | "k" | "mu", Expr>;
    const next: Record<string, Expr> = {};
    const started = gt(t, n);

    const v = lerp(nu, delay(reduce(square(g)), n), sub(1, b2));
    next.nu = v;

    let ready = started;
    let c = sub(1, hostPow(b2, sub(t, n)));
    if (gate === "nonzero") {
      const seen = and(started, or(gt(k, 0), not(eq(v, 0))));
      const count = select(seen, add(k, 1), k);
      next.k = count;
      ready = gt(count, 0);
      // 1 − β₂ᵏ, without the cancellation of a small exponent
      c = max(1e-8, neg(expm1(mul(count, log(b2)))));
    }

    let m = mul(w0, windowSum(g, b1, window));
    if (warmup === "community") {
      const last = w0 * b1 ** (n - 1);
      m = select(started, add(mul(b1, sub(mu, mul(last, delay(g, n)))), mul(w0, g)), 0);
      next.mu = m;
    }

    const rate = div(lr, add(sqrt(div(v, c)), eps));
    const u = select(ready, mul(rate, m), 0);
    const inspect = { v: select(ready, div(v, c), 0), effectiveRate: select(ready, rate, 0) };
    // Decoupled decay goes with the steps, gated elements included.
    const decayed = shrinks ? add(u, mul(select(started, mul(lr, weightDecay), 0), p)) : u;
    const moments = { m: select(ready, m, 0), v: inspect.v };
    return { update: neg(decayed), next, inspect, ...(!shrinks && { moments }) };
  });
  return decoupled ? shifted : withDecay(shifted, { weightDecay });
}

/** An element to find out what φ makes of elements. */
const PROBE: Expr = { op: "input", name: "g", scope: "element" };

function phiOf(phi: Phi): (squared: Expr) => Expr {
  if (typeof phi === "function") {
    return (squared) => wrap(phi(squared));
  }
  requireOneOf("adashift", "phi", phi, ["max", "mean", "none"]);
  switch (phi) {
    case "max":
      return (squared) => maximum(squared);
    case "mean":
      return (squared) => mean(squared);
    case "none":
      return (squared) => squared;
    default:
      return phi satisfies never;
  }
}
