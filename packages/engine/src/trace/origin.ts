/**
 * Where a traced program's numbers stopped being finite.
 *
 *     loss is NaN ─▶ log [8, 4] is NaN ─▶ sum [8, 1] is finite          the logarithm is the origin
 *
 * From an output that is not finite the search goes back, equation by equation, to an input that is not finite either,
 * one that holds a NaN before one that holds infinities. Infinities that a program holds on purpose, such as those of a
 * mask, are passed by: it only goes where the output came from.
 */

import type { Equation, Operand, Program, Variable } from "./program.ts";

/** An element that is NaN or infinite while all that it was computed from is finite. */
export interface Origin {
  /** What the search started from: `"loss"`, or the path of the parameter whose gradient it is. */
  readonly of: string;
  /** What was passed in, or an operation on finite numbers. */
  readonly where: "parameter" | "batch" | "state" | "operation";
  /** Path of the parameter or state, name of the batch array, or jax-js's name of the operation. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Of the first such element. */
  readonly index: number;
  readonly value: number;
  /** Of an operation: the parameter that is fewest operations before it, if one is. */
  readonly after?: string;
}

/** What an input of the program stands for. */
export interface InputRole {
  readonly role: Exclude<Origin["where"], "operation">;
  readonly name: string;
}

/** What the float32 variables of a program hold, in one run. */
export type Numbers = ReadonlyMap<Variable, ArrayLike<number>>;

/** What equations compute in float32: those variables whose numbers the search looks at, beside inputs. */
export function computed({ equations }: Program): Variable[] {
  return equations.flatMap(({ outputs }) => outputs.filter(({ dtype }) => dtype === "float32"));
}

/**
 * The origin of the first of `outputs` that is not finite; undefined where all are.
 *
 * @param outputs - Of the program, each with what it is called.
 * @param roles - Of the program's inputs, in their order.
 */
export function originOf(
  program: Program,
  outputs: readonly { readonly of: string; readonly operand: Operand }[],
  roles: readonly InputRole[],
  numbers: Numbers,
): Origin | undefined {
  const producers = new Map<Operand, Equation>(
    program.equations.flatMap((each) => each.outputs.map((output) => [output, each] as const)),
  );
  const roleOf = new Map<Operand, InputRole>(
    program.inputs.map((input, i) => [input, roles[i] as InputRole]),
  );
  const traced = (operand: Operand): operand is Variable =>
    producers.has(operand) || roleOf.has(operand);
  const bad = (operands: readonly Operand[]): Variable | undefined => {
    const found = operands.filter(traced).filter((each) => firstBad(numbers.get(each)) >= 0);
    return found.find((each) => hasNan(numbers.get(each))) ?? found[0];
  };

  for (const { of, operand } of outputs) {
    let at = bad([operand]);
    if (at === undefined) {
      continue;
    }
    for (let from = at as Variable | undefined; from !== undefined; ) {
      at = from;
      from = bad(producers.get(at)?.inputs ?? []);
    }
    const data = numbers.get(at) as ArrayLike<number>; // a bad one has numbers
    const index = firstBad(data);
    const role = roleOf.get(at);
    const after = role === undefined ? parameterBefore(at, producers, roleOf) : undefined;
    return {
      of,
      where: role?.role ?? "operation",
      name: role?.name ?? (producers.get(at) as Equation).primitive,
      shape: at.shape,
      index,
      value: data[index] as number,
      ...(after !== undefined && { after }),
    };
  }
  return undefined;
}

/** How an origin stands in a message. */
export function describe({ where, name, shape, index, value, after }: Origin): string {
  const place = `${value} at index ${index}`;
  return where === "operation"
    ? `first as ${place} of "${name}" [${shape.join(", ")}]${after === undefined ? "" : ` after "${after}"`}`
    : `since ${where} "${name}" holds ${place}`;
}

/** Breadth first from `start`, towards the inputs. */
function parameterBefore(
  start: Variable,
  producers: ReadonlyMap<Operand, Equation>,
  roleOf: ReadonlyMap<Operand, InputRole>,
): string | undefined {
  const seen = new Set<Operand>([start]);
  for (const operand of seen) {
    const role = roleOf.get(operand);
    if (role?.role === "parameter") {
      return role.name;
    }
    for (const input of producers.get(operand)?.inputs ?? []) {
      seen.add(input); // a set goes on over what is added while it is walked
    }
  }
  return undefined;
}

function firstBad(data: ArrayLike<number> = []): number {
  return Array.prototype.findIndex.call(data, (x) => !Number.isFinite(x));
}

function hasNan(data: ArrayLike<number> = []): boolean {
  return Array.prototype.some.call(data, Number.isNaN);
}
