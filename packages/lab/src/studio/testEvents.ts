/** Events of a made-up comparison, for tests. */
import type { Comparison, CurvePoint, TrialEvent, TrialSpec } from "../protocol.ts";
import type { StudioPlan } from "./state.ts";

export function testPlan({ problem, entries, trialsPlanned }: Comparison): StudioPlan {
  const optimizers = entries.map(({ optimizer: { name, title } }) => ({ name, title }));
  return { kind: "plan", problem, optimizers, trialsPlanned };
}

/** Every trial of the comparison, one after the other, as its runner would have reported it. */
export function testEvents({ entries }: Comparison): TrialEvent[] {
  return entries.flatMap(({ tuning, runs }) =>
    [...tuning, ...runs].flatMap((result): TrialEvent[] => [
      testStart(result.spec, result.points.at(-1)?.step ?? 1),
      ...result.points.map((point) => testPoint(result.spec, point)),
      { kind: "finished", result },
    ]),
  );
}

export function testStart(spec: TrialSpec, totalSteps: number): TrialEvent {
  return { kind: "started", spec, totalSteps, optimizerBackend: "wasm" };
}

export function testPoint({ id }: TrialSpec, point: CurvePoint): TrialEvent {
  return { kind: "point", id, point };
}
