/** What a legal program is; checked once, before planning, so that later stages need not doubt. */

import { mapProgram, type Program, type ProgramPhase } from "../optimizer.ts";
import type { MatrixStages, Packing } from "../runtime/parts.ts";
import { type Expr, isMask, isWithin, operands, reachable, scopeOf } from "./node.ts";

const BUILT_IN: ReadonlySet<string> = new Set(["g", "p", "t", "lr"]);

/**
 * Checks names, truth values, delays and scopes of a program.
 *
 * @throws TypeError naming the program and what is wrong in it.
 */
export function verifyProgram(program: Program): void {
  const seen = new Set<Expr>();
  const check = (e: Expr): void => {
    if (seen.has(e)) {
      return;
    }
    seen.add(e);
    operands(e).forEach(check);
    verifyNode(program, e);
  };
  verifyPhase(program, program, check);
  for (const e of Object.values(program.inspect)) {
    check(e);
    requireNumber(program, e, "an inspected value");
  }
  const past = new Set(seen);
  for (const phase of program.before) {
    verifyPhase(program, phase, check);
  }
  if (program.evaluation !== undefined) {
    check(program.evaluation);
    requireNumber(program, program.evaluation, "the parameter to evaluate with");
    if (contains(program.evaluation, (e) => e.op === "random")) {
      fail(program, "the parameter to evaluate with must not be random, got a draw in it");
    }
    if (contains(program.evaluation, isMatrixStage)) {
      fail(program, "the parameter to evaluate with must need no matrix product, got one in it");
    }
  }
  for (const e of seen) {
    if ((e.op === "delay" || e.op === "window") && !past.has(e)) {
      fail(
        program,
        "only the step itself may look back, got a delay in a phase before or after it",
      );
    }
  }
}

/** Whether a program rounds to fewer bits than its dtype has. */
export function roundsToFewerBits(program: Program): boolean {
  return holds(program, isRounding);
}

/** Whether a program keeps state in 8 bits a block. */
export function keepsEightBits(program: Program): boolean {
  return holds(program, isPacked);
}

/** What the matrix products of a program run on; none where it has none. */
export function matrixStagesOf(program: Program): MatrixStages | undefined {
  // The constructor of the node gives it no other.
  return nodesOf(program).find(isMatrixStage)?.stages as MatrixStages | undefined;
}

/** What takes state in 8 bits apart and puts it together; none where a program has none. */
export function packingOf({ state }: Program): Packing | undefined {
  // The formats of `compress` bring no other.
  return Object.values(state).find(({ format }) => format?.packing)?.format?.packing as
    | Packing
    | undefined;
}

function isMatrixStage(e: Expr): e is Extract<Expr, { op: "newtonSchulz" }> {
  return e.op === "newtonSchulz";
}

/** Whether a node is a number in fewer bits: bfloat16, or 8 bits a block. */
export function isRounding(e: Expr): e is Rounding {
  return ["bf16", "bf16Stochastic", "int8", "int8Stochastic"].includes(e.op);
}

type Rounding = Extract<Expr, { op: "bf16" | "bf16Stochastic" | "int8" | "int8Stochastic" }>;

/** Whether a program draws. */
export function drawsAnything(program: Program): boolean {
  return holds(program, (e) => e.op === "random");
}

function holds(program: Program, test: (e: Expr) => boolean): boolean {
  return nodesOf(program).some(test);
}

function nodesOf(program: Program): readonly Expr[] {
  const roots: Expr[] = [];
  mapProgram(program, (e) => {
    roots.push(e);
    return e;
  });
  return reachable(roots, operands);
}

function contains(root: Expr, test: (e: Expr) => boolean): boolean {
  return reachable([root], operands).some(test);
}

function verifyPhase(program: Program, phase: ProgramPhase, check: (e: Expr) => void): void {
  check(phase.params);
  requireNumber(program, phase.params, "the new parameter");
  for (const [key, next] of Object.entries(phase.next)) {
    // 8 bits a block are a way to keep a number, not an operation on it.
    for (const e of isPacked(next) ? operands(next) : [next]) {
      check(e);
      requireNumber(program, e, `state "${key}"`);
    }
    const scope = program.state[key]?.scope ?? "element";
    if (!isWithin(scopeOf(next), scope)) {
      const [kept, got] = [scope, scopeOf(next)].map((each) => EACH[each]);
      fail(program, `state "${key}" must be one number ${kept}, got one ${got}; reduce it`);
    }
  }
}

