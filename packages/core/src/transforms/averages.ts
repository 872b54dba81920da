/**
 * Averages of the parameters over the steps, to evaluate the model with.
 *
 *     xₜ = p + update                       the parameter after the step
 *     ema      aₜ = d aₜ₋₁ + (1 − d) xₜ
 *     polyak   aₜ = aₜ₋₁ + (xₜ − aₜ₋₁)/t
 *     swa      the same mean, over every c-th step from s on
 *
 * They watch: the update passes through as it is. So they stand last in a chain, after decoupled decay, and see what
 * the step makes of the parameter. `evaluationParams()` of the compiled optimizer gives the average.
 */

import { requireCount, requireFlag } from "../errors.ts";
import { add, and, div, eq, floor, ge, lerp, lt, mul, select, sub } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  decayRate,
  defineOptimizer,
  type NamedInputs,
  type Optimizer,
  perElement,
  perTensor,
} from "../optimizer.ts";

export interface EmaOptions {
  /** Start the average at zero and correct for it, as Adam does its moments; by default it starts at the parameters. */
  readonly debias?: boolean;
}

/**
 * Exponential moving average of the parameters.
 *
 *     aₜ = d aₜ₋₁ + (1 − d) xₜ,  a₀ = x₀          evaluated: aₜ
 *     debiased: a₀ = 0, w₀ = 0, wₜ = d wₜ₋₁ + (1 − d)          evaluated: aₜ/wₜ
 *
 * State: `average` = a, 4 bytes a float32 parameter; debiased also `weight` = w, one number a tensor. The hyperparameter
 * `decay` can be changed while training; the correction follows.
 *
 * @param decay - d in [0, 1).
 * @throws RangeError for a decay out of range.
 * @remarks Before a leaf's first step, the debiased average is the parameter itself.
 * @example chain(adam(), ema(0.999))
 */
export function ema(decay: number, { debias = false }: EmaOptions = {}): Optimizer {
  requireFlag("ema", "debias", debias);
  const hyperparameters = { decay: decayRate(decay) };
  if (!debias) {
    const average = defineOptimizer(
      "ema",
      { average: perElement("params") },
      hyperparameters,
      ({ g, p, average: a, decay: d }) => ({
        update: g,
        next: { average: lerp(a, add(p, g), sub(1, d)) },
      }),
    );
    return { ...average, evaluation: averageOf };
  }
  const average = defineOptimizer(
    "ema",
    { average: perElement(), weight: perTensor() },
    hyperparameters,
    ({ g, p, average: a, weight, decay: d }) => ({
      update: g,
      next: {
        average: lerp(a, add(p, g), sub(1, d)),
        weight: add(mul(d, weight), sub(1, d)),
      },
    }),
  );
  return {
    ...average,
    evaluation: (inputs) => {
      const weight = inputs.weight as Expr;
      return select(eq(weight, 0), inputs.p, div(averageOf(inputs), weight));
    },
  };
}

/**
 * Polyak-Ruppert averaging: the mean of all iterates.
 *
 *     aₜ = aₜ₋₁ + (xₜ − aₜ₋₁)/t          evaluated: aₜ
 *
 * State: `average` = a, 4 bytes a float32 parameter.
 *
 * @see Polyak & Juditsky 1992, https://doi.org/10.1137/0330046
 * @example chain(sgd(), polyak())
 */
export function polyak(): Optimizer {
  const average = defineOptimizer(
    "polyak",
    { average: perElement("params") },
    ({ g, p, t, average: a }) => ({
      update: g,
      next: { average: lerp(a, add(p, g), div(1, t)) },
    }),
  );
  return { ...average, evaluation: averageOf };
}

export interface SwaOptions {
  /** s, an integer of at least 1: the first step whose parameters count. */
  readonly start: number;
  /** c, an integer of at least 1, default 1: of the steps from there on, every c-th counts. */
  readonly every?: number;
}

/**
 * Stochastic weight averaging: the mean of the parameters after steps s, s + c, s + 2c, ...
 *
 *     n = (t − s)/c + 1          a ← a + (xₜ − a)/n  where n is an integer above 0
 *
 * State: `average` = a, 4 bytes a float32 parameter. Evaluated: a; the parameter itself before step s.
 *
 * @throws RangeError naming the option that is out of range.
 * @remarks The schedule of the rate, constant or cyclic from step s on, is the caller's. Statistics of batch
 * normalisation must be taken anew for the average, as in the paper.
 * @see Izmailov et al. 2018, Algorithm 1, https://arxiv.org/abs/1803.05407
 * @example chain(sgd({ momentum: 0.9 }), swa({ start: 1000, every: 100 }))
 */
export function swa({ start, every = 1 }: SwaOptions): Optimizer {
  requireCount("swa", "start", start);
  requireCount("swa", "every", every);
  const average = defineOptimizer(
    "swa",
    { average: perElement("params") },
    ({ g, p, t, average: a }) => {
      const past = div(sub(t, start), every);
      const counts = and(ge(t, start), eq(floor(past), past));
      const mean = lerp(a, add(p, g), div(1, add(past, 1)));
      return { update: g, next: { average: select(counts, mean, a) } };
    },
  );
  return {
    ...average,
    // After a step, t is that of the next one.
    evaluation: (inputs) => select(lt(start, inputs.t), averageOf(inputs), inputs.p),
  };
}

function averageOf(inputs: NamedInputs): Expr {
  return inputs.average as Expr;
}
