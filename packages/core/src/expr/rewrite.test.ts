import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { defineOptimizer, toProgram } from "../optimizer.ts";
import {
  abs,
  add,
  delay,
  div,
  input,
  lt,
  mul,
  neg,
  select,
  sqrt,
  square,
  sub,
  windowSum,
  wrap,
} from "./build.ts";
import { evaluateStep, startTensor } from "./evaluate.ts";
import type { Expr } from "./node.ts";
import { Rewriter } from "./rewrite.ts";

const g = input("g", "element");
const p = input("p", "element");

/** Numbers that rules get wrong: zeros of both signs, infinities, NaN, subnormals, ones. */
const SPECIAL = [0, -0, 1, -1, Infinity, -Infinity, Number.NaN, 5e-324, -1e-310, 0.1, 3, 1e308];

const expression = fc.letrec<{ e: Expr }>((tie) => ({
  e: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constantFrom(g, p),
    fc.constantFrom(...SPECIAL).map(wrap),
    fc.tuple(fc.constantFrom(add, sub, mul, div), tie("e"), tie("e")).map(([f, a, b]) => f(a, b)),
    fc.tuple(fc.constantFrom(neg, abs, sqrt, square), tie("e")).map(([f, a]) => f(a)),
    fc.tuple(tie("e"), tie("e"), tie("e")).map(([a, b, c]) => select(lt(a, b), b, c)),
    fc.tuple(tie("e"), fc.integer({ min: 1, max: 3 })).map(([a, steps]) => delay(a, steps)),
  ),
})).e;

/** Parameters of four steps under an expression as the update, by definition. */
function run(update: Expr): number[][] {
  const program = toProgram(defineOptimizer("any", {}, () => ({ update, next: {} })));
  const tensors = [startTensor(program, SPECIAL)];
  return [0, 1, 2, 3].map((t) => {
    const gradient = SPECIAL.map((_, i) => SPECIAL[(i * 5 + t) % SPECIAL.length] as number);
    evaluateStep(program, tensors, [gradient], 0.1);
    return Array.from(tensors[0]?.params ?? []);
  });
}

describe("rewrite", () => {
  it("keeps every bit: NaN, infinities, subnormals and the sign of zero", () => {
    fc.assert(
      fc.property(expression, (e) => {
        const before = run(e);
        const after = run(new Rewriter().rewrite(e));
        before.forEach((row, t) => {
          row.forEach((x, i) => {
            expect(Object.is(x, after[t]?.[i]), `${x} became ${after[t]?.[i]}`).toBe(true);
          });
        });
      }),
      { numRuns: 400 },
    );
  });

  it("is idempotent and gives equal structures one object", () => {
    fc.assert(
      fc.property(expression, (e) => {
        const rewriter = new Rewriter();
        const once = rewriter.rewrite(e);
        expect(rewriter.rewrite(once)).toBe(once);
        expect(rewriter.rewrite(structuredClone(e))).toBe(once);
      }),
    );
  });

  it.each([
    ["a + (−b) = a − b", add(p, neg(g)), sub(p, g)],
    ["a − (−b) = a + b", sub(p, neg(g)), add(p, g)],
    ["−(−a) = a", neg(neg(g)), g],
    ["1·a = a", mul(1, g), g],
    ["a·(−1) = −a", mul(g, -1), neg(g)],
    ["a − 0 = a", sub(g, 0), g],
    ["a/1 = a", div(g, 1), g],
    ["delay(a²) = delay(a)²", delay(square(g), 4), mul(delay(g, 4), delay(g, 4))],
    ["delays add", delay(delay(g, 2), 3), delay(g, 5)],
    ["a window of one is its value", windowSum(g, 0.9, 1), g],
    ["a window without memory is its value", windowSum(g, 0, 7), g],
  ])("%s", (_, e, simpler) => {
    const rewriter = new Rewriter();
    expect(rewriter.rewrite(e)).toBe(rewriter.rewrite(simpler));
  });

  it.each([
    ["a + 0 is not a, for a = −0", add(p, 0)],
    ["0·a is not 0, for a = NaN", mul(0, g)],
    ["a − a is not 0, for a = ∞", sub(g, g)],
  ])("leaves alone what would lose a bit: %s", (_, e) => {
    expect(new Rewriter().rewrite(e)).toEqual(e);
  });
});
