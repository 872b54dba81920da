/**
 * An optimizer is a small expression program: what one step makes of a gradient, a parameter and named state.
 *
 * Everything else comes from it: the kernels of every backend, the checkpoint, the inspection. Transforms
 * (clipping, decay) are programs of the same form, and `chain` composes them by substitution, so that a
 * chain still runs in as few passes over memory as its reductions allow.
 */

import { requireDecay, requireNonNegative, requirePositive, requireShare } from "./errors.ts";
import { add, input } from "./expr/build.ts";
import type { Brought, Expr, Scope } from "./expr/node.ts";

/** What a program keeps from step to step: one number an element, a row, a column, a tensor, or one in all. */
export interface StateSpec {
  readonly scope: Scope;
  /** Value of every number before the first step; `"params"` starts at the parameter itself. */
  readonly init: number | "params";
  /** How numbers of element scope are kept between steps; in the dtype of the parameters where absent. See `compress`. */
  readonly format?: KeptFormat;
}

/** bfloat16, or 8 bits with a scale a block; rounded to the nearest, or to either neighbour so that the mean is kept. */
export type StateFormat = "bf16" | "bf16-stochastic" | "int8" | "int8-stochastic";

/** A format with what it takes to keep numbers in it; those of `compress` are one object each. */
export interface KeptFormat {
  readonly name: StateFormat;
  /** A number as it is kept; `draws` names the stream of its draws. */
  readonly round: (e: Expr, draws: string) => Expr;
  /** What takes numbers of 8 bits apart and puts them together. */
  readonly packing?: Brought;
}

/** State with one number an element, starting at `init`, or as a copy of the parameter. */
export function perElement(init: number | "params" = 0): StateSpec {
  return { scope: "element", init };
}

/** State with one number a tensor, starting at `init`; kept in float64. */
export function perTensor(init = 0): StateSpec {
  return { scope: "tensor", init };
}

/** State with one number a row of the tensor (all axes but the last), starting at `init`; kept in float64. */
export function perRow(init = 0): StateSpec {
  return { scope: "row", init };
}

/** State with one number a column of the tensor (its last axis), starting at `init`; kept in float64. */
export function perColumn(init = 0): StateSpec {
  return { scope: "column", init };
}

/** State with one number for all tensors, starting at `init`; kept in float64. */
export function perStep(init = 0): StateSpec {
  return { scope: "step", init };
}

/** A number that a program reads each step and that may be changed between steps. */
export interface Hyperparameter {
  readonly value: number;
  /** Throws for a value out of range, naming the function and the option. */
  readonly check: (where: string, name: string, value: number) => void;
}

/** β in [0, 1). */
export function decayRate(value: number): Hyperparameter {
  return { value, check: requireDecay };
}

/** At least 0. */
export function nonNegative(value: number): Hyperparameter {
  return { value, check: requireNonNegative };
}

/** Greater than 0. */
export function positive(value: number): Hyperparameter {
  return { value, check: requirePositive };
}

/** In [0, 1]. */
export function share(value: number): Hyperparameter {
  return { value, check: requireShare };
}

export type Hyperparameters<H extends string = string> = Readonly<Record<H, Hyperparameter>>;

/** What a program sees. */
export interface StepInputs {
  /** The gradient at the parameters before the step, or the update that the stage before in a chain made of it. */
  readonly g: Expr;
  /** The parameter before the step. */
  readonly p: Expr;
  /** The step's number, from 1; counted per tensor. */
  readonly t: Expr;
  /** The learning rate of this step. */
  readonly lr: Expr;
}

/** State and hyperparameters by key. */
export type NamedInputs = StepInputs & Readonly<Record<string, Expr>>;

/** What a program makes. */
export interface StepOutputs<K extends string> {
  /** Added to the parameter: the sign is in the update. */
  readonly update: Expr;
  /** The new parameter itself, for methods that end in a projection; `p + update` where absent. */
  readonly params?: Expr;
  /** State after the step. */
  readonly next: Readonly<Record<K, Expr>>;
  /** Values of the step that `inspect` shows, by name: v, inertia, conformity. */
  readonly inspect?: Readonly<Record<string, Expr>>;
  /** Where the update is that of an adaptive method, its parts. */
  readonly moments?: Moments;
}

/**
 * An adaptive method's direction and scale: its update is −αₜ m / √v, but for an ε. What puts another scale in the
 * place of v, such as one that peers agree on, starts from them.
 */
export interface Moments {
  readonly m: Expr;
  readonly v: Expr;
}

/** A call before the step itself, with a gradient of its own: to accumulate it, or to climb as SAM does. */
export interface Phase {
  /** What `step` reports for such a call. */
  readonly status: "accumulated" | "ascended";
  /** The program; state that it leaves out stays. The step number `t` is that of the step to come. */
  step(inputs: NamedInputs): StepOutputs<string>;
}

