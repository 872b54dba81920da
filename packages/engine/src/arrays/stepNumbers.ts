/** The learning rate and the hyperparameters of each step, as the adapters take them: numbers, or schedules by the steps taken. */

import type { Changes, Schedule } from "@adastra/core";
import type { Hyperparameters } from "@adastra/core/program";

/** @throws TypeError for what is neither. */
export function requireSchedule(where: string, learningRate: number | Schedule): Schedule {
  if (typeof learningRate === "number") {
    return () => learningRate;
  }
  if (typeof learningRate !== "function") {
    throw new TypeError(
      `${where}: \`learningRate\` must be a number or a schedule, got ${String(learningRate)}`,
    );
  }
  return learningRate;
}

/** @throws RangeError for a rate that is negative or not finite. */
export function requireRate(where: string, step: number, rate: number): number {
  if (!(typeof rate === "number" && rate >= 0 && rate < Number.POSITIVE_INFINITY)) {
    throw new RangeError(
      `${where}: the learning rate of step ${step} must be finite and at least 0, got ${String(rate)}`,
    );
  }
  return rate;
}

/** The hyperparameters of an optimizer, some of them changed. */
export class HyperparameterValues {
  readonly keys: readonly string[];
  private readonly specs: Hyperparameters;
  private current: Changes;

  /** @throws RangeError or TypeError for a key that is none, a value of the wrong kind or out of range at the first step. */
  constructor(where: string, specs: Hyperparameters, given: Changes) {
    this.keys = Object.keys(specs);
    this.specs = specs;
    this.current = Object.fromEntries(
      Object.entries(specs).map(([key, { value }]) => [key, value]),
    );
    this.set(where, given, 0);
  }

  /** The numbers of the step after `count` steps, checked; `changes` hold for it alone. */
  at(where: string, count: number, changes: Changes = {}): Readonly<Record<string, number>> {
    return this.resolve(where, { ...this.current, ...changes }, count);
  }

  /** Keys that are on a schedule. */
  get scheduled(): readonly string[] {
    return this.keys.filter((key) => typeof this.current[key] === "function");
  }

  /** Replaces numbers or schedules; every change is checked, at the next step, before one is made. */
  set(where: string, changes: Changes, count: number): void {
    this.resolve(where, changes, count);
    this.current = { ...this.current, ...changes };
  }

  /** Those of a saved state that are on no schedule. */
  unscheduled(saved: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
    return Object.fromEntries(
      Object.entries(saved).filter(([key]) => typeof this.current[key] === "number"),
    );
  }

  private resolve(where: string, from: Changes, count: number): Record<string, number> {
    return Object.fromEntries(
      Object.entries(from).map(([key, given]) => {
        const spec = Object.hasOwn(this.specs, key) ? this.specs[key] : undefined;
        if (spec === undefined) {
          throw new RangeError(
            `${where}: hyperparameters must be among ${this.keys.join(", ") || "none"}, got "${key}"`,
          );
        }
        if (typeof given !== "number" && typeof given !== "function") {
          throw new TypeError(
            `${where}: \`${key}\` must be a number or a schedule, got ${String(given)}`,
          );
        }
        const value = typeof given === "number" ? given : given(count);
        spec.check(where, key, value);
        return [key, value];
      }),
    );
  }
}
