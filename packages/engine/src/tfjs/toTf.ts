/** Optimizers of this library as optimizers of TensorFlow.js. */

import {
  type Changes,
  NonFiniteError,
  type OptimizerState,
  type Schedule,
  ShapeMismatchError,
  type StepResult,
} from "@adastra/core";
import {
  drawsAnything,
  type Optimizer,
  type Program,
  requireOptimizer,
  roundsToFewerBits,
  toProgram,
} from "@adastra/core/program";
import * as tf from "@tensorflow/tfjs-core";
import { HyperparameterValues, requireRate, requireSchedule } from "../arrays/stepNumbers.ts";
import { heapOf, heapStepper } from "./heap.ts";
import { KERNEL_BACKENDS, kernelsStepper } from "./kernels.ts";
import { operationsStepper } from "./operations.ts";
import type { OnNonFinite, StepNumbers, Stepper } from "./stepper.ts";
import { COUNT, type NamedTensor, stateOf, weightsOf } from "./weights.ts";

/**
 * `"kernels"`: core's compiled kernels, on the backends `wasm` and `cpu`. `"operations"`: TensorFlow.js's own
 * operations, on any. `"auto"`: kernels where they run.
 */
export type Execution = "auto" | "kernels" | "operations";

export interface TfOptions {
  /** The learning rate α, or a schedule of it by the steps taken. */
  readonly learningRate: number | Schedule;
  /** How steps are computed, default `"auto"`. */
  readonly execution?: Execution;
  /** Values or schedules for hyperparameters of the optimizer, by key; the optimizer's own where absent. */
  readonly hyperparameters?: Changes;
  /**
   * What a gradient with NaN or infinity does: `"propagate"` (default) follows the formula, `"skip"` leaves
   * variables, state and `iterations` untouched, `"throw"` does so too and throws NonFiniteError. By operations, the last
   * two wait in each step for one number a variable to be read back.
   */
  readonly nonFinite?: OnNonFinite;
}

/**
 * An optimizer for `model.compile`, `minimize` and `applyGradients`.
 *
 * The variables of the first step are its variables from then on; a step may leave some of them out, and those
 * keep state and step number. State lives on the heap (`wasm`: the optimizer's bytes a parameter, and 4 for the newest of
 * gradients that are kept), in the arena of core's optimizer (`cpu`, and `wasm` with threads: 8 more for copies of parameter
 * and gradient), or in tensors of the backend.
 *
 * On `wasm` without threads a step writes the variables in place: views of the heap change, tensors that share a
 * variable's data do not.
 *
 * @throws TypeError for what is not an optimizer; RangeError for a rate that is negative or not finite, or for an
 * unknown `execution` or `nonFinite`.
 * @remarks tf.train.adam adds ε before the bias correction, and takes it from the backend (1e-7 or 1e-4).
 * @example model.compile({ optimizer: toTf(adashift(), { learningRate: 1e-2 }), loss: "meanSquaredError" });
 */
export function toTf(optimizer: Optimizer, options: TfOptions): TfOptimizer {
  return new TfOptimizer(optimizer, options);
}

export class TfOptimizer extends tf.Optimizer {
  /** In model files; such an optimizer cannot be read back from one, see `fromConfig`. */
  static get className(): string {
    return "Adastra";
  }

  readonly #optimizer: Optimizer;
  readonly #program: Program;
  readonly #execution: Execution;
  readonly #nonFinite: OnNonFinite;
  readonly #hyperparameters: HyperparameterValues;
  #schedule: Schedule;
  #stepper: Stepper | undefined;
  #inPlace = false;
  /** The backend that the state lives on. */
  #backend = "";
  /** What `getWeights` handed out last. */
  #weights: NamedTensor[] = [];
  #disposed = false;

