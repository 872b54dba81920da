/**
 * Gradient accumulation: one step on the mean of k gradients.
 *
 *     calls 1 … k − 1     a ← a + g/k
 *     call k              the step of the inner optimizer on a + g/k;  a ← 0
 */

import { requireCount } from "../errors.ts";
import { add, div, wrap } from "../expr/build.ts";
import type { Expr } from "../expr/node.ts";
import {
  combine,
  type NamedInputs,
  type Optimizer,
  type Phase,
  perElement,
  requireOptimizer,
  type StepOutputs,
} from "../optimizer.ts";

/**
 * Takes each step of an optimizer on the mean of `k` gradients, one a call.
 *
 *     a + g/k, where a is the sum of the k − 1 gradients before, each divided by k
 *
 * State: the inner optimizer's, and `accumulated` = a: 4 bytes a float32 parameter; none for k = 1. The calls before the
 * step report `"accumulated"`; schedules and t count steps, not calls. Where the inner optimizer takes calls of its own
 * before its step (`sam`), each of them is on the mean of k gradients.
 *
 * @param k - an integer of at least 1.
 * @throws RangeError for a count that is none, TypeError for what is no optimizer.
 * @remarks A leaf without a gradient in a call adds nothing; without one in the last call it takes no step, and what it
 * gathered counts in the next. Transforms before it in a chain see each gradient, those inside see the mean.
 * @example accumulate(4, chain(clipByGlobalNorm(1), adam()))
 */
export function accumulate(k: number, inner: Optimizer): Optimizer {
  requireCount("accumulate", "k", k);
  requireOptimizer("accumulate", "`inner`", inner);
  if (k === 1) {
    return inner;
  }
  const combined = combine([inner, { state: { accumulated: perElement() } }]);
  /** The mean so far, this call's share included. */
  const sumOf = (inputs: NamedInputs): Expr =>
    add(combined.inputsOf(1, inputs).accumulated as Expr, div(inputs.g, k));
  const gather: Phase = {
    status: "accumulated",
    step: (inputs) => ({
      update: wrap(0),
      params: inputs.p,
      next: combined.rename(1, { accumulated: sumOf(inputs) }),
    }),
  };
  /** A call of the inner optimizer on the mean. */
  const onMean =
    (step: (inputs: NamedInputs) => StepOutputs<string>) =>
    (inputs: NamedInputs): StepOutputs<string> => {
      const outputs = step({ ...combined.inputsOf(0, inputs), g: sumOf(inputs) });
      const next = {
        ...combined.rename(0, outputs.next),
        ...combined.rename(1, { accumulated: wrap(0) }),
      };
      return { ...outputs, next };
    };
  const gathering = Array.from({ length: k - 1 }, () => gather);
  const { evaluation, before = [] } = inner;
  return {
    name: `accumulate(${k}, ${inner.name})`,
    state: combined.state,
    hyperparameters: combined.hyperparameters,
    step: onMean((inputs) => inner.step(inputs)),
    before: [
      ...before.flatMap((phase) => [
        ...gathering,
        { status: phase.status, step: onMean((inputs) => phase.step(inputs)) },
      ]),
      ...gathering,
    ],
    ...(evaluation !== undefined && {
      evaluation: (inputs) => evaluation(combined.inputsOf(0, inputs)),
    }),
  };
}
