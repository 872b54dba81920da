import { describe, expect, it } from "vitest";
import { compileOptimizer } from "./compileOptimizer.ts";
import { NonFiniteError, ShapeMismatchError } from "./errors.ts";
import { defineOptimizer, type Optimizer, perTensor } from "./optimizer.ts";
import { adai } from "./optimizers/adai.ts";
import { adam } from "./optimizers/adam.ts";
import { adashift } from "./optimizers/adashift.ts";
import { fastAdaBelief } from "./optimizers/fastAdaBelief.ts";
import { sgd } from "./optimizers/sgd.ts";
import { chain } from "./transforms/chain.ts";
import type { Tree } from "./tree.ts";

const two = () => ({
  dense: {
    kernel: { shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
    bias: { shape: [2], data: Float32Array.of(5, 6) },
  },
});

describe("compileOptimizer", () => {
  it("updates parameters in place, by path", () => {
    const optimizer = compileOptimizer(sgd(), { params: two(), learningRate: 0.5 });
    const kernel = optimizer.params["dense/kernel"]?.data;
    optimizer.gradients["dense/kernel"]?.data.set([2, 2, 2, 2]);
    expect(optimizer.step()).toEqual({ status: "stepped" });
    expect(kernel).toEqual(Float32Array.of(0, 1, 2, 3));
    expect(optimizer.params["dense/bias"]?.data).toEqual(Float32Array.of(5, 6));
    expect(optimizer.count).toBe(1);
  });

  it("never writes the parameters it was given", () => {
    const params = two();
    const optimizer = compileOptimizer(sgd(), { params, learningRate: 1 });
    optimizer.step({ "dense/kernel": Float32Array.of(1, 1, 1, 1) });
    expect(params).toEqual(two());
  });

  it("asks a schedule for the rate of each step by the number of steps taken", () => {
    const asked: number[] = [];
    const optimizer = compileOptimizer(sgd(), {
      params: { x: { shape: [1], data: Float32Array.of(0) } },
      learningRate: (count) => {
        asked.push(count);
        return count === 0 ? 1 : 10;
      },
    });
    optimizer.step({ x: Float32Array.of(1) });
    optimizer.step({ x: Float32Array.of(1) });
    expect(optimizer.params.x?.data).toEqual(Float32Array.of(-11));
    expect(asked.slice(-2)).toEqual([0, 1]);
  });

  it("hands out another array for each step's gradient where past ones are kept", () => {
    const params = { x: { shape: [2], data: Float32Array.of(1, 1) } };
    const optimizer = compileOptimizer(adashift({ n: 3 }), { params, learningRate: 0.1 });
    const offsets = Array.from({ length: 5 }, () => {
      const view = optimizer.gradients.x?.data as Float32Array;
      view.set([1, -1]);
      optimizer.step();
      return view.byteOffset;
    });
    expect(new Set(offsets).size).toBe(4);
    expect(offsets[4]).toBe(offsets[0]);
  });

  it("leaves parameters alone, bit for bit, for the first n steps of AdaShift, and moves them at n + 1", () => {
    const params = { x: { shape: [3], data: Float32Array.of(-0, 1e-30, 7) } };
    const optimizer = compileOptimizer(adashift({ n: 4 }), { params, learningRate: 0.1 });
    for (let t = 1; t <= 4; t++) {
      optimizer.step({ x: Float32Array.of(t, -t, 2 * t) });
      expect(Object.is(optimizer.params.x?.data[0], -0)).toBe(true);
      expect(optimizer.params.x?.data).toEqual(params.x.data);
    }
    optimizer.step({ x: Float32Array.of(1, 1, 1) });
    expect(optimizer.params.x?.data[2]).not.toBe(7);
  });

  it("keeps windows right for a thousand steps at b1 = 1, where recursion alone would not heal", () => {
    const size = 200;
    const params = { x: { shape: [size], data: new Float32Array(size) } };
    // b1 = 1, b2 near 1 and one huge gradient: what a continued sum rounds away then stays wrong for ever.
    const optimizer = compileOptimizer(adashift({ n: 5, b1: 1 }), { params, learningRate: 0 });
    for (let t = 0; t < 1000; t++) {
      const g = t === 100 ? 1e8 : 0.1 * ((t % 7) - 3);
      optimizer.step({ x: new Float32Array(size).fill(g) });
    }
    const expected = [995, 996, 997, 998, 999].reduce((s, t) => s + 0.1 * ((t % 7) - 3), 0);
    for (const value of optimizer.save().leaves.x?.arrays.window0?.[0] ?? []) {
      // Each element was summed anew in the last 64 steps; up to 64 roundings of numbers below 1 follow.
      expect(Math.abs(value - expected)).toBeLessThan(64 * 2 ** -24);
    }
  });

  it("follows NaN by default into parameters, while AdaShift's window forgets it after a refresh", () => {
    const params = { x: { shape: [1], data: Float32Array.of(1) } };
    const optimizer = compileOptimizer(adashift({ n: 2, window: 2, b1: 1 }), {
      params,
      learningRate: 0.1,
    });
    optimizer.step({ x: Float32Array.of(Number.NaN) });
    for (let t = 0; t < 200; t++) {
      optimizer.step({ x: Float32Array.of(1) });
    }
    expect(optimizer.params.x?.data[0]).toBeNaN();
    const history = optimizer.save().leaves.x?.arrays.g?.map((data) => data[0]);
    expect(history).toEqual([1, 1]);
  });

  it.each(["skip", "throw"] as const)(
    "under nonFinite: %s a bad gradient changes nothing at all",
    (nonFinite) => {
      const optimizer = compileOptimizer(adashift({ n: 2 }), {
        params: two(),
        learningRate: 0.1,
        nonFinite,
      });
      for (let t = 0; t < 4; t++) {
        optimizer.step({
          "dense/kernel": Float32Array.of(1, 2, t, 4),
          "dense/bias": Float32Array.of(t, 1),
        });
      }
      const before = JSON.stringify(optimizer.save());
      const bad = {
        "dense/kernel": Float32Array.of(1, 1, 1, 1),
        "dense/bias": Float32Array.of(0, -Infinity),
      };
      if (nonFinite === "throw") {
        expect(() => optimizer.step(bad)).toThrow(
          'step: gradient of leaf "dense/bias" must be finite at step 5, got NaN or infinity; lower the learning rate, clip, or pass nonFinite: "skip"',
        );
        expect(() => optimizer.step(bad)).toThrow(NonFiniteError);
      } else {
        expect(optimizer.step(bad)).toEqual({ status: "skipped" });
      }
      expect(JSON.stringify(optimizer.save())).toBe(before);
      expect(optimizer.count).toBe(4);
    },
  );

  it("one step may refuse what the others follow", () => {
    const optimizer = compileOptimizer(adashift({ n: 2 }), { params: two(), learningRate: 0.1 });
    const before = JSON.stringify(optimizer.save());
    optimizer.gradients["dense/bias"]?.data.fill(Number.NaN);
    expect(() => optimizer.step(undefined, { nonFinite: "throw" })).toThrow(NonFiniteError);
    expect(optimizer.step(undefined, { nonFinite: "skip" })).toEqual({ status: "skipped" });
    expect(JSON.stringify(optimizer.save())).toBe(before);
    expect(() => optimizer.step(undefined, { nonFinite: "never" as "skip" })).toThrow(
      'step: `nonFinite` must be one of "propagate", "skip", "throw", got "never"',
    );
    expect(optimizer.step()).toEqual({ status: "stepped" });
  });

  it.each([
    [
      { "dense/kernel": new Float32Array(3) },
      'step: leaf "dense/kernel" has shape [2, 2], got [3]; pass an array of the leaf\'s shape',
    ],
    [
      { "dense/weights": new Float32Array(4) },
      'step: gradients must belong to leaves, got "dense/weights"; leaves are dense/kernel, dense/bias',
    ],
  ])("refuses a gradient that does not fit and stays as it was", (gradients, message) => {
    const optimizer = compileOptimizer(adam(), { params: two(), learningRate: 0.1 });
    const before = JSON.stringify(optimizer.save());
    expect(() => optimizer.step(gradients)).toThrow(message);
    expect(JSON.stringify(optimizer.save())).toBe(before);
  });

  it.each([
    [
      () => compileOptimizer(adam(), { params: {}, learningRate: 1 }),
      "compileOptimizer: `params` must hold at least one leaf { shape, data }, got none; pass model parameters",
    ],
    [
      () =>
        compileOptimizer(adam(), {
          params: { x: { shape: [3], data: new Float32Array(2) } },
          learningRate: 1,
        }),
      'compileOptimizer: leaf "x" has shape [3], got [2]; pass an array of the leaf\'s shape',
    ],
    [
      () =>
        compileOptimizer(adam(), { params: two(), learningRate: undefined as unknown as number }),
      "compileOptimizer: `learningRate` must be a number or a schedule, got undefined",
    ],
    [
      () =>
        compileOptimizer(adam(), {
          params: { ...two(), "dense/bias": two().dense.bias },
          learningRate: 1,
        }),
      'flatten: paths must be unique, got "dense/bias" twice; rename a key that holds a slash',
    ],
    [
      () => compileOptimizer(adam as unknown as Optimizer, { params: two(), learningRate: 1 }),
      "compileOptimizer: `optimizer` must be an optimizer, got function; call its constructor, as in adam()",
    ],
    [
      () => chain(adam(), undefined as unknown as Optimizer),
      "chain: stage 2 must be an optimizer, got undefined",
    ],
    [() => adam({ b1: "0.9" as unknown as number }), 'adam: `b1` must be in [0, 1), got "0.9"'],
    [
      () => fastAdaBelief({ max: "false" as unknown as boolean }),
      'fastAdaBelief: `max` must be true or false, got "false"',
    ],
    [
      () =>
        compileOptimizer(adam(), {
          params: { w: two().dense.bias, b: { shape: [2], data: [1, 2] } } as unknown as Tree,
          learningRate: 1,
        }),
      'flatten: "b" must be a leaf { shape, data } with a typed array, or a record of such, got { data: Array of 2 }; wrap or rename it',
    ],
    [
      () => compileOptimizer(adam(), { params: null as unknown as Tree, learningRate: 1 }),
      "flatten: a tree must be a record of leaves { shape, data }, got null; pass model parameters",
    ],
    [
      () =>
        defineOptimizer("own", { lr: perTensor() }, ({ g }) => ({
          update: g,
          next: { lr: g },
        })),
      'defineOptimizer: state keys of "own" must not be names that programs give other things, got "lr"; rename it',
    ],
    [
      () =>
        compileOptimizer(adam(), { params: two(), learningRate: 1 }).step({
          "dense/bias": "ab" as unknown as Float32Array,
        }),
      'step: the gradient of leaf "dense/bias" must be a Float32Array or Float64Array, got "ab"; convert it',
    ],
    [
      () => compileOptimizer(adam(), { params: two(), learningRate: -1 }),
      "step: the learning rate of step 1 must be finite and at least 0, got -1",
    ],
    [
      () => compileOptimizer(adam({ b1: 1.2 }), { params: two(), learningRate: 1 }),
      "adam: `b1` must be in [0, 1), got 1.2",
    ],
    [() => adashift({ n: 2, window: 3 }), "adashift: `window` must be at most `n`, got 3"],
    [() => adai({ eps: 0 }), "adai: `eps` must be in (0, 1], got 0"],
    [
      () => sgd({ nesterov: true }),
      'sgd: `nesterov` needs `momentum` above 0 and `dampening` 0, got "momentum 0, dampening 0"',
    ],
  ])("says in one sentence what is wrong: %#", (act, message) => {
    expect(act).toThrow(message);
  });

  it("heals every element's window, however leaves take turns", () => {
    const leaf = () => ({ shape: [512], data: new Float32Array(512) });
    const optimizer = compileOptimizer(adashift({ n: 5, b1: 1, phi: "none" }), {
      params: { a: leaf(), b: leaf() },
      learningRate: 0,
    });
    for (let t = 0; t < 900; t++) {
      const g = new Float32Array(512).fill(t === 10 ? 1e8 : 0.3);
      const turns = t % 2 === 0 ? [{ a: g, b: g }] : [{ a: g }, { b: g }];
      turns.forEach((gradients) => optimizer.step(gradients));
    }
    for (const { arrays } of Object.values(optimizer.save().leaves)) {
      for (const value of arrays.window0?.[0] ?? []) {
        // 5 · 0.3 after some roundings: a window that did not heal is off by 0.3.
        expect(value).toBeCloseTo(1.5, 5);
      }
    }
  });

  it("keeps Adai finite in float32 where gradients are tiny and one is zero", () => {
    const x = { shape: [3], data: Float32Array.of(1, 1, 1) };
    const optimizer = compileOptimizer(adai(), { params: { x }, learningRate: 0.5 });
    for (const size of [1e-3, 1e-12, 1e-19, 1e-20, 1e-21, 1e-22, 1e-23]) {
      for (let t = 0; t < 40; t++) {
        optimizer.step({ x: Float32Array.of(size, 3 * size, 0) });
      }
    }
    expect(Array.from(optimizer.params.x?.data ?? []).every(Number.isFinite)).toBe(true);
    expect(optimizer.params.x?.data[2]).toBe(1);
  });

  it("takes leaves by names that objects have too", () => {
    const params = { constructor: { shape: [1], data: Float32Array.of(1) }, x: two().dense.bias };
    const optimizer = compileOptimizer(sgd(), { params, learningRate: 1 });
    optimizer.step({ x: Float32Array.of(1, 1) });
    const [untouched] = Object.values(optimizer.save().leaves);
    expect([untouched?.count, untouched?.params[0]]).toEqual([0, 1]);
  });

  it("skips a leaf whose gradient is null", () => {
    const optimizer = compileOptimizer(sgd(), { params: two(), learningRate: 1 });
    optimizer.step({ "dense/kernel": null, "dense/bias": Float32Array.of(1, 1) });
    expect(optimizer.save().leaves["dense/kernel"]?.count).toBe(0);
    expect(optimizer.params["dense/bias"]?.data).toEqual(Float32Array.of(4, 5));
  });

  it("refuses a schedule that returns NaN before anything changes", () => {
    const optimizer = compileOptimizer(sgd(), {
      params: two(),
      learningRate: (count) => (count === 1 ? Number.NaN : 1),
    });
    optimizer.step({ "dense/bias": Float32Array.of(1, 1) });
    expect(() => optimizer.step({ "dense/bias": Float32Array.of(1, 1) })).toThrow(
      "step: the learning rate of step 2 must be finite and at least 0, got NaN",
    );
    expect(optimizer.params["dense/bias"]?.data).toEqual(Float32Array.of(4, 5));
  });

  it("refuses state of another optimizer, dtype or shape and stays as it was", () => {
    const optimizer = compileOptimizer(adam(), { params: two(), learningRate: 0.1 });
    optimizer.step({ "dense/bias": Float32Array.of(1, 1) });
    const before = JSON.stringify(optimizer.save());
    const other = compileOptimizer(sgd(), { params: two(), learningRate: 0.1 }).save();
    const wide = compileOptimizer(adam(), { params: two(), learningRate: 0.1, dtype: "float64" });
    const small = compileOptimizer(adam(), {
      params: {
        dense: { kernel: { shape: [4], data: new Float32Array(4) }, bias: two().dense.bias },
      },
      learningRate: 0.1,
    });
    expect(() => optimizer.load(other)).toThrow('load: state.optimizer must be "adam", got "sgd"');
    expect(() => optimizer.load(wide.save())).toThrow(
      'load: state.dtype must be "float32", got "float64"',
    );
    expect(() => optimizer.load(small.save())).toThrow(
      "load: state.leaves.dense/kernel.shape.0 must be 2, got 4",
    );
    const own = optimizer.save();
    const leaf = own.leaves["dense/bias"] as (typeof own)["leaves"][string];
    const withLeaf = (part: object) => ({
      ...own,
      leaves: { ...own.leaves, "dense/bias": { ...leaf, ...part } },
    });
    for (const [broken, message] of [
      [null, "load: state must be what `save` returns, got null"],
      [{ ...own, leaves: undefined }, "load: state.leaves must be a record, got undefined"],
      [
        { ...own, leaves: { ...own.leaves, extra: leaf } },
        "load: state.leaves.extra must be absent, got Object",
      ],
      [
        withLeaf({ params: ["x", null] }),
        "state.leaves.dense/bias.params must be 2 numbers, got Array of 2",
      ],
      [
        withLeaf({ arrays: { mu: [new BigInt64Array(2)], nu: leaf.arrays.nu } }),
        "state.leaves.dense/bias.arrays.mu.0 must be 2 numbers, got BigInt64Array of 2",
      ],
      [
        withLeaf({ arrays: { ...leaf.arrays, more: [] } }),
        "state.leaves.dense/bias.arrays.more must be absent, got Array of 0",
      ],
      [
        withLeaf({ count: 7 }),
        "state.leaves.dense/bias.count must be a natural number up to 1, got 7",
      ],
      [withLeaf({ queues: [null] }), "state.leaves.dense/bias.queues.0 must be absent, got null"],
    ] as const) {
      expect(() => optimizer.load(broken as unknown as typeof own)).toThrow(message);
    }
    expect(JSON.stringify(optimizer.save())).toBe(before);
    expect(() => optimizer.step({ "dense/kernel": new Float32Array(1) })).toThrow(
      ShapeMismatchError,
    );
  });
});
