import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { adafactor } from "../optimizers/adafactor.ts";
import { adam, adamw } from "../optimizers/adam.ts";
import { adan } from "../optimizers/adan.ts";
import { adashift } from "../optimizers/adashift.ts";
import { lamb } from "../optimizers/lamb.ts";
import { lars } from "../optimizers/lars.ts";
import { lion } from "../optimizers/lion.ts";
import { prodigy } from "../optimizers/prodigy.ts";
import { scheduleFreeAdamW, scheduleFreeSgd } from "../optimizers/scheduleFree.ts";
import { sgd } from "../optimizers/sgd.ts";
import { adams, sgds } from "../optimizers/stableDecay.ts";
import { paramsOf } from "../optimizers/testSteps.ts";
import { chain } from "./chain.ts";
import { type LeafMask, matchesPath } from "./patterns.ts";
import { decoupledWeightDecay, l2 } from "./weightDecay.ts";

const PATHS = ["dense/kernel", "dense/bias", "scale"];

function bind(optimizer: Optimizer) {
  const params = Object.fromEntries(
    PATHS.map((path) => [path, { shape: [1], data: Float64Array.of(1) }]),
  );
  return compileOptimizer(optimizer, { params, learningRate: 0.5, dtype: "float64" });
}

/** Parameters after a step on zero gradients: 0.95 where decay of 0.1 acts, 1 where not. */
function decayed(optimizer: Optimizer): readonly number[] {
  const compiled = bind(optimizer);
  compiled.step();
  return PATHS.map((path) => compiled.params[path]?.data[0] as number);
}

describe("patterns", () => {
  it.each([
    ["dense/kernel", "dense/kernel", true],
    ["dense/kernel", "dense/kernel/a", false],
    ["*/kernel", "dense/kernel", true],
    ["*/kernel", "kernel", false],
    ["*", "a/b", false],
    ["conv*/k*l", "conv12/kernel", true],
    ["conv*", "con", false],
    ["a.c", "abc", false],
    ["**/bias", "bias", true],
    ["**/bias", "a/b/bias", true],
    ["head/**", "head", true],
    ["head/**", "head/a/b", true],
    ["head/**", "header/a", false],
    ["a/**/z", "a/z", true],
    ["a/**/z", "a/b/c/z", true],
    ["a/**/z", "a/b/c/y", false],
    ["**", "any/thing", true],
  ])("%s and %s: %s", (pattern, path, expected) => {
    expect(matchesPath(pattern, path)).toBe(expected);
  });
});

describe("weight decay", () => {
  it.each([
    ["**/kernel", [0.95, 1, 1]],
    [
      ["dense/*", "scale"],
      [0.95, 0.95, 0.95],
    ],
    [({ path }: { path: string }) => path === "scale", [1, 1, 0.95]],
    [undefined, [0.95, 0.95, 0.95]],
  ] as [LeafMask | undefined, number[]][])("acts where the mask says: %o", (mask, expected) => {
    const options = mask === undefined ? {} : { mask };
    expect(decayed(chain(l2(0.1, options), sgd()))).toEqual(expected);
    expect(decayed(chain(sgd(), decoupledWeightDecay(0.1, options)))).toEqual(expected);
  });

  it("can be changed while training, as an option of an optimizer too", () => {
    const compiled = bind(adamw({ weightDecay: 0.1 }));
    compiled.step();
    compiled.set({ weightDecay: 0.2 });
    compiled.step();
    expect(compiled.params.scale?.data[0]).toBe(0.95 - 0.5 * 0.2 * 0.95);
    expect(compiled.hyperparameters.weightDecay).toBe(0.2);
  });

  it.each(
    Object.entries({
      adafactor,
      adam,
      adan,
      adashift,
      lamb,
      lars,
      lion,
      prodigy,
      scheduleFreeAdamW,
      scheduleFreeSgd,
      sgd,
    }),
  )(
    "is no hyperparameter of %s without decay, and one with it that may become 0",
    (_, construct) => {
      const none = bind(construct());
      expect(none.hyperparameters).not.toHaveProperty("weightDecay");
      expect(() => none.set({ weightDecay: 0.1 })).toThrow(
        /^set: hyperparameters must be among learningRate.*, got "weightDecay"$/,
      );
      const some = bind(construct({ weightDecay: 0.1 }));
      expect(some.hyperparameters.weightDecay).toBe(0.1);
      some.set({ weightDecay: 0 });
      some.step();
      expect(some.params.scale?.data[0]).toBe(1);
    },
  );

  it("refuses masks that take no leaf, naming some", () => {
    const leaves = "leaves are dense/kernel, dense/bias, scale";
    expect(() => bind(chain(l2(0.1, { mask: ["scale", "**/kernels"] }), sgd()))).toThrow(
      new RangeError(`l2: \`mask\` must take at least one leaf, got "**/kernels"; ${leaves}`),
    );
    const none = decoupledWeightDecay(0.1, { mask: () => false });
    expect(() => bind(chain(sgd(), none))).toThrow(
      new RangeError(
        `decoupledWeightDecay: \`mask\` must take at least one leaf, got a function that is false for each; ${leaves}`,
      ),
    );
  });

  it("refuses what is no mask or no decay", () => {
    const form = "l2: `mask` must be a pattern, patterns or a function of the leaf, got";
    expect(() => l2(0.1, { mask: [] })).toThrow(
      new TypeError(`${form} no pattern; leave it out for every leaf`),
    );
    expect(() => l2(0.1, { mask: 3 as unknown as string })).toThrow(
      new TypeError(`${form} 3; leave it out for every leaf`),
    );
    expect(() => l2(0.1, { mask: "" })).toThrow(
      new RangeError('l2: `mask` must be a pattern of leaf paths, got ""; "**" is every leaf'),
    );
    expect(() => l2(0.1, { mask: [1 as unknown as string] })).toThrow(
      new TypeError("l2: `mask` must be a pattern of leaf paths, got 1"),
    );
    expect(() => l2(-1)).toThrow(
      new RangeError("l2: `weightDecay` must be finite and at least 0, got -1"),
    );
    expect(() => decoupledWeightDecay(Number.NaN)).toThrow(
      new RangeError("decoupledWeightDecay: `weightDecay` must be finite and at least 0, got NaN"),
    );
  });
});

