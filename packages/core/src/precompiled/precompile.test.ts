import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { adam as plainAdam, adamw as plainAdamw } from "../optimizers/adam.ts";
import { adashift as plainAdashift } from "../optimizers/adashift.ts";
import { sgd } from "../optimizers/sgd.ts";
import { mulberry32 } from "../random.ts";
import type { LeafState, OptimizerState } from "../state.ts";
import { PRECOMPILED as ADAM } from "./adam.data.ts";
import { adam } from "./adam.ts";
import { PRECOMPILED as ADAMW } from "./adamw.data.ts";
import { adamw } from "./adamw.ts";
import { PRECOMPILED as ADASHIFT } from "./adashift.data.ts";
import { adashift } from "./adashift.ts";
import { PRECOMPILED as MOMENTUM } from "./momentum.data.ts";
import { momentum } from "./momentum.ts";
import { PRECOMPILED, precompile } from "./precompile.ts";

const params = () => ({
  kernel: { shape: [5, 7], data: Float32Array.from({ length: 35 }, (_, i) => Math.sin(i)) },
  bias: { shape: [7], data: new Float32Array(7).fill(0.5) },
});
const bound = { params: params(), learningRate: 0.01 };
const compiled = { ...bound, backend: "wasm" } as const;

describe("precompiled optimizers", () => {
  it("are what the compiler makes of them today; run scripts/precompile.mjs where they are not", () => {
    const stored = { adam: ADAM, adamw: ADAMW, adashift: ADASHIFT, momentum: MOMENTUM };
    expect(Object.keys(stored)).toEqual(Object.keys(PRECOMPILED));
    for (const [name, each] of Object.entries(stored)) {
      const optimizer = (PRECOMPILED[name] as () => ReturnType<typeof plainAdam>)();
      expect(each).toEqual(precompile(optimizer));
    }
  });

  it.each([
    ["adam", () => adam({ ...bound, b1: 0.8 }), plainAdam({ b1: 0.8 })],
    ["adamw", () => adamw({ ...bound, weightDecay: 0.1 }), plainAdamw({ weightDecay: 0.1 })],
    ["adashift", () => adashift({ ...bound, b2: 0.99 }), plainAdashift({ b2: 0.99 })],
    ["momentum", () => momentum({ ...bound, momentum: 0.7 }), sgd({ momentum: 0.7 })],
  ] as const)(
    "%s gives the same bits as the compiled one, state and resume included",
    (_, bind, optimizer) => {
      const [small, whole] = [bind(), compileOptimizer(optimizer, compiled)];
      const random = mulberry32(3);
      for (let t = 0; t < 30; t++) {
        const gradient = () => Float32Array.from({ length: 35 }, () => random.normal());
        const gradients = { kernel: gradient(), bias: gradient().slice(0, 7) };
        small.step(gradients);
        whole.step(gradients);
      }
      expect(small.save()).toEqual(whole.save());
      const resumed = bind();
      resumed.load(whole.save());
      expect(resumed.save()).toEqual(whole.save());
    },
  );

  it("refuse a state that is not theirs, and stay as they were", () => {
    const optimizer = adam(bound);
    optimizer.step();
    const own = optimizer.save();
    const { kernel, bias } = own.leaves as Record<"kernel" | "bias", LeafState>;
    const withBias = (part: object) => ({
      ...own,
      leaves: { kernel, bias: { ...bias, ...part } },
    });
    for (const wrong of [
      null,
      {},
      adamw(bound).save(),
      adam({ ...bound, params: { ...params(), extra: params().bias } }).save(),
      { ...own, dtype: "float64" },
      { ...own, count: -1 },
      { ...own, phase: 1 },
      { ...own, hyperparameters: { ...own.hyperparameters, b1: "0.9" } },
      { ...own, leaves: { kernel } },
      { ...own, leaves: undefined },
      withBias({ count: 2 }),
      withBias({ shape: [7, 1] }),
      withBias({ params: new Float32Array(6) }),
      withBias({ params: Array.from(bias.params) }),
      withBias({ arrays: { mu: bias.arrays["mu"] } }),
      withBias({ arrays: { ...bias.arrays, nu: [] } }),
      withBias({ queues: [null] }),
    ]) {
      expect(() => optimizer.load(wrong as unknown as OptimizerState)).toThrow(
        'load: state must be what "adam" saved for these parameters, got another; `load` of compileOptimizer says what differs',
      );
    }
    const broken = { ...own, hyperparameters: { ...own.hyperparameters, b1: 2 } };
    expect(() => optimizer.load(broken)).toThrow("load: `b1` must be in [0, 1), got 2");
    expect(optimizer.save()).toEqual(own);
  });

  it("refuse bad options in one sentence", () => {
    expect(() => adam({ ...bound, b1: 1 })).toThrow("adam: `b1` must be in [0, 1), got 1");
    expect(() => adamw({ ...bound, weightDecay: -1 })).toThrow(
      "adamw: `weightDecay` must be finite and at least 0, got -1",
    );
    expect(() => adam({ ...bound, params: {} })).toThrow(
      "adam: `params` must hold at least one leaf { shape, data }, got none; pass model parameters",
    );
  });
});
