import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { mulberry32 } from "../random.ts";
import { accumulate } from "../transforms/accumulate.ts";
import { chain } from "../transforms/chain.ts";
import { adam } from "./adam.ts";
import { lion } from "./lion.ts";
import { type MuonOptions, muon } from "./muon.ts";
import { scheduleFreeAdamW } from "./scheduleFree.ts";
import { sgd } from "./sgd.ts";

const SHAPES = { "head/kernel": [6, 3], "head/bias": [3], "hidden/kernel": [5, 6] } as const;

describe("muon", () => {
  it("moves every matrix by the same RMS, whatever the size of its gradient", () => {
    const compiled = compile({ rms: 0.2 });
    const before = Object.entries(compiled.params).map(
      ([path, leaf]) => [path, leaf.data.slice()] as const,
    );
    compiled.step(gradients(1, 1e-6));
    for (const [path, start] of before) {
      const moved = Array.from(
        compiled.params[path]?.data ?? [],
        (x, i) => x - (start[i] as number),
      );
      const rms = Math.sqrt(moved.reduce((sum, x) => sum + x * x, 0) / moved.length);
      if (path !== "head/bias") {
        // 0.2 times the rate, times singular values that five iterations bring to between 0.68 and 1.13.
        expect(rms).toBeGreaterThan(0.01 * 0.2 * 0.65);
        expect(rms).toBeLessThan(0.01 * 0.2 * 1.2);
      }
    }
  });

  it("takes the last axis for outputs with optax, the first with torch", () => {
    const moved = (
      convention: "optax" | "torch",
      path: "head/kernel" | "hidden/kernel",
    ): number => {
      const compiled = compile({ convention, nesterov: false, weightDecay: 0, eps: 1e-12 });
      const before = compiled.params[path]?.data.slice() ?? [];
      compiled.step(gradients(2));
      return Math.hypot(
        ...(compiled.params[path]?.data.map((x, i) => x - (before[i] as number)) ?? []),
      );
    };
    // 6 × 3 and 5 × 6: s is √(outputs/inputs), at least 1.
    expect(moved("torch", "head/kernel") / moved("optax", "head/kernel")).toBeCloseTo(
      Math.sqrt(2),
      5,
    );
    expect(moved("optax", "hidden/kernel") / moved("torch", "hidden/kernel")).toBeCloseTo(
      Math.sqrt(6 / 5),
      5,
    );
  });

  it("gives other leaves to the auxiliary optimizer, at its own rate", () => {
    const compiled = compile({ auxiliary: sgd(), auxiliaryScale: 0.5 });
    const before = compiled.params["head/bias"]?.data.slice() ?? [];
    const given = gradients(3);
    compiled.step(given);
    compiled.params["head/bias"]?.data.forEach((x, i) => {
      expect(x).toBe(
        Math.fround(
          (before[i] as number) -
            Math.fround(Math.fround(0.005) * (given["head/bias"]?.[i] as number)),
        ),
      );
    });
    compiled.set({ auxiliaryScale: 0 });
    const still = compiled.params["head/bias"]?.data.slice();
    compiled.step(given);
    expect(compiled.params["head/bias"]?.data).toEqual(still);
  });

  it("takes the leaves of a mask for matrices", () => {
    const compiled = compile({ mask: "hidden/**", auxiliary: adam() });
    const { leaves } = compiled.save();
    expect(Object.keys(leaves["hidden/kernel"]?.arrays ?? {})).toEqual(["mu"]);
    expect(Object.keys(leaves["head/kernel"]?.arrays ?? {})).toEqual(["mu", "nu"]);
    expect(() => compile({ mask: "hiden/**" })).toThrow(
      'muon: `mask` must take at least one leaf, got "hiden/**"; leaves are head/kernel, head/bias, hidden/kernel',
    );
  });

  it("is a plain Adam where there is no matrix", () => {
    const params = { bias: { shape: [4], data: new Float32Array(4) } };
    const options = { params, learningRate: 0.01 };
    const [whole, alone] = [muon({ auxiliary: adam() }), adam()].map((optimizer) => {
      const compiled = compileOptimizer(optimizer, options);
      compiled.step({ bias: Float32Array.of(1, -2, 0, 3) });
      return compiled.params.bias?.data;
    });
    expect(whole).toEqual(alone);
  });

  it("keeps the parameters to evaluate with of its auxiliary optimizer", () => {
    const compiled = compile({ auxiliary: scheduleFreeAdamW() });
    compiled.step(gradients(4));
    compiled.step(gradients(5));
    const evaluated = compiled.evaluationParams();
    expect(evaluated["hidden/kernel"]?.data).toEqual(compiled.params["hidden/kernel"]?.data);
    expect(evaluated["head/bias"]?.data).not.toEqual(compiled.params["head/bias"]?.data);
  });

  it("tells hyperparameters of its own from those of the auxiliary optimizer", () => {
    const optimizer = muon({ auxiliary: sgd({ momentum: 0.8 }), weightDecay: 0.1 });
    expect(Object.keys(optimizer.hyperparameters ?? {})).toEqual(
      expect.arrayContaining(["momentum", "2.momentum", "weightDecay", "auxiliaryScale"]),
    );
    const nested = muon({
      mask: "hidden/kernel",
      auxiliaryScale: 0.5,
      auxiliary: muon({ mask: "head/kernel", auxiliary: sgd(), auxiliaryScale: 0.25 }),
    });
    const compiled = compileOptimizer(nested, { params: params(), learningRate: 0.01 });
    const { auxiliaryScale, "2.auxiliaryScale": inner } = compiled.hyperparameters;
    expect(new Set([auxiliaryScale, inner])).toEqual(new Set([0.25, 0.5]));
    const before = compiled.params["head/bias"]?.data.slice() ?? [];
    const given = gradients(6);
    compiled.step(given);
    compiled.params["head/bias"]?.data.forEach((x, i) => {
      const moved = (given["head/bias"]?.[i] as number) * 0.01 * 0.5 * 0.25;
      // A number of order 1 in float32.
      expect(Math.abs(x - (before[i] as number) + moved)).toBeLessThan(4 * 2 ** -24);
    });
  });

  it.each<[MuonOptions, string]>([
    [{ momentum: 1 }, "momentum"],
    [{ nsSteps: 0 }, "muon: `nsSteps` must be an integer of at least 1, got 0"],
    [{ nsSteps: 2.5 }, "nsSteps"],
    [{ nsCoefficients: [1, 2] as never }, "muon: `nsCoefficients` must be three numbers, got"],
    [{ eps: 0 }, "eps"],
    [{ weightDecay: -1 }, "weightDecay"],
    [{ rms: 0 }, "rms"],
    [{ auxiliaryScale: -0.5 }, "auxiliaryScale"],
    [{ nesterov: 1 as never }, "nesterov"],
    [{ convention: "paper" as never }, "convention"],
    [
      { auxiliary: accumulate(2, adam()) },
      "muon: `auxiliary` must take its steps in one call, got",
    ],
    [{ auxiliary: lion as never }, "muon: `auxiliary` must be an optimizer, got function"],
  ])("refuses %j", (options, message) => {
    expect(() => muon(options)).toThrow(message);
  });

  it("stands in a chain", () => {
    const compiled = compileOptimizer(chain(muon(), sgd()), {
      params: params(),
      learningRate: 0.1,
    });
    expect(compiled.step(gradients(1)).status).toBe("stepped");
  });
});

function params() {
  return Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape], i) => [path, { shape, data: draw(shape, i) }]),
  );
}

function compile(options: MuonOptions) {
  return compileOptimizer(muon(options), { params: params(), learningRate: 0.01 });
}

function gradients(seed: number, scale = 1): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape], i) => [
      path,
      draw(shape, 10 * seed + i).map((x) => scale * x),
    ]),
  );
}

function draw(shape: readonly number[], seed: number): Float32Array {
  const random = mulberry32(seed);
  return Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
}