/** An optimizer or a transform, with the keys of its state in the type. */
export interface Optimizer<K extends string = string> {
  readonly name: string;
  readonly state: Readonly<Record<K, StateSpec>>;
  readonly hyperparameters?: Hyperparameters;
  /** Pure: called once per compilation, with inputs standing for the arrays, state and hyperparameters by key. */
  step(inputs: NamedInputs): StepOutputs<K>;
  /** Calls that come before each step, in order; none where absent. */
  readonly before?: readonly Phase[];
  /** The parameters to evaluate the model with, of state and parameters after a step; `p` itself where absent. */
  readonly evaluation?: (inputs: NamedInputs) => Expr;
}

/**
 * Defines an optimizer or transform by its program.
 *
 * @param name - lower-case, the name errors and checkpoints show.
 * @param state - what it keeps; keys are the names in checkpoints and must not be `g`, `p`, `t`, `lr`, `learningRate`, a numbered
 * `window`, `history` or `matrix`, or a property that every object has.
 * @param hyperparameters - numbers that can be changed while training, checked here; keys as for state.
 * @param step - the program; see `Optimizer`.
 * @throws RangeError for a hyperparameter out of range, TypeError for a key that is taken.
 * @example
 * const signSgd = defineOptimizer("signSgd", {}, ({ g, lr }) => ({ update: neg(mul(lr, sign(g))), next: {} }));
 */
export function defineOptimizer<K extends string>(
  name: string,
  state: Readonly<Record<K, StateSpec>>,
  step: (inputs: StepInputs & Readonly<Record<K, Expr>>) => StepOutputs<K>,
): Optimizer<K>;
export function defineOptimizer<K extends string, H extends string>(
  name: string,
  state: Readonly<Record<K, StateSpec>>,
  hyperparameters: Hyperparameters<H>,
  step: (
    inputs: StepInputs & Readonly<Record<K, Expr>> & Readonly<Record<H, Expr>>,
  ) => StepOutputs<K>,
): Optimizer<K>;
export function defineOptimizer<K extends string>(
  name: string,
  state: Readonly<Record<K, StateSpec>>,
  ...rest:
    | [step: (inputs: never) => StepOutputs<K>]
    | [hyperparameters: Hyperparameters, step: (inputs: never) => StepOutputs<K>]
): Optimizer<K> {
  const [hyperparameters, step] = rest.length === 1 ? [{}, rest[0]] : rest;
  for (const key of [...Object.keys(state), ...Object.keys(hyperparameters)]) {
    if (isReserved(key) || (key in state && key in hyperparameters)) {
      throw new TypeError(
        `defineOptimizer: state keys of "${name}" must not be names that programs give other things, got "${key}"; rename it`,
      );
    }
  }
  for (const [key, { value, check }] of Object.entries(hyperparameters)) {
    check(name, key, value);
  }
  // Whoever calls `step` passes every key of `state` and `hyperparameters`, and may pass more.
  return { name, state, hyperparameters, step: step as Optimizer<K>["step"] };
}

/** A key that `taken` does not hold: the key itself, else with the first free number before it. */
export function uniqueKey(key: string, taken: Readonly<Record<string, unknown>>, from = 2): string {
  for (let number = from, unique = key; ; number++) {
    if (!Object.hasOwn(taken, unique)) {
      return unique;
    }
    unique = `${number}.${key}`;
  }
}

/** Optimizers side by side in one program: keys of state and hyperparameters that two of them use are told apart. */
export interface Combined {
  readonly state: Readonly<Record<string, StateSpec>>;
  readonly hyperparameters: Hyperparameters;
  /** The inputs of one of them: its own state and hyperparameters under the keys that it knows. */
  inputsOf(index: number, inputs: NamedInputs): NamedInputs;
  /** What one of them names by its own keys, under the keys of the whole. */
  rename<T>(index: number, named: Readonly<Record<string, T>>): Record<string, T>;
}

/**
 * Puts optimizers side by side. Where two use the same key, the later one's carries its position: `"mu"`, `"2.mu"`.
 *
 * @param share - whether two may keep the same key where they declare the same: those that never run over the same leaf.
 */
