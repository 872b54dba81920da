/** The five models whose gradients are timed, with seeded parameters and batches of noise. */

import { type Leaves, mulberry32, type Random } from "@adastra/core";
import { type BatchArrays, type Mode, nn, type Value } from "@adastra/engine";

export type ModelName = "mlp" | "lenet" | "resnet" | "transformer" | "gru";

/** What a training step draws its rows from, in batches. */
export const DATA_BATCHES = 16;

/** A loss, and everything its gradient is taken of. */
export interface GradientModel {
  readonly name: ModelName;
  readonly description: string;
  readonly params: Leaves<Float32Array>;
  readonly state: Leaves<Float32Array>;
  readonly batch: BatchArrays;
  readonly loss: (
    params: nn.ParamValues,
    batch: Readonly<Record<string, Value>>,
    mode: Mode,
  ) => Value;
}

interface Definition {
  readonly name: ModelName;
  readonly description: string;
  readonly model: nn.Layer;
  /** Without the batch axis. */
  readonly input: readonly number[];
  readonly batchSize: number;
  /** Inputs are integers below this; normal numbers without. */
  readonly vocabulary?: number;
  readonly classes: number;
}

const SIZE = 128;
const VOCABULARY = 96;

function transformerBlock(): readonly nn.Layer[] {
  return [
    nn.residual(nn.sequential(nn.layerNorm(), nn.multiHeadAttention({ heads: 4, causal: true }))),
    nn.residual(nn.sequential(nn.layerNorm(), nn.dense(4 * SIZE), nn.gelu(), nn.dense(SIZE))),
  ];
}

const DEFINITIONS: readonly Definition[] = [
  {
    name: "mlp",
    description: "784-256-256-10, ReLU, batch 64",
    model: nn.sequential(nn.dense(256), nn.relu(), nn.dense(256), nn.relu(), nn.dense(10)),
    input: [784],
    batchSize: 64,
    classes: 10,
  },
  {
    name: "lenet",
    description:
      "two 5x5 convolutions of 16 and 32 filters with max pooling, 128 units, 28x28, batch 64",
    model: nn.lenet(),
    input: [1, 28, 28],
    batchSize: 64,
    classes: 10,
  },
  {
    name: "resnet",
    description:
      "three residual blocks of 16, 32 and 64 filters with batch norm, 32x32x3, batch 64",
    model: nn.resnet({ blocks: 1 }),
    input: [3, 32, 32],
    batchSize: 64,
    classes: 10,
  },
  {
    name: "transformer",
    description: "one causal block of size 128 with 4 heads, 64 places, batch 16",
    model: nn.sequential(
      nn.embedding(VOCABULARY, SIZE, { init: nn.normal(0.1) }),
      nn.positionEmbedding(64, { init: nn.normal(0.1) }),
      ...transformerBlock(),
      nn.layerNorm(),
      nn.dense(VOCABULARY, { bias: false }),
    ),
    input: [64],
    batchSize: 16,
    vocabulary: VOCABULARY,
    classes: VOCABULARY,
  },
  {
    name: "gru",
    description: "128 units over 32 places of 64 features, batch 32",
    model: nn.sequential(
      nn.embedding(VOCABULARY, 64, { init: nn.normal(0.2) }),
      nn.gru(128),
      nn.dense(VOCABULARY, { bias: false }),
    ),
    input: [32],
    batchSize: 32,
    vocabulary: VOCABULARY,
    classes: VOCABULARY,
  },
];

export const modelNames: readonly ModelName[] = DEFINITIONS.map(({ name }) => name);

/** The model with parameters and a batch of its own seed. */
export function createModel(name: ModelName): GradientModel {
  const definition = DEFINITIONS.find((candidate) => candidate.name === name);
  if (definition === undefined) {
    throw new RangeError(
      `createModel: name must be one of ${modelNames.join(", ")}, got "${name}"`,
    );
  }
  const { description, model, input, batchSize, vocabulary, classes } = definition;
  const random = mulberry32(1);
  const shape = [batchSize, ...input];
  const x =
    vocabulary === undefined
      ? { shape, data: normal(random, product(shape)) }
      : { shape, data: integers(random, product(shape), vocabulary) };
  const labelled = [batchSize, ...model.outputShape(input).slice(0, -1)];
  return {
    name,
    description,
    params: model.init(mulberry32(2), input),
    state: model.initState(mulberry32(3), input),
    batch: { x, y: { shape: labelled, data: integers(random, product(labelled), classes) } },
    loss: (params, { x: inputs, y }, mode) =>
      nn.softmaxCrossEntropy(model.apply(params, inputs as Value, mode), y as Value), // as above
  };
}

function normal(random: Random, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => random.normal());
}

function integers(random: Random, count: number, below: number): Int32Array {
  return Int32Array.from({ length: count }, () => random.integer(below));
}

function product(extents: readonly number[]): number {
  return extents.reduce((size, extent) => size * extent, 1);
}