const EACH = {
  step: "in all",
  tensor: "a tensor",
  row: "a row",
  column: "a column",
  element: "an element",
} as const;

/** Whether a node is a number as 8 bits a block keep it. */
export function isPacked(e: Expr): e is Extract<Expr, { op: "int8" | "int8Stochastic" }> {
  return e.op === "int8" || e.op === "int8Stochastic";
}

function verifyNode(program: Program, e: Expr): void {
  switch (e.op) {
    case "const":
      return;
    case "input": {
      const declared = Object.hasOwn(program.hyperparameters, e.name)
        ? "step"
        : program.state[e.name]?.scope;
      if (!BUILT_IN.has(e.name) && declared !== e.scope) {
        fail(program, `inputs must be declared state of their scope, got "${e.name}" (${e.scope})`);
      }
      return;
    }
    case "and":
    case "or":
      if (!isMask(e.a) || !isMask(e.b)) {
        fail(program, `operands of \`${e.op}\` must be comparisons, got a number`);
      }
      return;
    case "not":
      if (!isMask(e.a)) {
        fail(program, "the operand of `not` must be a comparison, got a number");
      }
      return;
    case "select":
      if (!isMask(e.cond)) {
        fail(program, "the condition of `select` must be a comparison, got a number");
      }
      requireNumber(program, e.a, "a branch of `select`");
      requireNumber(program, e.b, "a branch of `select`");
      return;
    case "choose":
      if (e.branches.length === 0 || (e.branches.some(isMask) && !e.branches.every(isMask))) {
        fail(
          program,
          "branches of `choose` must be numbers or comparisons alike, got a mixture or none",
        );
      }
      return;
    case "random":
      if (typeof e.stream !== "string") {
        fail(program, `the stream of \`uniform\` must be a name, got ${String(e.stream)}`);
      }
      return;
    case "int8":
    case "int8Stochastic":
      return fail(program, `\`${e.op}\` must be what state becomes, got it inside an expression`);
    case "bf16":
    case "bf16Stochastic":
      if (scopeOf(e) !== "element") {
        fail(program, `\`${e.op}\` must run over elements, got ${scopeOf(e)} scope`);
      }
      return requireNumbers(program, e);
    case "pow":
      if (e.program === undefined && scopeOf(e) === "element") {
        fail(
          program,
          "a power over elements must bring its program, got none; build it with `pow`",
        );
      }
      return requireNumbers(program, e);
    case "newtonSchulz":
      if (!e.coefficients.every((each) => each.length === 3 && each.every(Number.isFinite))) {
        fail(
          program,
          `coefficients of \`newtonSchulz\` must be three numbers an iteration, got ${JSON.stringify(e.coefficients)}`,
        );
      }
      requireNumber(program, e.a, "the operand of `newtonSchulz`");
      return;
    case "delay":
      if (!(Number.isSafeInteger(e.steps) && e.steps >= 1)) {
        fail(program, `a delay must be an integer of at least 1 step, got ${e.steps}`);
      }
      if (scopeOf(e.a) === "row" || scopeOf(e.a) === "column") {
        fail(program, `a delay must run over elements or tensors, got ${scopeOf(e.a)} scope`);
      }
      requireNumber(program, e.a, "a delayed value");
      return;
    case "window":
      if (!(Number.isSafeInteger(e.length) && e.length >= 1)) {
        fail(program, `a window must be an integer of at least 1 step, got ${e.length}`);
      }
      if (!(e.decay >= 0 && e.decay <= 1)) {
        fail(program, `the decay of a window must be in [0, 1], got ${e.decay}`);
      }
      if (scopeOf(e.a) !== "element") {
        fail(program, `a window must run over elements, got ${scopeOf(e.a)} scope`);
      }
      requireNumber(program, e.a, "a windowed value");
      return;
    default:
      requireNumbers(program, e);
  }
}

function requireNumbers(program: Program, e: Expr): void {
  for (const operand of operands(e)) {
    requireNumber(program, operand, `an operand of \`${e.op}\``);
  }
}

function requireNumber(program: Program, e: Expr, what: string): void {
  if (isMask(e)) {
    fail(program, `${what} must be a number, got a comparison; wrap it in \`select\``);
  }
}

function fail(program: Program, message: string): never {
  throw new TypeError(`verifyProgram: in "${program.name}", ${message}`);
}