describe("stable weight decay", () => {
  it("of Adam is by hand the rate's share over the root of the mean second moment", () => {
    const [first, second] = paramsOf(
      adams({ weightDecay: 0.1, eps: 0 }),
      [1, -2],
      [
        [3, 4],
        [3, 4],
      ],
      0.01,
    );
    // Equal gradients: v̂ = g², v̄ = 12.5, m̂/√v̂ = sign g = 1.
    const factor = 1 - (0.01 * 0.1) / Math.sqrt(12.5);
    // Rounding of two steps over numbers of order 1; bias corrections cancel to some 1e-14 at b2 = 0.999.
    expect(first?.[0]).toBeCloseTo(factor - 0.01, 12);
    expect(first?.[1]).toBeCloseTo(-2 * factor - 0.01, 12);
    expect(second?.[0]).toBeCloseTo((factor - 0.01) * factor - 0.01, 12);
  });

  it("of Adam without gradients does nothing, and without decay is Adam", () => {
    expect(paramsOf(adams({ weightDecay: 1 }), [1, -2], [[0, 0]], 0.5)).toEqual([[1, -2]]);
    const g = [
      [1, -2],
      [0.5, 3],
    ];
    expect(paramsOf(adams({ weightDecay: 0 }), [1, -2], g, 0.5)).toEqual(
      paramsOf(adam(), [1, -2], g, 0.5),
    );
  });

  it("of SGD follows momentum and dampening where they change", () => {
    const decayed = (options: { momentum: number; dampening: number }) => {
      const compiled = bind(sgds({ weightDecay: 0.01, ...options }));
      compiled.set({ momentum: 0.75, dampening: 0.5 });
      compiled.step();
      return compiled.params.scale?.data[0];
    };
    expect(decayed({ momentum: 0.9, dampening: 0.1 })).toBe(1 - 0.5 * ((0.01 * 0.5) / 0.25));
  });

  it("of SGD is decoupled decay over 1 − momentum", () => {
    const g = [
      [1, -2],
      [0.5, 3],
    ];
    const plain = chain(sgd({ momentum: 0.75 }), decoupledWeightDecay(0.04));
    expect(paramsOf(sgds({ momentum: 0.75, weightDecay: 0.01 }), [1, -2], g, 0.5)).toEqual(
      paramsOf(plain, [1, -2], g, 0.5),
    );
  });

  it("refuses what does not hold", () => {
    expect(() => sgds({ momentum: 1 })).toThrow(
      new RangeError("sgds: `momentum` must be in [0, 1), got 1"),
    );
    expect(() => adams({ weightDecay: -1 })).toThrow(
      new RangeError("adams: `weightDecay` must be finite and at least 0, got -1"),
    );
    expect(() => adams({ b2: 1 })).toThrow(new RangeError("adams: `b2` must be in [0, 1), got 1"));
  });
});
