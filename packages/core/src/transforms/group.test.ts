import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { add } from "../expr/build.ts";
import { defineOptimizer, type Optimizer, perStep } from "../optimizer.ts";
import { adai } from "../optimizers/adai.ts";
import { adam } from "../optimizers/adam.ts";
import { sgd } from "../optimizers/sgd.ts";
import { mulberry32 } from "../random.ts";
import { accumulate } from "./accumulate.ts";
import { ema } from "./averages.ts";
import { chain } from "./chain.ts";
import { clipByGlobalNorm } from "./clip.ts";
import { group } from "./group.ts";
import { sam } from "./sam.ts";
import { decoupledWeightDecay, l2 } from "./weightDecay.ts";

const PATHS = ["head/kernel", "head/bias", "body/kernel", "body/bias"];

function bind(optimizer: Optimizer, paths = PATHS) {
  const params = Object.fromEntries(
    paths.map((path) => [path, { shape: [3], data: Float64Array.of(1, -2, 0.5) }]),
  );
  return compileOptimizer(optimizer, { params, learningRate: 0.1, dtype: "float64" });
}

function draws(paths: readonly string[], seed: number): Record<string, Float64Array> {
  return Object.fromEntries(
    PATHS.map((path, i): [string, Float64Array] => {
      const random = mulberry32(100 * seed + i);
      return [path, Float64Array.from({ length: 3 }, () => random.normal())];
    }).filter(([path]) => paths.includes(path)),
  );
}

/** Parameters by path after `calls` calls of an optimizer over some of the leaves. */
function run(optimizer: Optimizer, paths = PATHS, calls = 6): Record<string, readonly number[]> {
  const compiled = bind(optimizer, paths);
  for (let call = 0; call < calls; call++) {
    compiled.step(draws(paths, call));
  }
  return Object.fromEntries(
    paths.map((path) => [path, Array.from(compiled.params[path]?.data ?? [])]),
  );
}

const HEAD = PATHS.slice(0, 2);
const BODY = PATHS.slice(2);