  constructor(
    optimizer: Optimizer,
    { learningRate, execution = "auto", hyperparameters = {}, nonFinite = "propagate" }: TfOptions,
  ) {
    super();
    requireOptimizer("toTf", "`optimizer`", optimizer);
    requireOneOf("execution", execution, ["auto", "kernels", "operations"]);
    requireOneOf("nonFinite", nonFinite, ["propagate", "skip", "throw"]);
    this.#schedule = requireSchedule("toTf", learningRate);
    requireRate("toTf", 1, this.#schedule(0));
    this.#optimizer = optimizer;
    this.#program = toProgram(optimizer);
    this.#hyperparameters = new HyperparameterValues(
      "toTf",
      this.#program.hyperparameters,
      hyperparameters,
    );
    this.#execution = execution;
    this.#nonFinite = nonFinite;
  }

  /** The rate of the next step. */
  get learningRate(): number {
    return this.#schedule(this.iterations);
  }

  /** @throws TypeError or RangeError for what is neither a rate nor a schedule. */
  setLearningRate(learningRate: number | Schedule): void {
    const schedule = requireSchedule("setLearningRate", learningRate);
    requireRate("setLearningRate", this.iterations + 1, schedule(this.iterations));
    this.#schedule = schedule;
  }

  /** Hyperparameters of the next step by key, the learning rate as `learningRate`. */
  get hyperparameters(): Readonly<Record<string, number>> {
    const { learningRate } = this;
    return { learningRate, ...this.#hyperparameters.at("hyperparameters", this.iterations) };
  }

  /**
   * Changes hyperparameters, and `learningRate`, from the next step on.
   *
   * @throws RangeError or TypeError for a key that is none, or a value out of range. Nothing has changed then.
   */
  set({ learningRate, ...changes }: Changes): void {
    const schedule =
      learningRate === undefined ? this.#schedule : requireSchedule("set", learningRate);
    requireRate("set", this.iterations + 1, schedule(this.iterations));
    this.#hyperparameters.set("set", changes, this.iterations);
    this.#schedule = schedule;
  }

  /** How steps are computed; undefined before the first. */
  get execution(): Exclude<Execution, "auto"> | undefined {
    if (this.#stepper === undefined) {
      return undefined;
    }
    return this.#usesKernels() ? "kernels" : "operations";
  }

  /** Whether kernels write the variables where they lie, as on the heap of one thread; undefined before the first step. */
  get inPlace(): boolean | undefined {
    return this.#stepper === undefined ? undefined : this.#inPlace;
  }

  /**
   * Takes one step. Variables without a gradient, or with null for one, are left out of it.
   *
   * @throws RangeError for a gradient that belongs to no variable of the optimizer, for another backend than the
   * state's, and for a rate that is negative or not finite; TypeError for a disposed or replaced variable, a
   * disposed gradient, and other dtypes than float32; ShapeMismatchError for a gradient of another shape than
   * its variable; NonFiniteError under `nonFinite: "throw"`. Nothing has changed then.
   */
  applyGradients(variableGradients: tf.NamedTensorMap | NamedTensor[]): void {
    const where = "applyGradients";
    this.#requireAlive(where);
    // TensorFlow.js passes null, or nothing, for a variable that the loss does not depend on.
    const given: (readonly [string, tf.Tensor | null | undefined])[] = Array.isArray(
      variableGradients,
    )
      ? variableGradients.map(({ name, tensor }) => [name, tensor])
      : Object.entries(variableGradients);
    const names = given.map(([name]) => name);
    if (names.length === 0 && this.#stepper === undefined) {
      throw new RangeError(
        `${where}: the first step must name at least one variable, got none; pass trainable variables`,
      );
    }
    const variables = this.#stepper?.variables ?? registered(where, names);
    const gradients = new Map<string, tf.Tensor>();
    for (const [name, gradient] of given) {
      requireLive(where, name, requireVariable(where, name, variables));
      if (gradients.has(name)) {
        throw new RangeError(`${where}: gradients must be one a variable, got "${name}" twice`);
      }
      if (gradient !== null && gradient !== undefined) {
        requireGradient(where, variables.get(name) as tf.Variable, gradient);
        gradients.set(name, gradient);
      }
    }
    const numbers = this.#numbers(where);
    const status = this.#step(this.#bind(where, variables), gradients, numbers);
    // A call before the step, as of an accumulated gradient, is none of its own.
    if (status === "stepped") {
      this.incrementIterations();
    }
  }

  /**
   * The parameters to evaluate the model with: averages, or the iterate that a method calls its answer. New tensors by
   * variable, the caller's to dispose of.
   *
   * @throws TypeError before the first step, and when a variable has been disposed of.
   */
  evaluationParams(): tf.NamedTensorMap {
    const where = "evaluationParams";
    return this.#requireBound(where).evaluationParams(this.#numbers(where));
  }

  /**
   * Parameters and state in the format that core's optimizers save: `load` takes it back here, on any backend, and
   * in a compiled optimizer of core.
   *
   * @throws TypeError before the first step, and when a variable has been disposed of.
   */
  async save(): Promise<OptimizerState> {
    const stepper = this.#requireBound("save");
    const count = this.iterations;
    const state = await stepper.save(this.#numbers("save"));
    return { ...state, count };
  }

  /**
   * Continues from `save`, parameters included: on the same backend and by the same execution the next steps are,
   * bit for bit, those that the saved optimizer would have taken.
   *
   * @param variables - in the order of the state's leaves, where their names have changed.
   * @throws TypeError or RangeError for the state of another optimizer or other variables. Nothing has changed then.
   */
  load(state: OptimizerState, variables?: readonly tf.Variable[]): void {
    const where = "load";
    this.#requireAlive(where);
    const names = Object.keys(state?.leaves ?? {});
    if (names.length === 0) {
      throw new TypeError(`${where}: state must hold the leaves that save gave, got none`);
    }
    if (variables !== undefined && variables.length !== names.length) {
      throw new RangeError(
        `${where}: variables must be one a leaf of the state, ${names.length}, got ${variables.length}`,
      );
    }
    const renamed = names.map((name, i) => [variables?.[i]?.name ?? name, state.leaves[name]]);
    const own = { ...state, leaves: Object.fromEntries(renamed) as OptimizerState["leaves"] };
    const bound = this.#stepper !== undefined;
    const ofState = this.#stepper?.variables ?? registered(where, Object.keys(own.leaves));
    for (const [name, variable] of ofState) {
      requireLive(where, name, variable);
    }
    const changes = this.#hyperparameters.unscheduled(state.hyperparameters ?? {});
    const stepper = this.#bind(where, ofState);
    try {
      stepper.load(own);
    } catch (error) {
      if (!bound) {
        stepper.dispose();
        this.#stepper = undefined;
      }
      throw error;
    }
    this.#hyperparameters.set(where, changes, state.count);
    this.iterations_ = state.count;
  }

  /**
   * The step number and the state as named tensors. They stay the optimizer's, and good until the next call or
   * `dispose`: copy what is to last.
   */
  override async getWeights(): Promise<NamedTensor[]> {
    this.#requireAlive("getWeights");
    const state = this.#stepper === undefined ? undefined : await this.save();
    tf.dispose(this.#weights.map(({ tensor }) => tensor));
    const iterations = await this.saveIterations();
    this.#weights = [iterations, ...(state === undefined ? [] : weightsOf(state))].map(
      ({ name, tensor }) => ({ name, tensor: tf.keep(tensor) }),
    );
    return this.#weights;
  }

  /**
   * Continues from `getWeights`, parameters as they are. The variables must bear the names they had; where they
   * do not, see `load`.
   *
   * @throws TypeError or RangeError for weights of another optimizer or other variables. Nothing has changed then.
   */
  override async setWeights(weightValues: NamedTensor[]): Promise<void> {
    const where = "setWeights";
    this.#requireAlive(where);
    const [iterations, ...weights] = weightValues;
    if (iterations?.name !== "iter") {
      throw new TypeError(
        `${where}: the first weight must be "iter", got ${iterations === undefined ? "none" : `"${iterations.name}"`}; pass what getWeights gave`,
      );
    }
    const count = (await iterations.tensor.data())[0] as number;
    const names = weights.flatMap(({ name }) =>
      name.endsWith(COUNT) ? [name.slice(0, -COUNT.length)] : [],
    );
    if (names.length === 0 && weights.length > 0) {
      throw new TypeError(
        `${where}: weights must hold step numbers of variables, got "${weights[0]?.name}"; pass what getWeights of such an optimizer gave`,
      );
    }
    if (names.length === 0) {
      this.iterations_ = count;
      return;
    }
    const variables = this.#stepper?.variables ?? registered(where, names);
    // What a fresh optimizer would save says which weights there must be.
    const fresh = new TfOptimizer(this.#optimizer, {
      learningRate: 0,
      execution: this.#execution,
    });
    try {
      const like = await fresh.#bind(where, variables).save(fresh.#numbers(where));
      this.load(await stateOf(weights, count, like));
    } finally {
      fresh.dispose();
    }
  }

  /** Disposes of the state; the variables are the model's. */
  override dispose(): void {
    this.#stepper?.dispose();
    tf.dispose(this.#weights.map(({ tensor }) => tensor));
    this.#stepper = undefined;
    this.#weights = [];
    this.#disposed = true;
  }

  getConfig(): tf.serialization.ConfigDict {
    return { optimizer: this.#optimizer.name, learningRate: this.learningRate };
  }

  /** @throws TypeError: a config names the program, it does not hold it. */
  static override fromConfig<T extends tf.serialization.Serializable>(
    _: tf.serialization.SerializableConstructor<T>,
    config: tf.serialization.ConfigDict,
  ): T {
    throw new TypeError(
      `fromConfig: an optimizer must be built from its program, got the config of ${JSON.stringify(config)}; compile the model with toTf(...) and load the state`,
    );
  }

  #step(
    stepper: Stepper,
    gradients: ReadonlyMap<string, tf.Tensor>,
    numbers: StepNumbers,
  ): StepResult["status"] {
    try {
      return stepper.step(gradients, numbers);
    } catch (error) {
      // Under the name that was called.
      throw error instanceof NonFiniteError
        ? new NonFiniteError("applyGradients", this.iterations + 1, error.path)
        : error;
    }
  }

  #usesKernels(): boolean {
    return this.#execution !== "operations" && KERNEL_BACKENDS.includes(this.#backend);
  }

  /** The stepper of these variables, made where there is none. */
  #bind(where: string, variables: ReadonlyMap<string, tf.Variable>): Stepper {
    const backend = tf.getBackend();
    if (this.#stepper !== undefined) {
      if (backend !== this.#backend) {
        throw new RangeError(
          `${where}: backend must be "${this.#backend}", where the state lives, got "${backend}"; save there and load into a new optimizer`,
        );
      }
      return this.#stepper;
    }
    if (this.#execution === "kernels" && !KERNEL_BACKENDS.includes(backend)) {
      throw new RangeError(
        `${where}: execution "kernels" needs backend "wasm" or "cpu", got "${backend}"; pass execution: "auto"`,
      );
    }
    this.#backend = backend;
    const heap =
      this.#usesKernels() && !needsCopies(this.#optimizer) ? heapOf(tf.backend()) : undefined;
    if (heap !== undefined) {
      this.#stepper = heapStepper(
        this.#optimizer,
        variables,
        this.#numbers(where),
        this.#nonFinite,
        heap,
      );
    } else if (this.#usesKernels()) {
      this.#stepper = kernelsStepper(
        this.#optimizer,
        variables,
        this.#numbers(where),
        this.#nonFinite,
      );
    } else {
      this.#stepper = operationsStepper(this.#program, variables, this.#nonFinite);
    }
    this.#inPlace = heap !== undefined;
    return this.#stepper;
  }

  /** The numbers of the next step, checked. */
  #numbers(where: string): StepNumbers {
    const lr = requireRate(where, this.iterations + 1, this.learningRate);
    return { lr, ...this.#hyperparameters.at(where, this.iterations) };
  }

  /** The stepper, its variables alive. */
  #requireBound(where: string): Stepper {
    this.#requireAlive(where);
    if (this.#stepper === undefined) {
      throw new TypeError(
        `${where}: the optimizer must have taken a step, got none; nothing is kept yet`,
      );
    }
    for (const [name, variable] of this.#stepper.variables) {
      requireLive(where, name, variable);
    }
    return this.#stepper;
  }

  #requireAlive(where: string): void {
    if (this.#disposed) {
      throw new TypeError(
        `${where}: the optimizer must not be disposed of, got a disposed one; make a new one and load its state`,
      );
    }
  }
}

