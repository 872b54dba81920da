/** Trace files of schema `optim-golden/1`: problems and recorded runs, checked while they are read. */

import { type ArubaInputs, parseAruba } from "./arubaCase.ts";
import { broken, isList, isShape, isTensors, isTrajectory, record } from "./checks.ts";
import { type DecentralizedInputs, parseDecentralized } from "./decentralizedCase.ts";

/** Inputs of a recorded run. */
export type TraceProblem =
  | {
      readonly kind: "fixed";
      readonly shapes: readonly (readonly number[])[];
      readonly steps: number;
      readonly init: readonly (readonly number[])[];
      /** `[step][tensor][element]`. */
      readonly grads: readonly (readonly (readonly number[])[])[];
    }
  | {
      /** f(x, y) = (1 − x)² + a (y − x²)²: the gradient comes from the parameters. */
      readonly kind: "rosenbrock";
      readonly shapes: readonly (readonly number[])[];
      readonly steps: number;
      readonly init: readonly (readonly number[])[];
      readonly a: number;
    };

export interface TraceCase {
  readonly id: string;
  readonly algorithm: string;
  readonly options: Readonly<Record<string, unknown>>;
  /** Name of its problem; absent in cases that carry their own inputs. */
  readonly problem?: string;
  /** Largest absolute difference allowed in float64. */
  readonly tol: number;
  /** Of a method of several nodes: its own inputs. */
  readonly decentralized?: DecentralizedInputs;
  /** Of ARUBA: its tasks, and what was recorded of them. */
  readonly aruba?: ArubaInputs;
  /** `[step][tensor][element]` after each step, or `[step][node][element]`; absent where nothing was recorded. */
  readonly params?: readonly (readonly (readonly number[])[])[];
  /** The points to evaluate at after each step, for methods that have them apart from the parameters. */
  readonly evaluation?: readonly (readonly (readonly number[])[])[];
}

const SCHEMA = "optim-golden/1";
const DEFAULT_TOLERANCE = 1e-10;

/** @throws TypeError naming the file and what in it is not of the schema, problems apart. */
export function parseProblems(
  text: string,
  file: string,
): ReadonlyMap<string, TraceProblem | TypeError> {
  const root = parseRoot(text, file);
  const problems = record(root.problems, file, "problems");
  return new Map(
    Object.entries(problems).map(([name, value]) => [name, problemOrError(value, file, name)]),
  );
}

/** A problem that is broken costs the cases that use it, not the others: it stands as the error they will meet. */
function problemOrError(value: unknown, file: string, name: string): TraceProblem | TypeError {
  try {
    return parseProblem(value, file, name);
  } catch (cause) {
    if (cause instanceof TypeError) {
      return cause;
    }
    throw cause;
  }
}

/** @throws TypeError naming the file and the first thing in it that is not of the schema. */
export function parseCases(text: string, file: string): readonly TraceCase[] {
  const root = parseRoot(text, file);
  if (!Array.isArray(root.cases)) {
    throw broken(file, "`cases` must be a list", root.cases);
  }
  return root.cases.map((value: unknown, index) => parseCase(value, file, index));
}

function parseRoot(text: string, file: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new TypeError(
      `replay: ${file} must be JSON, got ${cause instanceof Error ? cause.message : String(cause)}; export it again`,
      { cause },
    );
  }
  const root = record(value, file, "the file");
  if (root.schema !== SCHEMA) {
    throw broken(file, `\`schema\` must be "${SCHEMA}"`, root.schema);
  }
  return root;
}

function parseProblem(value: unknown, file: string, name: string): TraceProblem {
  const at = `problem "${name}"`;
  const { kind, shapes, steps, init, grads, a } = record(value, file, at);
  if (kind !== "fixed" && kind !== "rosenbrock") {
    throw broken(file, `${at}: \`kind\` must be "fixed" or "rosenbrock"`, kind);
  }
  if (!isList(shapes, isShape) || shapes.length === 0) {
    throw broken(file, `${at}: \`shapes\` must be a list of shapes`, shapes);
  }
  if (!(typeof steps === "number" && Number.isSafeInteger(steps) && steps >= 0)) {
    throw broken(file, `${at}: \`steps\` must be a natural number`, steps);
  }
  const sizes = shapes.map((shape) => shape.reduce((product, n) => product * n, 1));
  if (!isTensors(init, sizes)) {
    throw broken(file, `${at}: \`init\` must hold ${sizes.join(", ")} numbers a tensor`, init);
  }
  if (kind === "rosenbrock") {
    if (typeof a !== "number" || sizes.length !== 1 || sizes[0] !== 2) {
      throw broken(file, `${at}: a rosenbrock problem needs \`a\` and one tensor of 2`, a);
    }
    return { kind, shapes, steps, init, a };
  }
  if (
    !isList(grads, (step): step is readonly (readonly number[])[] => isTensors(step, sizes)) ||
    grads.length < steps
  ) {
    throw broken(
      file,
      `${at}: \`grads\` must hold ${steps} steps of ${sizes.join(", ")} numbers`,
      grads,
    );
  }
  return { kind, shapes, steps, init, grads };
}

function parseCase(value: unknown, file: string, index: number): TraceCase {
  const at = `case ${index}`;
  const { id, algorithm, options, problem, tol, params, evaluation } = record(value, file, at);
  if (typeof id !== "string" || typeof algorithm !== "string") {
    throw broken(file, `${at}: \`id\` and \`algorithm\` must be texts`, id);
  }
  if (tol !== undefined && !(typeof tol === "number" && tol >= 0 && Number.isFinite(tol))) {
    throw broken(file, `${at}: \`tol\` must be a finite number of at least 0`, tol);
  }
  if (problem !== undefined && typeof problem !== "string") {
    throw broken(file, `${at}: \`problem\` must be a name`, problem);
  }
  for (const [name, trajectory] of Object.entries({ params, evaluation })) {
    if (trajectory !== undefined && trajectory !== null && !isTrajectory(trajectory)) {
      throw broken(
        file,
        `${at}: \`${name}\` must be numbers by step, tensor and element`,
        trajectory,
      );
    }
  }
  return {
    id,
    algorithm,
    options: options === undefined ? {} : record(options, file, `${at}: \`options\``),
    ...(problem === undefined ? {} : { problem }),
    ...(algorithm === "decentralized"
      ? { decentralized: parseDecentralized(value, file, at) }
      : {}),
    ...(algorithm === "aruba" ? { aruba: parseAruba(value, file, at) } : {}),
    tol: tol ?? DEFAULT_TOLERANCE,
    ...(isTrajectory(params) ? { params } : {}),
    ...(isTrajectory(evaluation) ? { evaluation } : {}),
  };
}