describe("group", () => {
  it.each<[string, Optimizer, Optimizer]>([
    ["adam and sgd", adam(), sgd({ momentum: 0.9 })],
    ["reductions over all tensors", chain(clipByGlobalNorm(0.1), adam()), adai()],
    ["the same twice", adai({ b0: 0.2 }), adai({ b0: 0.2 })],
    ["accumulated", accumulate(2, adam()), accumulate(2, chain(clipByGlobalNorm(1), sgd()))],
    ["ascended", sam(adam()), sam(sgd())],
    ["masked", chain(l2(0.1, { mask: "*/kernel" }), sgd()), sgd()],
  ])("moves each group as if it were alone: %s", (_, head, body) => {
    expect(run(group({ "head/*": head, "**": body }))).toEqual({
      ...run(head, HEAD),
      ...run(body, BODY),
    });
  });

  it("keeps for each leaf only what its optimizer keeps, under names that groups share", () => {
    const compiled = bind(
      group({ "head/*": adam(), "body/kernel": adam({ b1: 0.5 }), "**": sgd() }),
    );
    const { leaves } = compiled.save();
    const keys = PATHS.map((path) => Object.keys(leaves[path]?.arrays ?? {}));
    expect(keys).toEqual([["mu", "nu"], ["mu", "nu"], ["mu", "nu"], []]);
  });

  it("keeps one number in all apart for each group", () => {
    const counting = defineOptimizer("counting", { n: perStep() }, ({ n }) => ({
      update: add(n, 1),
      next: { n: add(n, 1) },
    }));
    const compiled = bind(group({ "head/*": counting, "**": counting }));
    compiled.step(draws(HEAD, 1));
    compiled.step(draws(PATHS, 1));
    expect(compiled.save().global).toEqual({ n: 2, "2.n": 1 });
  });

  it("gives groups rates of their own, changeable under their pattern", () => {
    const compiled = bind(
      group({
        "head/*": { optimizer: chain(sgd(), decoupledWeightDecay(0)), scale: 0.5 },
        "body/kernel": { optimizer: sgd(), learningRate: 3 },
        "**": sgd(),
      }),
    );
    expect(compiled.hyperparameters).toEqual({
      learningRate: 0.1,
      "head/*.scale": 0.5,
      "head/*.weightDecay": 0,
      "body/kernel.scale": 1,
      "body/kernel.learningRate": 3,
      "**.scale": 1,
    });
    const ones = Object.fromEntries(PATHS.map((path) => [path, Float64Array.of(1, 1, 1)]));
    compiled.step(ones);
    const first = PATHS.map((path) => 1 - (compiled.params[path]?.data[0] as number));
    // One rounding of numbers near 1.
    [0.05, 0.05, 3, 0.1].forEach((moved, i) => {
      expect(first[i]).toBeCloseTo(moved, 14);
    });
    compiled.set({ "head/*.scale": 0, "body/kernel.learningRate": 0 });
    const before = PATHS.map((path) => compiled.params[path]?.data[0]);
    compiled.step(ones);
    const after = PATHS.map((path) => compiled.params[path]?.data[0]);
    expect(after.slice(0, 3)).toEqual(before.slice(0, 3));
    expect(after[3]).not.toBe(before[3]);
  });

  it("evaluates each leaf as its group does", () => {
    const compiled = bind(group({ "head/*": chain(sgd(), ema(0.5)), "**": sgd() }));
    compiled.step(draws(PATHS, 1));
    const evaluated = compiled.evaluationParams();
    const head = compiled.params["head/bias"]?.data[0] as number;
    expect(evaluated["head/bias"]?.data[0]).toBeCloseTo((1 + head) / 2, 14);
    expect(evaluated["body/bias"]?.data).toEqual(compiled.params["body/bias"]?.data);
  });

  it("works inside a group", () => {
    const inner = group({
      "*/kernel": sgd({ momentum: 0.5 }),
      "**": { optimizer: sgd(), scale: 2 },
    });
    const flat = group({
      "head/kernel": sgd({ momentum: 0.5 }),
      "head/bias": { optimizer: sgd(), scale: 2 },
      "**": adam(),
    });
    expect(run(group({ "head/*": inner, "**": adam() }))).toEqual(run(flat));
  });

  it.each<[string, () => unknown, string]>([
    [
      "no groups",
      () => group({}),
      "group: at least one group is needed, got none; pass optimizers by pattern",
    ],
    [
      "a leaf in two",
      () => bind(group({ "head/*": sgd(), "*/bias": sgd(), "**": sgd() })),
      'group: each leaf must be in one group, got "head/bias" in "head/*" and "*/bias"; narrow one of them',
    ],
    [
      "a leaf in none",
      () => bind(group({ "head/*": sgd() })),
      'group: each leaf must be in one group, got "body/kernel" in none of "head/*"; add "**" for the rest',
    ],
    [
      "a pattern without leaves",
      () => bind(group({ "tail/*": adam(), "**": sgd() })),
      'group: a pattern must take at least one leaf, got "tail/*"; leaves are head/kernel, head/bias, body/kernel, body/bias',
    ],
    [
      "different calls",
      () => group({ "head/*": accumulate(2, adam()), "**": sgd() }),
      "group: optimizers of all groups must take the same calls before a step, got accumulate(2, adam) and sgd; put accumulate or sam around the group",
    ],
    [
      "a rate out of range",
      () => group({ "**": { optimizer: sgd(), scale: -1 } }),
      "group: `**.scale` must be finite and at least 0, got -1",
    ],
    [
      "an empty pattern",
      () => group({ "": sgd() }),
      'group: a key must be a pattern of leaf paths, got ""; "**" is every leaf',
    ],
    [
      "a mask that takes none of the group's leaves",
      () => bind(group({ "head/*": chain(l2(0.1, { mask: "body/*" }), sgd()), "**": sgd() })),
      'l2: `mask` must take at least one leaf, got "body/*"; leaves are head/kernel, head/bias',
    ],
  ])("refuses %s", (_, build, message) => {
    expect(build).toThrow(new RangeError(message));
  });

  it("refuses a constructor that was not called", () => {
    expect(() => group({ "**": sgd as unknown as Optimizer })).toThrow(
      new TypeError(
        'group: "**" must be an optimizer, got function; call its constructor, as in adam()',
      ),
    );
  });
});