function requireOneOf<T extends string>(name: string, value: T, allowed: readonly T[]): void {
  if (!allowed.includes(value)) {
    const all = allowed.map((each) => `"${each}"`).join(", ");
    throw new RangeError(`toTf: \`${name}\` must be one of ${all}, got "${value}"`);
  }
}

/** The variables of these names. */
function registered(where: string, names: readonly string[]): ReadonlyMap<string, tf.Variable> {
  const { registeredVariables } = tf.engine();
  const variables = names.map((name): [string, tf.Variable] => {
    const variable = registeredVariables[name];
    if (variable === undefined) {
      const what = where === "applyGradients" ? "gradients" : "state";
      throw new RangeError(
        `${where}: ${what} must belong to variables that exist, got "${name}"; build the model first, and do not dispose of it`,
      );
    }
    if (variable.dtype !== "float32") {
      throw new TypeError(
        `${where}: variable "${name}" must be float32, got ${variable.dtype}; make it not trainable`,
      );
    }
    return [name, variable];
  });
  return new Map(variables);
}

function requireVariable(
  where: string,
  name: string,
  variables: ReadonlyMap<string, tf.Variable>,
): tf.Variable {
  const variable = variables.get(name);
  if (variable === undefined) {
    throw new RangeError(
      `${where}: gradients must belong to the variables of the first step, got "${name}"; variables are ${listOf(variables)}; make a new optimizer for others`,
    );
  }
  return variable;
}

