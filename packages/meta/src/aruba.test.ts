import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ArubaOptions, aruba } from "./aruba.ts";
import { localTraining } from "./localTraining.ts";
import { metaLearner } from "./metaLearner.ts";
import { bowl, bowls, list, vector } from "./testTasks.ts";
import { collectingSgd } from "./withinTask.ts";

const float64 = { dtype: "float64" } as const;

describe("a toy of two coordinates, one of which is the same in every task", () => {
  it("has the published rates after 1, 10, 50 and 200 tasks", async () => {
    const random = mulberry32(5);
    const params = vector(0, 0);
    const learner = metaLearner({
      name: "toy",
      params,
      metaStep: 0.1,
      aruba: { eps: 0.1 },
      ...float64,
    });
    const training = localTraining({
      params,
      gradients: bowls(),
      optimizer: collectingSgd(),
      batches: { batchSize: 1, steps: 10 },
      ...float64,
    });
    const rates: Record<number, string[]> = {};
    for (let task = 1; task <= 200; task++) {
      const star = [0.5, 4 * (random.next() - 0.5)];
      const noise = () => [0.2 * (random.next() - 0.5), 0.2 * (random.next() - 0.5)];
      await learner.run([training.client(bowl(star, 1, noise), mulberry32(0))]);
      rates[task] = list(learner.aruba?.rates ?? {}).map((rate) => rate.toFixed(5));
    }
    expect([rates[1], rates[10], rates[50], rates[200]]).toEqual([
      ["0.16137", "0.17864"],
      ["0.26578", "0.38955"],
      ["0.24524", "0.55271"],
      ["0.19932", "0.61096"],
    ]);
    expect(list(learner.params)[0]?.toFixed(3)).toBe("0.506");
  });
});

/** Observes tasks of two elements, each given as movement and square of each. */
function after(options: ArubaOptions, tasks: readonly (readonly number[])[]) {
  const learner = aruba(vector(0, 0), options, float64);
  for (const [a = 0, b = 0, ga = 0, gb = 0] of tasks) {
    learner.observe(vector(0, 0), {
      params: vector(a, b),
      squares: vector(ga, gb),
      lastSquare: vector(ga / 4, gb / 4),
    });
    learner.refresh();
  }
  return learner;
}

const task = fc.tuple(
  fc.double({ min: -3, max: 3, noNaN: true }),
  fc.double({ min: -3, max: 3, noNaN: true }),
  fc.double({ min: 0, max: 9, noNaN: true }),
  fc.double({ min: 0, max: 9, noNaN: true }),
);

