import { expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { add, mul, neg } from "../expr/build.ts";
import { defineOptimizer, perElement, share } from "../optimizer.ts";
import { cprop } from "./cprop.ts";

it("cprop tells its keys from state and hyperparameters of the inner optimizer", () => {
  /** Momentum under names that cprop gives other things. */
  const momentum = (average: string, keep: string) =>
    defineOptimizer(
      "momentum",
      { [average]: perElement() },
      { [keep]: share(0.5) },
      ({ g, lr, ...named }) => {
        const inputs = named as Readonly<Record<string, typeof g>>;
        const m = add(mul(inputs[keep] as typeof g, inputs[average] as typeof g), g);
        return { update: neg(mul(lr, m)), next: { [average]: m } };
      },
    );
  const trained = (average: string, keep: string) => {
    const optimizer = cprop(momentum(average, keep));
    const params = { x: { shape: [2], data: Float32Array.of(1, -2) } };
    const compiled = compileOptimizer(optimizer, { params, learningRate: 0.1 });
    for (const g of [1, 0.5, -2, 3]) {
      compiled.step({ x: Float32Array.of(g, 2 - g) });
    }
    return { optimizer, params: Array.from(compiled.params.x?.data ?? []) };
  };
  const expected = trained("m", "keep").params;
  for (const [average, keep] of [
    ["c", "meanGradient"],
    ["beta", "meanSquare"],
    ["meanSquare", "c"],
  ] as const) {
    const { optimizer, params } = trained(average, keep);
    expect(params).toEqual(expected);
    const keys = [...Object.keys(optimizer.state), ...Object.keys(optimizer.hyperparameters ?? {})];
    expect(new Set(keys).size).toBe(6);
  }
});
