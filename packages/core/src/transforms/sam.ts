/**
 * SAM: sharpness-aware minimisation, in two calls a step.
 *
 *     first call, gradient g at w       w̃ = w + ρ g/‖g‖                 the worst point nearby
 *     second call, gradient g̃ at w̃      w ← w + update of the inner optimizer on g̃
 *
 *     adaptive (ASAM)                   w̃ = w + ρ T²g/‖T g‖,  T = |w| + η
 *
 * Norms are over all tensors.
 */

import { requireFlag, requireThat } from "../errors.ts";
import { abs, add, div, eq, mul, select, sqrt, square, sub, sum, wrap } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  combine,
  type NamedInputs,
  nonNegative,
  type Optimizer,
  type Phase,
  perElement,
  perTensor,
  requireOptimizer,
} from "../optimizer.ts";

export interface SamOptions {
  /** ρ, at least 0: the radius; default 0.05, with `adaptive` 0.5. */
  readonly rho?: number;
  /** Measure the neighbourhood relative to each weight, as ASAM does; default false. */
  readonly adaptive?: boolean;
  /** η of ASAM, at least 0, default 0.01: what a weight of zero still counts as. */
  readonly eta?: number;
}

/**
 * Sharpness-aware minimisation around any optimizer.
 *
 * Each step takes two calls: `step` with the gradient at the parameters reports `"ascended"` and moves them to the
 * worst point nearby; `step` with the gradient there goes back and takes the inner optimizer's step.
 *
 * State: the inner optimizer's, `anchor` = w, 4 bytes a float32 parameter, and `ascended`, one number a tensor. The
 * hyperparameters `rho` and `eta` can be changed while training. Evaluated between the two calls: w.
 *
 * @throws RangeError naming the option that is out of range, or for an inner optimizer with calls before its own step:
 * put `accumulate` around `sam`.
 * @remarks Where all gradients are zero, nothing ascends; the authors' code divides by ‖g‖ + 1e-12. A leaf without a
 * gradient in the first call stays where it is; without one in the second it goes back at its next step. Keep decay
 * inside: what follows in a chain sees w̃ as the parameter.
 * @see Foret et al. 2021, equation 2 and Algorithm 1, https://arxiv.org/abs/2010.01412; ASAM: Kwon et al. 2021,
 * https://arxiv.org/abs/2102.11600
 * @example sam(sgd({ momentum: 0.9, weightDecay: 5e-4 }), { rho: 0.05 })
 */
export function sam(
  inner: Optimizer,
  { adaptive = false, rho = adaptive ? 0.5 : 0.05, eta = 0.01 }: SamOptions = {},
): Optimizer {
  requireOptimizer("sam", "`inner`", inner);
  requireFlag("sam", "adaptive", adaptive);
  const hyperparameters = {
    rho: nonNegative(rho),
    ...(adaptive ? { eta: nonNegative(eta) } : {}),
  };
  for (const [key, { value, check }] of Object.entries(hyperparameters)) {
    check("sam", key, value);
  }
  const { before = [], evaluation } = inner;
  requireThat(
    before.length === 0,
    "sam",
    "`inner` must take no calls before its step",
    inner.name,
    "put the other around sam, as in accumulate(4, sam(sgd()))",
  );
  const state = { anchor: perElement(), ascended: perTensor() };
  const combined = combine([inner, { state, hyperparameters }]);
  const own = (inputs: NamedInputs): NamedInputs => combined.inputsOf(1, inputs);
  /** Where the step starts: the parameter, or the one it ascended from. */
  const start = (inputs: NamedInputs): Expr => {
    const { anchor, ascended } = own(inputs) as NamedInputs & Record<keyof typeof state, Expr>;
    return select(eq(ascended, 1), anchor, inputs.p);
  };
  const ascend: Phase = {
    status: "ascended",
    step: (inputs) => {
      const { g, p } = inputs;
      const radius = own(inputs).rho as Expr;
      const w = start(inputs);
      const scale = adaptive ? add(abs(w), own(inputs).eta as Expr) : wrap(1);
      const scaled = mul(scale, g);
      const norm = sqrt(sum(square(scaled), "all"));
      const length = select(eq(norm, 0), 0, div(radius, norm));
      const params = add(w, mul(length, mul(scale, scaled)));
      const next = combined.rename(1, { anchor: w, ascended: wrap(1) });
      return { update: sub(params, p), params, next };
    },
  };
  return {
    name: `sam(${inner.name})`,
    state: combined.state,
    hyperparameters: combined.hyperparameters,
    step: (inputs) => {
      const w = start(inputs);
      const outputs = inner.step({ ...combined.inputsOf(0, inputs), p: w });
      const params = outputs.params ?? add(w, outputs.update);
      const next = {
        ...combined.rename(0, outputs.next),
        ...combined.rename(1, { anchor: own(inputs).anchor as Expr, ascended: wrap(0) }),
      };
      return { ...outputs, update: sub(params, inputs.p), params, next };
    },
    before: [ascend],
    evaluation: (inputs) => {
      const p = start(inputs);
      return evaluation?.({ ...combined.inputsOf(0, inputs), p }) ?? p;
    },
  };
}
