/**
 * One call of an optimizer as a sequence of passes, with the host's part between them.
 *
 * The sequence is a generator: whoever drives it runs each pass that it yields and leaves the reductions in the
 * tensors' values before asking for the next, at once on a processor, or after waiting for a device.
 */

import type { HostRunner } from "../codegen/host.ts";
import { reductionIdentity } from "../codegen/kernel.ts";
import type { Pass, PhasePlan, SharedReduction } from "../codegen/passes.ts";
import type { Part, PassCall, Runtime } from "./parts.ts";
import type { Tensor } from "./tensor.ts";

export type { Part, PassCall } from "./parts.ts";

/** Numbers of the step that all tensors read: the learning rate and hyperparameters, by name. */
export type StepNumbers = Readonly<Record<string, number>>;

/** The parts' passes in an order that gives every reduction before it is read; to be run through at once. */
export function sequence(
  parts: readonly Part[],
  numbers: StepNumbers,
  { runHost, levelByLevel: inLevels }: Pick<Runtime, "runHost" | "levelByLevel">,
): Iterable<PassCall> {
  for (const { phase, active } of parts) {
    for (const tensor of active) {
      fillIn(phase, tensor, numbers);
    }
  }
  const isShared = parts.some(({ phase }) => phase.shared.length > 0);
  return (isShared ? inLevels : tensorByTensor)(parts, runHost);
}

/** Writes what a phase reads by name, and what it reads of earlier steps, into a tensor's values. */
function fillIn(phase: PhasePlan, tensor: Tensor, numbers: StepNumbers): void {
  const values = tensor.valuesOf(phase);
  const t = tensor.count + 1;
  for (const { name, slot } of phase.host.inputs) {
    const number = name === "t" ? t : numbers[name];
    if (number !== undefined) {
      values.numbers[slot] = number;
    }
  }
  tensor.onHost?.recall(phase, values, t);
}

/** All passes of one run of tensors, then the next: its numbers stay in the cache. */
function* tensorByTensor(parts: readonly Part[], runHost: HostRunner): Generator<PassCall, void> {
  for (const { owner, phase, active } of parts) {
    const { passes, host, next } = phase;
    const keeps = next.length > 0 || host.queues.length > 0;
    const runsOf = passes.some((pass) => pass.perTensor) ? singles : merged;
    for (const run of runsOf(active)) {
      const [first] = run;
      const last = run.at(-1) as Tensor;
      const computed = keeps ? run : [first];
      for (let level = 0; level <= passes.length; level++) {
        const pass = passes[level];
        runLevel(phase, level, computed, runHost);
        if (pass !== undefined && isNeeded(phase, pass, first)) {
          yield { owner, phase, pass, first, last };
        }
      }
    }
  }
}

/** Every tensor's first pass, then every tensor's second: reductions over all tensors are complete in between. */
export function* levelByLevel(
  parts: readonly Part[],
  runHost: HostRunner,
): Generator<PassCall, void> {
  const depth = Math.max(...parts.map(({ phase }) => phase.passes.length));
  const sharesOf = sharesByLevel(parts, depth);
  for (let level = 0; level <= depth; level++) {
    const shares = sharesOf[level] ?? [];
    for (const { phase, active } of parts) {
      runLevel(phase, level, active, runHost);
    }
    const wanted = wantedDomains(shares);
    for (const part of parts) {
      const { owner, phase, active } = part;
      const pass = phase.passes[level];
      if (pass === undefined) {
        continue;
      }
      const contributes = shares.some((each) => each.part === part && wanted.has(each.domain));
      for (const run of pass.perTensor ? singles(active) : merged(active)) {
        const [first] = run;
        if (contributes || isNeeded(phase, pass, first)) {
          yield { owner, phase, pass, first, last: run.at(-1) as Tensor };
        }
      }
    }
    share(shares.filter(({ domain }) => wanted.has(domain)));
  }
}

/** A reduction over all tensors, as one part takes part in it. */
interface Share extends SharedReduction {
  readonly part: Part;
}

/** By the pass after which they are complete. */
function sharesByLevel(parts: readonly Part[], depth: number): readonly Share[][] {
  const shares: Share[][] = Array.from({ length: depth }, () => []);
  for (const part of parts) {
    for (const { kind, domain, slot, pass } of part.phase.shared) {
      shares[pass]?.push({ kind, domain, slot, pass, part });
    }
  }
  return shares;
}

/** Whether a pass stores something, or reduces what the tensor's step will read. */
function isNeeded(phase: PhasePlan, { needed }: Pass, tensor: Tensor): boolean {
  return needed === undefined || tensor.valuesOf(phase).numbers[needed] !== 0;
}

/** Domains whose totals some tensor will read: then every tensor gives its share. */
function wantedDomains(shares: readonly Share[]): ReadonlySet<string> {
  const wanted = new Set<string>();
  for (const { domain, pass, part } of shares) {
    const own = part.phase.passes[pass];
    if (part.active.some((tensor) => own === undefined || isNeeded(part.phase, own, tensor))) {
      wanted.add(domain);
    }
  }
  return wanted;
}

/** Folds reductions over all tensors, in the order of the tensors, and hands them out. */
function share(shares: readonly Share[]): void {
  const totals = new Map<string, number>();
  for (const { domain, kind, slot, part } of shares) {
    let total = totals.get(domain) ?? reductionIdentity(kind);
    for (const tensor of part.active) {
      const own = tensor.valuesOf(part.phase).numbers[slot] as number;
      total = kind === "sum" ? total + own : Math.max(total, own);
    }
    totals.set(domain, total);
  }
  for (const { domain, slot, part } of shares) {
    for (const tensor of part.active) {
      tensor.valuesOf(part.phase).numbers[slot] = totals.get(domain) as number;
    }
  }
}

function runLevel(
  phase: PhasePlan,
  level: number,
  tensors: readonly Tensor[],
  runHost: HostRunner,
): void {
  const instructions = phase.host.levels[level];
  if (instructions?.length) {
    for (const tensor of tensors) {
      runHost(instructions, tensor.valuesOf(phase), tensor.matrix);
    }
  }
}

/** Moves state on the host and queues on after a call; `counts` where it was the step itself. */
export function commit(parts: readonly Part[], counts: boolean): void {
  const written = new Set<Float64Array>();
  for (const { phase, active } of parts) {
    for (const tensor of active) {
      tensor.onHost?.keep(phase, tensor.valuesOf(phase), tensor.count + 1, written);
      tensor.count += counts ? 1 : 0;
    }
  }
}

type Run = readonly [Tensor, ...Tensor[]];

function singles(active: readonly Tensor[]): Run[] {
  return active.map((tensor) => [tensor]);
}

/** Neighbours in the arena at the same step number, as runs. */
function merged(active: readonly Tensor[]): Run[] {
  const runs: [Tensor, ...Tensor[]][] = [];
  let before: Tensor | undefined;
  for (const tensor of active) {
    if (before?.index === tensor.index - 1 && before.count === tensor.count) {
      runs.at(-1)?.push(tensor);
    } else {
      runs.push([tensor]);
    }
    before = tensor;
  }
  return runs;
}
