/** The learning rate and the hyperparameters of each step: numbers, or schedules of the steps taken. */

import type { Changes } from "../compiledOptimizer.ts";
import { requireThat, show } from "../errors.ts";
import type { Hyperparameters } from "../optimizer.ts";
import type { Schedule } from "../schedules/schedules.ts";
import type { StepNumbers } from "./sequence.ts";

const LEARNING_RATE = "learningRate";

export class Numbers {
  /** Keys of the hyperparameters, the learning rate apart. */
  readonly keys: readonly string[];
  private readonly specs: Hyperparameters;
  private current: Readonly<Record<string, number | Schedule>>;
  /** Those of every step; absent where any follows a schedule. */
  private fixed: StepNumbers | undefined;

  /** @throws RangeError or TypeError for a key that is none, a value of the wrong kind or out of range at the first step. */
  constructor(where: string, hyperparameters: Hyperparameters, given: Changes) {
    this.keys = Object.keys(hyperparameters);
    this.specs = hyperparameters;
    this.current = Object.fromEntries(
      Object.entries(hyperparameters).map(([key, { value }]) => [key, value]),
    );
    this.set(where, given, 0);
  }

  /** The numbers of the step after `count` steps, the learning rate as `lr`. */
  at(count: number): StepNumbers {
    return this.fixed ?? this.resolve("step", this.current, count);
  }

  /** Replaces numbers or schedules; every change is checked, at the next step, before one is made. */
  set(where: string, changes: Changes, count: number): void {
    for (const [key, value] of Object.entries(changes)) {
      if (key !== LEARNING_RATE && !Object.hasOwn(this.specs, key)) {
        const known = [LEARNING_RATE, ...this.keys].join(", ");
        throw new RangeError(`${where}: hyperparameters must be among ${known}, got "${key}"`);
      }
      if (typeof value !== "number" && typeof value !== "function") {
        throw new TypeError(
          `${where}: \`${key}\` must be a number or a schedule, got ${show(value)}`,
        );
      }
    }
    this.resolve(where, changes, count);
    this.current = { ...this.current, ...changes };
    const isFixed = Object.values(this.current).every(Number.isFinite); // no function among them
    this.fixed = isFixed ? this.resolve("step", this.current, count) : undefined;
  }

  /** Takes the numbers of a saved state, where no schedule says otherwise. */
  restore(where: string, saved: Readonly<Record<string, number>>): void {
    const numbers = Object.entries(saved).filter(([key]) => typeof this.current[key] === "number");
    this.set(where, Object.fromEntries(numbers), 0);
  }

  private resolve(where: string, from: Changes, count: number): Record<string, number> {
    const numbers: Record<string, number> = {};
    for (const [key, given] of Object.entries(from)) {
      const value = typeof given === "function" ? given(count) : given;
      if (key === LEARNING_RATE) {
        requireThat(
          Number.isFinite(value) && value >= 0,
          "step",
          `the learning rate of step ${count + 1} must be finite and at least 0`,
          value,
        );
        numbers["lr"] = value;
      } else {
        this.specs[key]?.check(where, key, value);
        numbers[key] = value;
      }
    }
    return numbers;
  }
}
