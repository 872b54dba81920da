import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { adam } from "../optimizers/adam.ts";
import { fastAdaBelief } from "../optimizers/fastAdaBelief.ts";
import { sgd } from "../optimizers/sgd.ts";
import { draws } from "../optimizers/testSteps.ts";
import { mulberry32 } from "../random.ts";
import { ema, polyak, swa } from "./averages.ts";
import { chain } from "./chain.ts";
import { decoupledWeightDecay } from "./weightDecay.ts";

const START = [1, -2, 0.5];

function bind(optimizer: Optimizer) {
  const params = { x: { shape: [START.length], data: Float64Array.from(START) } };
  return compileOptimizer(optimizer, { params, learningRate: 0.1, dtype: "float64" });
}

/** The parameters and those to evaluate with: before the first step, and after each. */
function run(optimizer: Optimizer, steps = 8): { x: number[][]; evaluated: number[][] } {
  const compiled = bind(optimizer);
  const [x, evaluated]: number[][][] = [[], []];
  for (const g of [undefined, ...draws(mulberry32(1), steps, START.length)]) {
    if (g !== undefined) {
      compiled.step({ x: Float64Array.from(g) });
    }
    x?.push(Array.from(compiled.params.x?.data ?? []));
    evaluated?.push(Array.from(compiled.evaluationParams().x?.data ?? []));
  }
  return { x: x ?? [], evaluated: evaluated ?? [] };
}

function expectClose(got: readonly number[] | undefined, expected: readonly number[]): void {
  expected.forEach((value, i) => {
    // Rounding of a few averages of numbers up to 3.
    expect(got?.[i]).toBeCloseTo(value, 13);
  });
}

const mean = (points: readonly number[][]): number[] =>
  START.map((_, i) => points.reduce((sum, x) => sum + (x[i] as number), 0) / points.length);

describe("averages", () => {
  it.each<[string, Optimizer]>([
    ["adam", adam()],
    ["decoupled decay", chain(adam(), decoupledWeightDecay(0.3))],
    ["a projection", fastAdaBelief({ box: 1, schedule: "constant" })],
  ])("watch the parameters after the step, and change none: %s", (_, inner) => {
    const plain = run(inner);
    const { x, evaluated } = run(chain(inner, ema(0)));
    expect(x).toEqual(plain.x);
    evaluated.forEach((average, t) => {
      expectClose(average, x[t] as number[]);
    });
  });

  it("ema starts at the parameters and moves by 1 − decay", () => {
    const { x, evaluated } = run(chain(sgd(), ema(0.75)));
    let expected = START;
    x.forEach((point, t) => {
      expected =
        t === 0 ? expected : expected.map((a, i) => 0.75 * a + 0.25 * (point[i] as number));
      expectClose(evaluated[t], expected);
    });
  });

  it("ema debiased is the weighted mean of the iterates alone, also after a change of decay", () => {
    const compiled = bind(chain(sgd(), ema(0.75, { debias: true })));
    expect(Array.from(compiled.evaluationParams().x?.data ?? [])).toEqual(START);
    let [sum, weight] = [START.map(() => 0), 0];
    draws(mulberry32(1), 6, START.length).forEach((g, step) => {
      const decay = step < 3 ? 0.75 : 0.5;
      compiled.set({ decay });
      compiled.step({ x: Float64Array.from(g) });
      sum = sum.map((a, i) => decay * a + (1 - decay) * (compiled.params.x?.data[i] as number));
      weight = decay * weight + 1 - decay;
      expectClose(
        Array.from(compiled.evaluationParams().x?.data ?? []),
        sum.map((a) => a / weight),
      );
    });
  });

  it("polyak is the mean of all iterates after the start", () => {
    const { x, evaluated } = run(chain(sgd(), polyak()));
    expect(evaluated[0]).toEqual(START);
    for (let t = 1; t < x.length; t++) {
      expectClose(evaluated[t], mean(x.slice(1, t + 1)));
    }
  });

  it("swa is the mean of every c-th iterate from the start on, and before it the parameters", () => {
    const { x, evaluated } = run(chain(sgd(), swa({ start: 3, every: 2 })), 10);
    for (let t = 0; t < x.length; t++) {
      const counted = x.filter((_, step) => step >= 3 && step <= t && (step - 3) % 2 === 0);
      expectClose(evaluated[t], counted.length === 0 ? (x[t] as number[]) : mean(counted));
    }
  });

  it("come back as copies", () => {
    const compiled = bind(chain(sgd(), ema(0.5)));
    compiled.evaluationParams().x?.data.fill(9);
    expect(Array.from(compiled.evaluationParams().x?.data ?? [])).toEqual(START);
  });

  it("refuse what does not hold", () => {
    expect(() => ema(1)).toThrow(new RangeError("ema: `decay` must be in [0, 1), got 1"));
    expect(() => ema(0.9, { debias: "yes" as unknown as boolean })).toThrow(
      new RangeError('ema: `debias` must be true or false, got "yes"'),
    );
    expect(() => swa({ start: 0 })).toThrow(
      new RangeError("swa: `start` must be an integer of at least 1, got 0"),
    );
    expect(() => swa({ start: 1, every: 0.5 })).toThrow(
      new RangeError("swa: `every` must be an integer of at least 1, got 0.5"),
    );
  });
});