export function combine(
  optimizers: readonly Pick<Optimizer, "state" | "hyperparameters">[],
  share = false,
): Combined {
  const state: Record<string, StateSpec> = {};
  const hyperparameters: Record<string, Hyperparameter> = {};
  const keys = optimizers.map((optimizer, position) => {
    const own = new Map<string, string>();
    for (const [key, spec] of Object.entries<StateSpec>(optimizer.state)) {
      const known = state[key];
      // What is one number in all would be one of all groups.
      const alike = share && spec.scope !== "step" && known?.format === spec.format;
      const same = alike && known?.scope === spec.scope && Object.is(known.init, spec.init);
      const unique = same ? key : uniqueKey(key, { ...state, ...hyperparameters }, position + 1);
      state[unique] = spec;
      own.set(key, unique);
    }
    for (const [key, spec] of Object.entries(optimizer.hyperparameters ?? {})) {
      const unique = uniqueKey(key, { ...state, ...hyperparameters }, position + 1);
      hyperparameters[unique] = spec;
      own.set(key, unique);
    }
    return own;
  });
  return {
    state,
    hyperparameters,
    inputsOf: (index, inputs) => {
      const { g, p, t, lr } = inputs;
      const own = Array.from(keys[index] ?? [], ([key, unique]) => [key, inputs[unique]]);
      return { ...(Object.fromEntries(own) as Record<string, Expr>), g, p, t, lr };
    },
    rename: (index, named) =>
      Object.fromEntries(
        Object.entries(named).map(([key, value]) => [keys[index]?.get(key) ?? key, value]),
      ),
  };
}

/** @throws TypeError for what is not an optimizer, such as a constructor that was not called. */
export function requireOptimizer(where: string, name: string, value: Optimizer): void {
  if (typeof value?.step !== "function" || typeof value.state !== "object") {
    throw new TypeError(
      `${where}: ${name} must be an optimizer, got ${typeof value}; call its constructor, as in adam()`,
    );
  }
}

/** One call as expressions of the arrays before it: what becomes of the parameter and of state. */
export interface ProgramPhase {
  readonly status: "stepped" | Phase["status"];
  /** The parameter after the call. */
  readonly params: Expr;
  readonly next: Readonly<Record<string, Expr>>;
}

/** A closed program: every array after the step, as an expression of the arrays before it. */
export interface Program extends ProgramPhase {
  readonly name: string;
  readonly state: Readonly<Record<string, StateSpec>>;
  readonly hyperparameters: Hyperparameters;
  /** Calls before the step, in order. */
  readonly before: readonly ProgramPhase[];
  /** What `inspect` shows, besides the parameter and its change. */
  readonly inspect: Readonly<Record<string, Expr>>;
  readonly evaluation: Expr | undefined;
}

const INPUTS: readonly string[] = ["g", "p", "t", "lr", "learningRate"];

/** Names of inputs, of the arrays that the planner adds, and of what every object inherits. */
function isReserved(key: string): boolean {
  return INPUTS.includes(key) || /^(window|history|matrix)\d+$/.test(key) || key in {};
}

/** Calls the program with inputs named after the arrays they stand for. */
export function toProgram(optimizer: Optimizer): Program {
  const { name, state, hyperparameters = {}, before = [] } = optimizer;
  const p = input("p", "element");
  const inputs: NamedInputs = {
    ...Object.fromEntries(
      Object.entries(state).map(([key, { scope }]) => [key, input(key, scope)]),
    ),
    ...Object.fromEntries(Object.keys(hyperparameters).map((key) => [key, input(key, "step")])),
    g: input("g", "element"),
    p,
    t: input("t", "step"),
    lr: input("lr", "step"),
  };
  const outputs = optimizer.step(inputs);
  for (const key of Object.keys(state)) {
    if (outputs.next[key] === undefined) {
      throw new TypeError(
        `toProgram: "${name}" must return \`next.${key}\`, got undefined; return the state it declares`,
      );
    }
  }
  /** State as it is kept; what stays is rounded already. */
  const kept = (next: Readonly<Record<string, Expr>>): Record<string, Expr> =>
    Object.fromEntries(
      Object.entries(next).map(([key, e]) => [
        key,
        e === inputs[key] ? e : (state[key]?.format?.round(e, `state ${key}`) ?? e),
      ]),
    );
  const close = ({ update, params = add(p, update) }: StepOutputs<string>): Expr => params;
  return {
    name,
    state,
    hyperparameters,
    status: "stepped",
    params: close(outputs),
    next: kept(outputs.next),
    before: before.map((phase) => {
      const made = phase.step(inputs);
      const next = Object.keys(state).map((key) => [key, made.next[key] ?? inputs[key]]);
      return { status: phase.status, params: close(made), next: kept(Object.fromEntries(next)) };
    }),
    inspect: outputs.inspect ?? {},
    evaluation: optimizer.evaluation?.(inputs),
  };
}

/** The program with every expression replaced. */
export function mapProgram(program: Program, f: (e: Expr) => Expr): Program {
  const mapValues = (record: Readonly<Record<string, Expr>>): Record<string, Expr> =>
    Object.fromEntries(Object.entries(record).map(([key, e]) => [key, f(e)]));
  return {
    ...program,
    params: f(program.params),
    next: mapValues(program.next),
    before: program.before.map((phase) => ({
      ...phase,
      params: f(phase.params),
      next: mapValues(phase.next),
    })),
    inspect: mapValues(program.inspect),
    evaluation: program.evaluation === undefined ? undefined : f(program.evaluation),
  };
}
