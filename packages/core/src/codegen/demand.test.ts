import { afterAll, beforeEach, describe, expect, it, vi } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import {
  add,
  div,
  gt,
  le,
  mul,
  neg,
  roundoff,
  select,
  sqrt,
  square,
  sub,
  sum,
} from "../expr/build.ts";
import { evaluateStep, startTensor } from "../expr/evaluate.ts";
import type { Expr } from "../expr/node.ts";
import { defineOptimizer, type Optimizer, perStep, toProgram } from "../optimizer.ts";
import { Executor } from "../runtime/executor.ts";
import { group } from "../transforms/group.ts";

/** p ← p − lr·g·factor, where the factor is one number a step or a tensor. */
const scaled = (factor: (inputs: Readonly<Record<"g" | "t" | "lr", Expr>>) => Expr): Optimizer =>
  defineOptimizer("scaled", {}, (inputs) => ({
    update: neg(mul(mul(inputs.lr, inputs.g), factor(inputs))),
    next: {},
  }));

const norm = (x: Expr, over: "all" | "tensor"): Expr => sqrt(sum(square(x), over));

const run = vi.spyOn(Executor.prototype, "run");
beforeEach(() => {
  run.mockClear();
});
afterAll(() => {
  run.mockRestore();
});

/** For each step the positions of the passes that ran over two leaves; parameters are held to the program's definition. */
function passesOf(
  optimizer: Optimizer,
  gradients: readonly Readonly<Record<string, readonly number[]>>[],
): number[][] {
  const start = { a: [1, 2, 3], b: [-1, 0.5] };
  const program = toProgram(optimizer);
  const tensors = Object.entries(start).map(([path, x]) =>
    startTensor(program, x, { path, shape: [x.length] }),
  );
  const compiled = compileOptimizer(optimizer, {
    params: Object.fromEntries(
      Object.entries(start).map(([path, x]) => [
        path,
        { shape: [x.length], data: Float64Array.from(x) },
      ]),
    ),
    learningRate: 0.1,
    dtype: "float64",
  });
  return gradients.map((given) => {
    run.mockClear();
    compiled.step(
      Object.fromEntries(Object.entries(given).map(([path, x]) => [path, Float64Array.from(x)])),
    );
    const active = tensors.filter(({ leaf }) => leaf.path in given);
    evaluateStep(
      program,
      active,
      active.map(({ leaf }) => given[leaf.path] ?? []),
      0.1,
    );
    for (const { leaf, params } of tensors) {
      const got = Array.from(compiled.params[leaf.path]?.data ?? []);
      // A few operations on numbers below 10.
      got.forEach((x, i) => expect(Math.abs(x - (params[i] as number))).toBeLessThan(1e-14));
    }
    return run.mock.calls.map(([{ phase, pass }]) => phase.passes.indexOf(pass));
  });
}

const both = { a: [3, 0, 4], b: [0, 12] };
const small = { a: [0.1, 0, 0.2], b: [0, 0.3] };

describe("a pass that reduces for a branch of `select` which is not taken", () => {
  it("is not run", () => {
    const late = scaled(({ g, t }) => select(gt(t, 2), div(1, norm(g, "all")), 1));
    // The first pass reduces, of each leaf; the second stores, of both.
    expect(passesOf(late, [both, both, both])).toEqual([[1], [1], [0, 0, 1]]);
  });

  it("is not run where the other branch is", () => {
    const early = scaled(({ g, t }) => select(gt(t, 1), 1, div(1, norm(g, "all"))));
    expect(passesOf(early, [both, both])).toEqual([[0, 0, 1], [1]]);
  });

  it("is run where something else reads what it reduces", () => {
    const always = scaled(({ g, t }) => {
      const size = norm(g, "all");
      return add(select(gt(t, 2), div(1, size), 1), size);
    });
    expect(passesOf(always, [both])).toEqual([[0, 0, 1]]);
  });

  it("is run where the condition is known only after it", () => {
    const own = scaled(({ g }) => {
      const size = norm(g, "all");
      return select(gt(size, 1), div(1, size), 1);
    });
    expect(passesOf(own, [both, small])).toEqual([
      [0, 0, 1],
      [0, 0, 1],
    ]);
  });

  it("hangs on what an earlier pass reduced, and on conditions around the condition", () => {
    const twice = scaled(({ g, t }) => {
      const size = norm(g, "all");
      const rest = sum(square(sub(g, size)), "all");
      return select(le(t, 2), select(gt(size, 1), div(1, rest), 2), 3);
    });
    expect(passesOf(twice, [both, small, both])).toEqual([[0, 0, 1, 1, 2], [0, 0, 2], [2]]);
  });

  it("is run for the tensors alone whose condition holds", () => {
    const each = scaled(({ g }) => {
      const size = norm(g, "tensor");
      return select(gt(size, 6), div(1, sum(square(sub(g, size)))), 1);
    });
    // Both run their own passes, one leaf after the other: ‖a‖ = 5, ‖b‖ = 12.
    expect(passesOf(each, [both])).toEqual([[0, 2, 0, 1, 2]]);
  });

  it("is run for every tensor where one of them reads the sum over all", () => {
    const late = scaled(({ g, t }) => select(gt(t, 1), div(1, norm(g, "all")), 1));
    // In its second step `a` reads a sum that `b` takes part in, whose first step it is.
    expect(passesOf(late, [{ a: both.a }, both])).toEqual([[1], [0, 0, 1, 1]]);
  });

  it("is run in the group alone that reads its sum", () => {
    const above = (least: number): Optimizer =>
      scaled(({ g }) => {
        const size = norm(g, "all");
        return select(gt(size, least), div(1, sum(square(sub(g, size)), "all")), 1);
      });
    const optimizer = group({ a: above(6), b: above(5) });
    expect(passesOf(optimizer, [both])).toEqual([[0, 0, 1, 2, 2]]);
  });

  it("is run where it stores something", () => {
    const kept = defineOptimizer("kept", { total: perStep() }, ({ g, t, lr, total }) => {
      const size = sum(g, "all");
      return { update: neg(mul(lr, g)), next: { total: add(total, select(gt(t, 1), size, 0)) } };
    });
    expect(passesOf(kept, [both, both])).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });
});

it("the unit roundoff is that of the arrays' dtype", () => {
  const shift = defineOptimizer("shift", {}, ({ p }) => ({
    update: sub(roundoff(), p),
    params: roundoff(),
    next: {},
  }));
  const after = (["float32", "float64"] as const).map((dtype) => {
    const params = { x: { shape: [1], data: Float64Array.of(1) } };
    const compiled = compileOptimizer(shift, { params, learningRate: 1, dtype });
    compiled.step();
    return compiled.params.x?.data[0];
  });
  expect(after).toEqual([2 ** -24, 2 ** -53]);
});
