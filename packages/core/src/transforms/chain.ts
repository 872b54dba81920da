/** Composition of programs by substitution. */

import type { Expr } from "../expr/node.ts";
import {
  combine,
  type NamedInputs,
  type Optimizer,
  type Phase,
  requireOptimizer,
  type StepOutputs,
  uniqueKey,
} from "../optimizer.ts";

/**
 * Runs stages one after another: each sees the update of the one before as its gradient.
 *
 *     u₀ = g;  uᵢ = stageᵢ(uᵢ₋₁, p);  p ← p + u_last
 *
 * Transforms of the gradient (clipping, L2) stand before the optimizer, transforms of the update
 * (decoupled decay) after it. A projection holds only where no later stage changes the update.
 *
 * Keys of state and hyperparameters are those of the stages; where two stages use the same key, the later one's
 * carries its position: `"mu"`, `"2.mu"`. One stage may have calls before its step (`accumulate`, `sam`): they see the
 * gradient as the stages before it make it, whose state stays. The parameters to evaluate with are those of the last
 * stage that names them.
 *
 * @throws RangeError without stages, or when two have calls before their step.
 * @example chain(clipByGlobalNorm(1), adam(), decoupledWeightDecay(1e-2))
 */
export function chain(...stages: readonly Optimizer[]): Optimizer {
  if (stages.length === 0) {
    throw new RangeError("chain: at least one stage is needed, got none; pass an optimizer");
  }
  stages.forEach((stage, position) => requireOptimizer("chain", `stage ${position + 1}`, stage));
  const phased = stages.filter(({ before = [] }) => before.length > 0);
  if (phased.length > 1) {
    const names = phased.map(({ name }) => name).join(" and ");
    throw new RangeError(
      `chain: one stage at most may have calls before its step, got ${names}; put one around the other`,
    );
  }
  const combined = combine(stages);
  /** Runs the stages from the first up to `end`, and says what each made. */
  const run = (inputs: NamedInputs, end: number): StepOutputs<string>[] => {
    const made: StepOutputs<string>[] = [];
    for (const [index, stage] of stages.slice(0, end).entries()) {
      const g = made.at(-1)?.update ?? inputs.g;
      const outputs = stage.step({ ...combined.inputsOf(index, inputs), g });
      // A stage that only watches leaves the parameter as the stage before made it.
      const params = outputs.params ?? (outputs.update === g ? made.at(-1)?.params : undefined);
      made.push({ ...outputs, ...(params !== undefined && { params }) });
    }
    return made;
  };
  const evaluator = stages.findLastIndex((stage) => stage.evaluation !== undefined);
  const evaluation = stages[evaluator]?.evaluation;
  return {
    name: stages.map((stage) => stage.name).join("+"),
    state: combined.state,
    hyperparameters: combined.hyperparameters,
    step: (inputs) => {
      const made = run(inputs, stages.length);
      const { update, params, moments } = made.at(-1) as StepOutputs<string>;
      const next: Record<string, Expr> = {};
      const inspect: Record<string, Expr> = {};
      made.forEach((outputs, index) => {
        Object.assign(next, combined.rename(index, outputs.next));
        for (const [name, e] of Object.entries(outputs.inspect ?? {})) {
          inspect[uniqueKey(name, inspect, index + 1)] = e;
        }
      });
      return {
        update,
        next,
        inspect,
        ...(params !== undefined && { params }),
        ...(moments !== undefined && { moments }),
      };
    },
    before: stages.flatMap(({ before = [] }, index) =>
      before.map(
        (phase): Phase => ({
          status: phase.status,
          step: (inputs) => {
            const g = run(inputs, index).at(-1)?.update ?? inputs.g;
            const outputs = phase.step({ ...combined.inputsOf(index, inputs), g });
            return { ...outputs, next: combined.rename(index, outputs.next) };
          },
        }),
      ),
    ),
    ...(evaluation !== undefined && {
      evaluation: (inputs) => evaluation(combined.inputsOf(evaluator, inputs)),
    }),
  };
}
