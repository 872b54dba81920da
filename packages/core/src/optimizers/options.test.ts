import { expect, it } from "vitest";
import { adadelta } from "./adadelta.ts";
import { adamax } from "./adamax.ts";
import { adan } from "./adan.ts";
import { lamb } from "./lamb.ts";
import { lars } from "./lars.ts";
import { lion } from "./lion.ts";
import { rprop } from "./rprop.ts";

const DECAY = "must be in [0, 1)";
const NON_NEGATIVE = "must be finite and at least 0";
const POSITIVE = "must be finite and greater than 0";

/** Constructor, options, and the sentence after the constructor's name. */
const REFUSED: readonly (readonly [
  construct: (options: never) => unknown,
  options: object,
  sentence: string,
])[] = [
  [lion, { b1: 1 }, `\`b1\` ${DECAY}, got 1`],
  [lion, { b2: Number.NaN }, `\`b2\` ${DECAY}, got NaN`],
  [lion, { weightDecay: -1 }, `\`weightDecay\` ${NON_NEGATIVE}, got -1`],
  [adamax, { b1: -0.1 }, `\`b1\` ${DECAY}, got -0.1`],
  [adamax, { b2: 1 }, `\`b2\` ${DECAY}, got 1`],
  [adamax, { eps: -1e-8 }, `\`eps\` ${NON_NEGATIVE}, got -1e-8`],
  [adamax, { weightDecay: Infinity }, `\`weightDecay\` ${NON_NEGATIVE}, got Infinity`],
  [adamax, { decoupled: 1 }, "`decoupled` must be true or false, got 1"],
  [adadelta, { rho: 1 }, `\`rho\` ${DECAY}, got 1`],
  [adadelta, { eps: 0 }, `\`eps\` ${POSITIVE}, got 0`],
  [adadelta, { weightDecay: "1" }, `\`weightDecay\` ${NON_NEGATIVE}, got "1"`],
  [adadelta, { decoupled: "no" }, '`decoupled` must be true or false, got "no"'],
  [rprop, { etaMinus: 0 }, `\`etaMinus\` ${POSITIVE}, got 0`],
  [rprop, { etaMinus: 1 }, "`etaMinus` must be less than 1, got 1"],
  [rprop, { etaPlus: Infinity }, `\`etaPlus\` ${POSITIVE}, got Infinity`],
  [rprop, { etaPlus: 1 }, "`etaPlus` must be greater than 1, got 1"],
  [rprop, { minStepSize: -1 }, `\`minStepSize\` ${NON_NEGATIVE}, got -1`],
  [rprop, { maxStepSize: Number.NaN }, `\`maxStepSize\` ${POSITIVE}, got NaN`],
  [
    rprop,
    { minStepSize: 2, maxStepSize: 1 },
    "`maxStepSize` must be at least `minStepSize`, 2, got 1",
  ],
  [adan, { b1: 1 }, `\`b1\` ${DECAY}, got 1`],
  [adan, { b2: -1 }, `\`b2\` ${DECAY}, got -1`],
  [adan, { b3: 1.5 }, `\`b3\` ${DECAY}, got 1.5`],
  [adan, { eps: -1 }, `\`eps\` ${NON_NEGATIVE}, got -1`],
  [adan, { weightDecay: -1 }, `\`weightDecay\` ${NON_NEGATIVE}, got -1`],
  [adan, { decay: "l2" }, '`decay` must be one of "proximal", "decoupled", got "l2"'],
  [lamb, { b1: 1 }, `\`b1\` ${DECAY}, got 1`],
  [lamb, { b2: 2 }, `\`b2\` ${DECAY}, got 2`],
  [lamb, { eps: Infinity }, `\`eps\` ${NON_NEGATIVE}, got Infinity`],
  [lamb, { weightDecay: -0.1 }, `\`weightDecay\` ${NON_NEGATIVE}, got -0.1`],
  [lars, { momentum: 1 }, `\`momentum\` ${DECAY}, got 1`],
  [lars, { nesterov: 1 }, "`nesterov` must be true or false, got 1"],
  [lars, { momentum: 0, nesterov: true }, '`nesterov` needs `momentum` above 0, got "momentum 0"'],
  [lars, { trustCoefficient: 0 }, `\`trustCoefficient\` ${POSITIVE}, got 0`],
  [lars, { eps: -1 }, `\`eps\` ${NON_NEGATIVE}, got -1`],
  [lars, { weightDecay: Number.NaN }, `\`weightDecay\` ${NON_NEGATIVE}, got NaN`],
  [lars, { convention: "torch" }, '`convention` must be one of "paper", "optax", got "torch"'],
];

const rows = REFUSED.map(
  ([construct, options, sentence]) => [construct.name, options, sentence, construct] as const,
);

it.each(rows)("%s refuses %o in one sentence", (name, options, sentence, construct) => {
  // The row's options are of the wrong type or value on purpose.
  const act = () => construct(options as never);
  expect(act).toThrow(RangeError);
  expect(act).toThrow(new RangeError(`${name}: ${sentence}`));
});
