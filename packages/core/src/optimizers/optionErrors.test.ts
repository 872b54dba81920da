import { expect, it } from "vitest";
import type { Optimizer } from "../optimizer.ts";
import { adabelief } from "./adabelief.ts";
import { adabound } from "./adabound.ts";
import { adagrad } from "./adagrad.ts";
import { adamnc } from "./adamnc.ts";
import { nadam } from "./nadam.ts";
import { padam } from "./padam.ts";
import { radam } from "./radam.ts";
import { rmsprop } from "./rmsprop.ts";
import { yogi } from "./yogi.ts";

/** Constructors as a caller without types sees them. */
const CONSTRUCTORS = {
  adabelief,
  adabound,
  adagrad,
  adamnc,
  nadam,
  padam,
  radam,
  rmsprop,
  yogi,
} as Readonly<Record<string, (options: Readonly<Record<string, unknown>>) => Optimizer>>;

const DECAY = "must be in [0, 1)";
const NON_NEGATIVE = "must be finite and at least 0";
const POSITIVE = "must be finite and greater than 0";
const FLAG = "must be true or false";
const CONVENTION = 'must be one of "torch", "optax"';

/** By optimizer and option: what the message says is expected, and a value that is not. */
const REFUSED: readonly (readonly [string, string, string, unknown])[] = [
  ...["nadam", "radam", "adabelief", "yogi", "adabound", "padam"].flatMap(
    (name) =>
      [
        [name, "b1", DECAY, 1],
        [name, "b2", DECAY, -0.1],
        [name, "b2", DECAY, Number.NaN],
        [name, "eps", NON_NEGATIVE, -1e-8],
        [name, "eps", NON_NEGATIVE, Number.POSITIVE_INFINITY],
        [name, "weightDecay", NON_NEGATIVE, -0.01],
        [name, "decoupled", FLAG, "yes"],
      ] as const,
  ),
  ["adagrad", "eps", NON_NEGATIVE, -1],
  ["adagrad", "learningRateDecay", NON_NEGATIVE, -1],
  ["adagrad", "initialAccumulator", NON_NEGATIVE, Number.NaN],
  ["adagrad", "convention", CONVENTION, "keras"],
  ["adagrad", "weightDecay", NON_NEGATIVE, "0.1"],
  ["rmsprop", "decay", DECAY, 1],
  ["rmsprop", "eps", NON_NEGATIVE, -1],
  ["rmsprop", "momentum", NON_NEGATIVE, -0.5],
  ["rmsprop", "centered", FLAG, 1],
  ["rmsprop", "convention", CONVENTION, "tf"],
  ["rmsprop", "decoupled", FLAG, 0],
  ["nadam", "momentumDecay", NON_NEGATIVE, -0.004],
  ["nadam", "convention", CONVENTION, null],
  ["radam", "convention", CONVENTION, "paper"],
  ["adabelief", "epsRoot", NON_NEGATIVE, -1],
  ["yogi", "initialAccumulator", NON_NEGATIVE, -1e-6],
  ["adabound", "finalLearningRate", NON_NEGATIVE, -0.1],
  ["adabound", "gamma", POSITIVE, 0],
  ["adabound", "initialLearningRate", POSITIVE, 0],
  ["padam", "partial", "must be in [0, 0.5]", 0.6],
  ["padam", "partial", "must be in [0, 0.5]", "0.25"],
  ["padam", "max", FLAG, "true"],
  ["adamnc", "b1", DECAY, 1],
  ["adamnc", "eps", NON_NEGATIVE, -1],
  ["adamnc", "schedule", 'must be one of "1/sqrt(t)", "constant"', "1/t"],
  ["adamnc", "weightDecay", NON_NEGATIVE, -1],
];

it.each(REFUSED)(
  "%s refuses `%s` that does not hold: %s, got %o",
  (name, option, expected, value) => {
    const shown = typeof value === "string" ? `"${value}"` : String(value);
    const build = (): unknown => CONSTRUCTORS[name]?.({ [option]: value });
    expect(build).toThrow(RangeError);
    expect(build).toThrow(new RangeError(`${name}: \`${option}\` ${expected}, got ${shown}`));
  },
);

it("nadam refuses the torch convention's `momentumDecay` in the optax convention", () => {
  expect(() => nadam({ convention: "optax", momentumDecay: 0.004 })).toThrow(
    new RangeError('nadam: `momentumDecay` needs convention "torch", got 0.004; leave it out'),
  );
});
