/** Runs one step under inspection: the probes of its passes over a sample or all elements, and keeps what they reduced. */

import type { Slot } from "../codegen/host.ts";
import type { InspectedRow, Pass, PhasePlan } from "../codegen/passes.ts";
import { requireThat } from "../errors.ts";
import { type Places, placeOf, type Reading, statisticsOf } from "../inspect.ts";
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

export interface StepRecord extends Pick<Inspection, "statistics"> {
  /** Keeps what the probe of a call left among the numbers of the call's first tensor, as what it found of `tensor`. */
  keep(call: PassCall, tensor: Tensor, sampled: number): void;
}

/** Keeps what the probes of one step reduce; statistics are made of it when somebody reads them. */
export function recordStep(): StepRecord {
  const rows = new Map<TensorClass, number[]>();
  return {
    keep({ owner, phase, pass, first }, { extent, index }, sampled) {
      const width = widthOf(owner);
      let kept = rows.get(owner);
      if (kept === undefined) {
        kept = unknownNumbers(owner.tensors.length * width);
        rows.set(owner, kept);
      }
      const { numbers } = first.valuesOf(phase);
      const from = index * width;
      // What the sum over the whole tensor is estimated to be.
      const scale = extent.size / sampled;
      for (const { kind, slot } of (pass.probe as Pass).reductions) {
        const number = numbers[slot] as number;
        kept[from + slot] = kind === "sum" ? number * scale : number;
      }
      kept[from + width - 1] = sampled;
    },
    statistics(tensors) {
      const looked = tensors.filter(({ extent }) => extent.size > 0);
      for (const tensor of looked) {
        keepHosts(tensor, rows.get(tensor.owner) as number[]);
      }
      return statisticsOf(() => readingsOf(looked, rows));
    },
  };
}

/** An array of NaN. Unlike a typed array it is young garbage; pushing makes it of doubles from the start. */
function unknownNumbers(length: number): number[] {
  const numbers: number[] = [];
  for (let i = 0; i < length; i++) {
    numbers.push(Number.NaN);
  }
  return numbers;
}

/** Numbers that are kept of a tensor: its row, and how many elements were looked at. */
function widthOf(owner: TensorClass): number {
  const { probed, onHost } = rowOf(owner);
  return probed + onHost.length + 1;
}

/** There is an inspected phase: a step has run it. */
function rowOf({ plan }: TensorClass): InspectedRow {
  return plan.inspected?.row as InspectedRow;
}

/** Keeps what no probe reduces. */
function keepHosts(tensor: Tensor, kept: number[]): void {
  const { owner, index } = tensor;
  const { probed, onHost } = rowOf(owner);
  const from = index * widthOf(owner) + probed;
  for (let i = 0; i < onHost.length; i++) {
    const { numbers } = tensor.valuesOf(owner.plan.inspected as PhasePlan);
    kept[from + i] = numbers[onHost[i] as Slot] as number;
  }
}

function readingsOf(
  tensors: readonly Tensor[],
  rows: ReadonlyMap<TensorClass, readonly number[]>,
): Reading[] {
  const placesOf = new Map(Array.from(rows.keys(), (owner) => [owner, places(owner)]));
  return tensors.map(({ owner, leaf, extent, index }) => {
    const numbers = rows.get(owner) as readonly number[];
    const from = index * widthOf(owner);
    return {
      path: leaf.path,
      elements: extent.size,
      sampled: numbers[from + widthOf(owner) - 1] as number,
      places: placesOf.get(owner) as Places,
      numbers,
      from,
    };
  });
}

/** Where a row has what. */
function places(owner: TensorClass): Places {
  const { probed, onHost } = rowOf(owner);
  const found: Record<string, Record<string, number>> = {};
  for (const { name: key, slot } of (owner.plan.inspected as PhasePlan).inspect) {
    const [name, kind] = placeOf(key);
    (found[name] ??= {})[kind] = slot < probed ? slot : probed + onHost.indexOf(slot);
  }
  return found;
}
