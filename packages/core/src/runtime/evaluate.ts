/** Parameters to evaluate a model with, where they are not those that train. */

import { bytesOf, numbersAt } from "../arena.ts";
import { EVALUATED, type Stream } from "../codegen/passes.ts";
import type { NumericArray } from "../contracts.ts";
import type { Part, Runner, Runtime } from "./parts.ts";
import { type StepNumbers, sequence } from "./sequence.ts";
import type { Tensor, TensorClass } from "./tensor.ts";

/**
 * What the evaluation phases of classes make of their tensors, copied; nothing for a class without one.
 *
 * @param work - byte offset of as many elements as the largest tensor has, that nobody else uses.
 */
export function evaluate(
  runner: Runner,
  classes: readonly TensorClass[],
  numbers: StepNumbers,
  runtime: Pick<Runtime, "runHost" | "levelByLevel">,
  work: number,
): ReadonlyMap<Tensor, NumericArray> {
  const parts = classes.flatMap((owner): Part[] => {
    const phase = owner.plan.evaluation;
    return phase === undefined ? [] : [{ owner, phase, active: owner.tensors }];
  });
  const evaluated = new Map<Tensor, NumericArray>();
  for (const call of sequence(parts, numbers, runtime)) {
    const { owner, pass, first, last } = call;
    if (!pass.steady.streams.some(isEvaluated)) {
      runner.run(call);
      continue;
    }
    for (const tensor of owner.tensors.slice(first.index, last.index + 1)) {
      const { start, size } = tensor.extent;
      runner.evaluated = work - start * bytesOf(owner.dtype);
      if (first === last) {
        runner.run(call);
      } else {
        // A run of several tensors has no number of their own: those of the first are those of all.
        runner.runRange(call, { start, end: start + size });
      }
      evaluated.set(tensor, numbersAt(owner.memory, owner.dtype, work, size).slice());
    }
  }
  return evaluated;
}

function isEvaluated(stream: Stream): boolean {
  return "array" in stream && stream.array === EVALUATED;
}
