/** What a legal program is; checked once, before planning, so that later stages need not doubt. */

import type { Program } from "../optimizer.ts";
import { type Expr, isMask, operands, scopeOf } from "./node.ts";

const BUILT_IN: ReadonlySet<string> = new Set(["g", "p", "t", "lr", "size", "totalSize"]);

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
  check(program.params);
  requireNumber(program, program.params, "the new parameter");
  for (const [key, next] of Object.entries(program.next)) {
    check(next);
    requireNumber(program, next, `state "${key}"`);
    if (program.state[key]?.scope === "tensor" && scopeOf(next) === "element") {
      fail(program, `state "${key}" must be one number a tensor, got one an element; reduce it`);
    }
  }
}

function verifyNode(program: Program, e: Expr): void {
  switch (e.op) {
    case "const":
      return;
    case "input":
      if (!BUILT_IN.has(e.name) && program.state[e.name]?.scope !== e.scope) {
        fail(program, `inputs must be declared state of their scope, got "${e.name}" (${e.scope})`);
      }
      return;
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
    case "delay":
      if (!(Number.isSafeInteger(e.steps) && e.steps >= 1)) {
        fail(program, `a delay must be an integer of at least 1 step, got ${e.steps}`);
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
      for (const operand of operands(e)) {
        requireNumber(program, operand, `an operand of \`${e.op}\``);
      }
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