function requireLive(where: string, name: string, variable: tf.Variable): void {
  const now = tf.engine().registeredVariables[name];
  if (now !== variable) {
    throw new TypeError(
      `${where}: variable "${name}" must be the one of the first step, got ${now === undefined ? "a disposed one" : "another of that name"}; make a new optimizer and load the state`,
    );
  }
}

function requireGradient(where: string, variable: tf.Variable, gradient: tf.Tensor): void {
  if (gradient.isDisposed) {
    throw new TypeError(
      `${where}: the gradient of "${variable.name}" must not be disposed of, got a disposed tensor`,
    );
  }
  if (gradient.dtype !== "float32") {
    throw new TypeError(
      `${where}: the gradient of "${variable.name}" must be float32, got ${gradient.dtype}; cast it`,
    );
  }
  if (!tf.util.arraysEqual(gradient.shape, variable.shape)) {
    throw new ShapeMismatchError(where, variable.name, variable.shape, gradient.shape);
  }
}

function listOf(variables: ReadonlyMap<string, tf.Variable>): string {
  const names = [...variables.keys()];
  return names.slice(0, 8).join(", ") + (names.length > 8 ? ", ..." : "");
}

/** Whether core's kernels need arrays of their own: to draw by place, or to round to fewer bits. */
function needsCopies(optimizer: Optimizer): boolean {
  const program = toProgram(optimizer);
  return drawsAnything(program) || roundsToFewerBits(program);
}
