/** Runs one step under inspection: the probes of its passes over a sample or all elements, and keeps what they reduced. */

import type { Pass, PhasePlan } from "../codegen/passes.ts";
import { requireThat } from "../errors.ts";
import { placeOf, type Reading, type Reduced, statisticsOf } from "../inspect.ts";
import type { Inspection, PassCall, Runner } from "./parts.ts";
import { type Block, rangesOf, sampleOf, sizeOf } from "./sample.ts";
import type { Tensor, TensorClass } from "./tensor.ts";

/** @throws RangeError for what is neither true, false nor "all". */
export function requireInspect(inspect: unknown): void {
  requireThat(
    inspect === true || inspect === false || inspect === "all",
    "step",
    '`inspect` must be true, false or "all"',
    inspect,
  );
}

/** Inspects one step: a sample of each tensor's elements, or all of them. */
export function inspection(inspect: true | "all", runner: Runner): Inspection {
  requireInspect(inspect);
  const record = recordStep();
  return {
    run(call) {
      for (const tensor of probedBy(call)) {
        const { extent, count } = tensor;
        const blocks = inspect === "all" ? allOf(tensor) : sampleOf(extent.size, count + 1);
        runner.run(probeOf(call, tensor, blocks));
        record.keep(call, tensor, sizeOf(blocks));
      }
      runner.run(call);
    },
    statistics: record.statistics,
  };
}

/** The tensors of a call that have something to probe. */
export function probedBy({ owner, pass, first, last }: PassCall): readonly Tensor[] {
  return pass.probe === undefined
    ? []
    : owner.tensors.slice(first.index, last.index + 1).filter(({ extent }) => extent.size > 0);
}

/** The probe of a call over blocks of one of its tensors. */
export function probeOf(
  { owner, phase, pass, first }: PassCall,
  tensor: Tensor,
  blocks: readonly Block[],
): PassCall {
  const probe = pass.probe as Pass;
  const ranges = rangesOf(tensor, blocks, probe.perRow);
  // The tensors of a call have the same numbers; where they would not, a call has one.
  return { owner, phase, pass: probe, first, last: first, ranges };
}

export function allOf({ extent }: Tensor): readonly Block[] {
  return [[0, extent.size]];
}

/** What a step reduced of the tensors of a class. */
interface Taken {
  /** A row a tensor, its numbers where the host has them. */
  readonly numbers: Float64Array;
  /** Elements that were looked at, by tensor. */
  readonly sampled: Float64Array;
}

export interface StepRecord extends Pick<Inspection, "statistics"> {
  /** Keeps what the probe of a call left among the numbers of the call's first tensor, as what it found of `tensor`. */
  keep(call: PassCall, tensor: Tensor, sampled: number): void;
}

/** Keeps what the probes of one step reduce; statistics are made of it when somebody reads them. */
export function recordStep(): StepRecord {
  const byClass = new Map<TensorClass, Taken>();
  return {
    keep({ owner, phase, pass, first }, { extent, index }, sampled) {
      const taken = byClass.get(owner) ?? startTaken(owner);
      byClass.set(owner, taken);
      const { numbers } = first.valuesOf(phase);
      const row = index * phase.host.slots;
      for (const { kind, slot } of (pass.probe as Pass).reductions) {
        // What the sum over the whole tensor is estimated to be.
        const scale = kind === "sum" ? extent.size / sampled : 1;
        taken.numbers[row + slot] = (numbers[slot] as number) * scale;
      }
      taken.sampled[index] = sampled;
    },
    statistics(tensors) {
      const looked = tensors.filter(({ extent }) => extent.size > 0);
      for (const tensor of looked) {
        keepHosts(tensor, byClass.get(tensor.owner) as Taken);
      }
      return statisticsOf(() => readingsOf(looked, byClass));
    },
  };
}

function startTaken(owner: TensorClass): Taken {
  const { length } = owner.tensors;
  const { host } = inspectedOf(owner);
  return {
    numbers: new Float64Array(length * host.slots),
    sampled: new Float64Array(length),
  };
}

/** There is an inspected phase: a step has run it. */
function inspectedOf({ plan }: TensorClass): PhasePlan {
  return plan.inspected as PhasePlan;
}

/** Keeps what no probe reduces. */
function keepHosts(tensor: Tensor, { numbers }: Taken): void {
  const phase = inspectedOf(tensor.owner);
  for (const { slot, isProbed } of phase.inspect) {
    if (!isProbed) {
      numbers[tensor.index * phase.host.slots + slot] = tensor.valuesOf(phase).numbers[
        slot
      ] as number;
    }
  }
}

function readingsOf(
  tensors: readonly Tensor[],
  byClass: ReadonlyMap<TensorClass, Taken>,
): Reading[] {
  return tensors.map(({ owner, leaf, extent, index }) => {
    const { numbers, sampled } = byClass.get(owner) as Taken;
    const { inspect, host } = inspectedOf(owner);
    const reduced: Record<string, { -readonly [K in keyof Reduced]: Reduced[K] }> = {};
    for (const { name: key, slot } of inspect) {
      const [name, kind] = placeOf(key);
      (reduced[name] ??= {})[kind] = numbers[index * host.slots + slot] as number;
    }
    return {
      path: leaf.path,
      elements: extent.size,
      sampled: sampled[index] as number,
      reduced,
    };
  });
}