describe("aruba", () => {
  it("begins at ε/ζ, and `learningRate` sets it whatever ε says", () => {
    expect(list(aruba(vector(0), { eps: 3, zeta: 2 }, float64).rates)).toEqual([1.5]);
    expect(list(aruba(vector(0), { learningRate: 0.5, eps: 3, zeta: 2 }, float64).rates)).toEqual([
      0.5,
    ]);
  });

  it("an element that never moved keeps the first rate", () => {
    const learner = after({ eps: 0.5, zeta: 2 }, [
      [0, 1, 0, 1],
      [0, -2, 0, 3],
    ]);
    // Sums of ε² and ζ² in the same shares: their ratio is ε²/ζ² up to rounding.
    expect(list(learner.rates)[0]).toBeCloseTo(0.25, 14);
  });

  it("a loss times c, with ζ times c, gives rates over c", () => {
    fc.assert(
      fc.property(
        fc.array(task, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(2, 0.25, 1024),
        (tasks, c) => {
          const scaled = tasks.map(([a, b, ga, gb]) => [a, b, ga * c * c, gb * c * c]);
          const [one, other] = [after({ zeta: 1 }, tasks), after({ zeta: c, eps: 1 }, scaled)];
          // Exact: c is a power of two.
          expect(list(other.rates)).toEqual(list(one.rates).map((rate) => rate / c));
        },
      ),
    );
  });

  it("one rate for all is √(ΣB/ΣG), and every element has it", () => {
    fc.assert(
      fc.property(fc.array(task, { minLength: 1, maxLength: 4 }), (tasks) => {
        const learner = after({ mode: "isotropic" }, tasks);
        const [[b0 = 0, b1 = 0], [g0 = 0, g1 = 0]] = [list(learner.b), list(learner.gsq)];
        const rate = Math.sqrt((b0 + b1) / (g0 + g1));
        expect(list(learner.rates)).toEqual([rate, rate]);
      }),
    );
  });

  it("the official decay differs from the clean one by the task's own squares alone, and only with decay", () => {
    const tasks = [
      [1, 2, 3, 4],
      [0.5, -1, 2, 8],
    ];
    const of = (options: ArubaOptions) => {
      const { b, gsq } = after(options, tasks);
      return [list(b), list(gsq)];
    };
    expect(of({ decayMode: "official" })).toEqual(of({ decayMode: "clean" }));
    const [official, clean] = [
      of({ decayMode: "official", decay: 0.1 }),
      of({ decayMode: "clean", decay: 0.1 }),
    ];
    expect(official[0]).toEqual(clean[0]);
    // Of the last task 0.1 of Σg² − g² = ¾ Σg², of the one before 0.9 of that.
    const less = [0.1 * 0.75 * (2 + 0.9 * 3), 0.1 * 0.75 * (8 + 0.9 * 4)];
    less.forEach((share, i) => {
      expect((clean[1]?.[i] ?? 0) - (official[1]?.[i] ?? 0)).toBeCloseTo(share, 13);
    });
  });

  it("trainWithSgd keeps the first rate, and learns for the preset", () => {
    const learner = after({ trainWithSgd: true, learningRate: 0.25 }, [[1, 2, 3, 4]]);
    expect(list(learner.rates)).toEqual([0.25, 0.25]);
    expect(list(learner.b)).not.toEqual([0.0625, 0.0625]);
  });

  it.each([
    [{ eps: 0 }, "aruba: `eps` must be finite and greater than 0, got 0"],
    [{ zeta: -1 }, "aruba: `zeta` must be finite and greater than 0, got -1"],
    [{ learningRate: 0 }, "aruba: `learningRate` must be finite and greater than 0, got 0"],
    [{ p: -1 }, "aruba: `p` must be finite and at least 0, got -1"],
    [{ decay: 1 }, "aruba: `decay` must be in [0, 1), got 1"],
    [{ mode: "each" }, 'aruba: `mode` must be one of "coordinate", "isotropic", got "each"'],
    [{ decayMode: "none" }, 'aruba: `decayMode` must be one of "clean", "official", got "none"'],
    [{ refreshEvery: "step" }, 'aruba: `refreshEvery` must be one of "task", "round", got "step"'],
  ])("refuses %j", (options, message) => {
    expect(() => aruba(vector(0), options as ArubaOptions)).toThrow(message);
  });

  it.each([
    [{ params: vector(Number.NaN, 0), squares: vector(0, 0) }, "`params` must be finite"],
    [{ params: vector(0, 0), squares: vector(0, 1 / 0) }, "`squares` must be finite"],
    [
      { params: vector(0), squares: vector(0, 0) },
      'leaf "theta" of `params` must have 2 numbers, got 1',
    ],
    [{ params: vector(0, 0) }, "a result must hold `squares`, got none"],
  ])("a result that is none changes nothing: %#", (result, message) => {
    const learner = after({}, [[1, 2, 3, 4]]);
    const before = learner.save();
    expect(() => learner.observe(vector(0, 0), result)).toThrow(message);
    expect(learner.save()).toEqual(before);
  });

  it("goes on from a saved state, and refuses one of another model", () => {
    const learner = after({}, [[1, 2, 3, 4]]);
    const copy = aruba(vector(0, 0), {}, float64);
    copy.load(learner.save());
    expect(copy.save()).toEqual(learner.save());
    const other = aruba(vector(0, 0, 0), {}, float64);
    expect(() => other.load(learner.save())).toThrow(
      'leaf "theta" of ARUBA\'s `b` must have 3 numbers',
    );
    const isotropic = aruba(vector(0, 0), { mode: "isotropic" }, float64);
    expect(() => isotropic.load(learner.save())).toThrow(
      'ARUBA\'s state must be of mode "isotropic", got "coordinate"',
    );
    expect([other.tasks, isotropic.tasks]).toEqual([0, 0]);
  });
});
