/** What a model is told beside parameters and inputs: training or not, and what its layers keep. */

import type { Value } from "./value.ts";

/**
 * Passed by `compile` (training) and `compileForward` (not training) to the traced function, which hands it
 * on to `model.apply(params, x, mode)`.
 *
 * Layers that keep something beside parameters, such as running statistics or the count that random masks
 * are drawn from, read it with `state` and say with `keep` what it is after the step.
 */
export class Mode {
  readonly training: boolean;
  readonly #state: ReadonlyMap<string, Value>;
  readonly #kept: Map<string, Value>;
  readonly #prefix: string;

  /** @internal */
  constructor(
    training: boolean,
    state: ReadonlyMap<string, Value> = new Map(),
    kept: Map<string, Value> = new Map(),
    prefix = "",
  ) {
    this.training = training;
    this.#state = state;
    this.#kept = kept;
    this.#prefix = prefix;
  }

  /** What was kept at `path` before this step. */
  state(path: string): Value {
    const name = this.#prefix + path;
    const value = this.#kept.get(name) ?? this.#state.get(name);
    if (value === undefined) {
      throw new RangeError(
        `apply: \`mode\` must hold state "${name}", got ${[...this.#state.keys()].map((key) => `"${key}"`).join(", ") || "none"}; pass state: model.initState(random, inputShape) to compile and the third argument of the loss to apply`,
      );
    }
    return value;
  }

  /** Whether there is something at `path`. */
  has(path: string): boolean {
    return this.#state.has(this.#prefix + path);
  }

  /** What is kept at `path` after this step; only while training. */
  keep(path: string, value: Value): void {
    const before = this.state(path);
    if (value.shape.join() !== before.shape.join() || value.dtype !== before.dtype) {
      throw new TypeError(
        `keep: state "${this.#prefix}${path}" must stay ${before.dtype} [${before.shape.join(", ")}], got ${value.dtype} [${value.shape.join(", ")}]`,
      );
    }
    if (this.training) {
      this.#kept.set(this.#prefix + path, value);
    }
  }

  /** The same with paths below `name`. */
  within(name: string): Mode {
    return new Mode(this.training, this.#state, this.#kept, `${this.#prefix}${name}/`);
  }

  /** @internal What was kept, by path. */
  static kept(mode: Mode): ReadonlyMap<string, Value> {
    return mode.#kept;
  }
}

/** Evaluation without state: what `apply` assumes when it is not told. */
export const EVALUATION: Mode = new Mode(false);
