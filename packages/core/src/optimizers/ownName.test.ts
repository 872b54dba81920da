import { expect, it } from "vitest";
import * as core from "../index.ts";
import type { Optimizer } from "../optimizer.ts";
import { CATALOGUE } from "../testCatalogue.ts";

type Construct = (options: object) => unknown;

/** Names in the catalogue of those that take no options. */
const WITHOUT = [
  "accumulate",
  "clipByGlobalNorm",
  "clipByTensorNorm",
  "clipByValue",
  "group",
  "polyak",
];

/** Constructors that take options, those around an optimizer with one inside. */
const CONSTRUCTORS: readonly (readonly [string, Construct])[] = [
  ...Object.entries(core).flatMap(([name, exported]) => {
    const construct = exported as Construct;
    const takesOptions = isOptimizer(made(construct, {})) && !WITHOUT.includes(name);
    return takesOptions ? [[name, construct] as const] : [];
  }),
  ["cprop", (options) => core.cprop(core.adam(), options)],
  ["lookahead", (options) => core.lookahead(core.adam(), options)],
  ["sam", (options) => core.sam(core.sgd(), options)],
  ["ema", (options) => core.ema(0.9, options)],
  ["swa", (options) => core.swa({ start: 1, ...options })],
  ["l2", (options) => core.l2(0.1, options)],
  ["decoupledWeightDecay", (options) => core.decoupledWeightDecay(0.1, options)],
];

/** Every option that some constructor has. */
const OPTIONS =
  "adaptive alpha amsgrad auxiliary auxiliaryScale b0 b1 b2 b3 ball ballOver beta box c cdf centered clipping clippingThreshold convention d0 dCoef dampening debias decay decoupled delta eps epsRoot eta etaMinus etaPlus every finalLearningRate gamma gate growthRate history initialAccumulator initialLearningRate innerEps learningRateDecay mask max maxStepSize minFactored minScale minStepSize momentum momentumDecay n nesterov nsCoefficients nsSteps partial phi r relativeStep rho rms safeguardWarmup scaleByParameter schedule start steps trustCoefficient units useBiasCorrection warmup warmupSteps weightDecay weightLrPower window".split(
    " ",
  );

const WRONG: readonly unknown[] = [-1, 2, Number.NaN, "nonsense"];

it.each(CONSTRUCTORS)(
  "%s names itself in the error for every option that it refuses",
  (name, construct) => {
    const errors = OPTIONS.flatMap((option) =>
      WRONG.map((value) => made(construct, { [option]: value })).filter(
        (result) => result instanceof Error,
      ),
    );
    expect(errors.length).toBeGreaterThan(0);
    for (const error of errors) {
      expect(error.message).toMatch(new RegExp(`^${name}: \``));
    }
  },
);

it("every optimizer and transform of the catalogue is among them", () => {
  const known = new Set([...CONSTRUCTORS.map(([name]) => name), ...WITHOUT]);
  const named = CATALOGUE.flatMap(([, { name }]) => name.match(/[a-z]\w*/gi) ?? []);
  expect(named.filter((name) => !known.has(name))).toEqual([]);
});

/** What a constructor makes, or the error that it throws. */
function made(construct: Construct, options: object): unknown {
  try {
    return construct(options);
  } catch (error) {
    return error;
  }
}

function isOptimizer(value: unknown): value is Optimizer {
  return typeof value === "object" && value !== null && "step" in value && "state" in value;
}
