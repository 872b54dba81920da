/**
 * An optimizer is a small expression program: what one step makes of a gradient, a parameter and named state.
 *
 * Everything else comes from it: the kernels of every backend, the checkpoint, the inspection. Transforms
 * (clipping, decay) are programs of the same form, and `chain` composes them by substitution, so that a
 * chain still runs in as few passes over memory as its reductions allow.
 */

import { add, input } from "./expr/build.ts";
import type { Expr, Scope } from "./expr/node.ts";

/** An array that a program keeps from step to step: one number an element, or one a tensor. */
export interface StateSpec {
  readonly scope: Exclude<Scope, "step">;
  /** Value of every number before the first step. */
  readonly init: number;
}

/** State with one number an element, starting at `init`. */
export function perElement(init = 0): StateSpec {
  return { scope: "element", init };
}

/** State with one number a tensor, starting at `init`; kept in float64. */
export function perTensor(init = 0): StateSpec {
  return { scope: "tensor", init };
}

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

/** What a program makes. */
export interface StepOutputs<K extends string> {
  /** Added to the parameter: the sign is in the update. */
  readonly update: Expr;
  /** The new parameter itself, for methods that end in a projection; `p + update` where absent. */
  readonly params?: Expr;
  /** State after the step. */
  readonly next: Readonly<Record<K, Expr>>;
}

/** An optimizer or a transform, with the keys of its state in the type. */
export interface Optimizer<K extends string = string> {
  readonly name: string;
  readonly state: Readonly<Record<K, StateSpec>>;
  /** Pure: called once per compilation, with inputs standing for the arrays, state by key. */
  step(inputs: StepInputs & Readonly<Record<string, Expr>>): StepOutputs<K>;
}

/**
 * Defines an optimizer or transform by its program.
 *
 * @param name - lower-case, the name errors and checkpoints show.
 * @param state - what it keeps; keys are the names in checkpoints and must not be `g`, `p`, `t`, `lr`, `size`,
 * `totalSize`, a numbered `window` or `history`, or a property that every object has.
 * @param step - the program; see `Optimizer`.
 * @example
 * const signSgd = defineOptimizer("signSgd", {}, ({ g, lr }) => ({ update: neg(mul(lr, sign(g))), next: {} }));
 */
export function defineOptimizer<K extends string>(
  name: string,
  state: Readonly<Record<K, StateSpec>>,
  step: (inputs: StepInputs & Readonly<Record<K, Expr>>) => StepOutputs<K>,
): Optimizer<K> {
  for (const key of Object.keys(state)) {
    if (isReserved(key)) {
      throw new TypeError(
        `defineOptimizer: state keys of "${name}" must not be names that programs give other things, got "${key}"; rename it`,
      );
    }
  }
  // Whoever calls `step` passes every key of `state`, and may pass more.
  return { name, state, step: step as Optimizer<K>["step"] };
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

/** @throws TypeError for what is not an optimizer, such as a constructor that was not called. */
export function requireOptimizer(where: string, name: string, value: Optimizer): void {
  if (typeof value?.step !== "function" || typeof value.state !== "object") {
    throw new TypeError(
      `${where}: ${name} must be an optimizer, got ${typeof value}; call its constructor, as in adam()`,
    );
  }
}

/** A closed program: every array after the step, as an expression of the arrays before it. */
export interface Program {
  readonly name: string;
  readonly state: Readonly<Record<string, StateSpec>>;
  /** The parameter after the step. */
  readonly params: Expr;
  readonly next: Readonly<Record<string, Expr>>;
}

const INPUTS: readonly string[] = ["g", "p", "t", "lr", "size", "totalSize"];

/** Names of inputs, of the arrays that the planner adds, and of what every object inherits. */
function isReserved(key: string): boolean {
  return INPUTS.includes(key) || /^(window|history)\d+$/.test(key) || key in {};
}

/** Calls the program with inputs named after the arrays they stand for. */
export function toProgram(optimizer: Optimizer): Program {
  const states = Object.entries(optimizer.state).map(
    ([key, spec]) => [key, input(key, spec.scope)] as const,
  );
  const p = input("p", "element");
  const outputs = optimizer.step({
    ...Object.fromEntries(states),
    g: input("g", "element"),
    p,
    t: input("t", "step"),
    lr: input("lr", "step"),
  });
  for (const key of Object.keys(optimizer.state)) {
    if (outputs.next[key] === undefined) {
      throw new TypeError(
        `toProgram: "${optimizer.name}" must return \`next.${key}\`, got undefined; return the state it declares`,
      );
    }
  }
  return {
    name: optimizer.name,
    state: optimizer.state,
    params: outputs.params ?? add(p, outputs.update),
    next: outputs.next,
  };
}
