import { describe, expect, it } from "vitest";
import type { CompiledOptimizer } from "../compiledOptimizer.ts";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { adai } from "../optimizers/adai.ts";
import { adam, amsgrad } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { cprop } from "../optimizers/cprop.ts";
import { sgd } from "../optimizers/sgd.ts";
import { mulberry32 } from "../random.ts";
import { cosine } from "../schedules/cosine.ts";
import type { OptimizerState } from "../state.ts";
import { chain } from "../transforms/chain.ts";
import { clipByGlobalNorm } from "../transforms/clip.ts";
import { compress } from "../transforms/compress.ts";
import { noise } from "../transforms/noise.ts";
import { sizeOf } from "../tree.ts";
import {
  type Checkpoint,
  checkpointParts,
  decodeCheckpoint,
  encodeCheckpoint,
} from "./checkpoint.ts";
import { CheckpointError } from "./error.ts";
import { join, readSafetensors, type Tensor, writeSafetensors } from "./safetensors.ts";

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "dense/kernel": [2, 3],
  "dense/bias": [3],
  scale: [],
  empty: [0],
};

const METHODS: readonly (readonly [string, Optimizer])[] = [
  ["sgd", sgd()],
  ["adam", adam()],
  ["amsgrad", amsgrad()],
  ["adashift, histories and queues", adashift({ n: 3 })],
  ["adashift, queues of arrays", adashift({ n: 3, phi: "none" })],
  ["adai", adai()],
  ["cprop(adashift)", cprop(adashift({ n: 2 }))],
  ["clip+adashift", chain(clipByGlobalNorm(1), adashift({ n: 2 }))],
];

interface Run {
  readonly optimizer: CompiledOptimizer;
  readonly random: ReturnType<typeof mulberry32>;
}

function start(method: Optimizer, dtype: "float32" | "float64"): Run {
  const random = mulberry32(7);
  const params = Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape]) => [
      path,
      { shape, data: new Float64Array(sizeOf(shape)).map(() => random.next() - 0.5) },
    ]),
  );
  const learningRate = cosine(0.1, 20);
  return { optimizer: compileOptimizer(method, { params, learningRate, dtype }), random };
}

/** Steps with gradients drawn from the run's own generator; `scale` sits out every third step. */
function advance({ optimizer, random }: Run, steps: number): void {
  for (let i = 0; i < steps; i++) {
    const taking = Object.entries(SHAPES).filter(
      ([path]) => path !== "scale" || optimizer.count % 3 > 0,
    );
    const gradients = taking.map(
      ([path, shape]) =>
        [path, new Float64Array(sizeOf(shape)).map(() => random.next() - 0.5)] as const,
    );
    optimizer.step(Object.fromEntries(gradients));
  }
}

describe.each(METHODS)("a checkpoint of %s", (_, method) => {
  it.each(["float32", "float64"] as const)(
    "continues bit for bit through a file, in %s",
    (dtype) => {
      const unbroken = start(method, dtype);
      advance(unbroken, 7);
      const bytes = encodeCheckpoint({
        optimizer: unbroken.optimizer.save(),
        random: unbroken.random.save(),
      });
      advance(unbroken, 9);

      const resumed = start(method, dtype);
      const checkpoint = decodeCheckpoint(bytes);
      resumed.optimizer.load(checkpoint.optimizer);
      resumed.random.restore(checkpoint.random as number);
      advance(resumed, 9);
      expect(resumed.optimizer.save()).toStrictEqual(unbroken.optimizer.save());
      expect(encodeCheckpoint(decodeCheckpoint(bytes))).toEqual(bytes);
    },
  );
});

it("a checkpoint of bfloat16 state and a seed continues bit for bit, and holds BF16", () => {
  const method = chain(
    noise(),
    compress(adam(), { mu: "bf16", nu: "bf16-stochastic" }),
    adashift({ n: 2, history: "bf16" }),
  );
  const unbroken = start(method, "float32");
  advance(unbroken, 7);
  const bytes = encodeCheckpoint({ optimizer: unbroken.optimizer.save(), random: 0 });
  const resumed = start(method, "float32");
  resumed.optimizer.load(decodeCheckpoint(bytes).optimizer);
  resumed.random.restore(unbroken.random.save());
  advance(unbroken, 9);
  advance(resumed, 9);
  expect(resumed.optimizer.save()).toStrictEqual(unbroken.optimizer.save());
  expect(readSafetensors(bytes).tensors["state/nu/dense/kernel"]?.data).toBeInstanceOf(Uint16Array);
});

/** The shape of state to come: more fields by leaf and in all, more carriers, NaN and -0 among the numbers. */
const coming = {
  format: "adastra-optimizer/2",
  optimizer: "newer",
  dtype: "float32",
  count: 5,
  hyperparameters: { b1: 0.9, eps: 1e-8, bound: Number.POSITIVE_INFINITY },
  global: { distance: -0, "norm of g": Number.NaN },
  leaves: {
    "dense/kernel": {
      shape: [2, 3],
      count: 5,
      params: Float32Array.of(1, 2, 3, Number.NaN, -0, 6),
      arrays: {
        mu: [Uint16Array.of(1, 2, 3, 4, 5, 6)],
        nu: [Uint8Array.of(1, 2, 3, 4, 5, 6)],
        g: [new Float32Array(6).fill(1), new Float32Array(6).fill(2)],
      },
      tensor: { v: Number.NaN, w: -0 },
      vectors: { rows: Float64Array.of(0.1, 0.2), columns: Float64Array.of(1, 2, 3) },
      queues: [[1, Number.NEGATIVE_INFINITY, -0]],
      blocks: { scale: Float32Array.of(0.5) },
    },
    "0/weird $name": {
      shape: [],
      count: 0,
      params: Float32Array.of(1),
      arrays: { mu: [], nu: [Float64Array.of(1, 2)], g: [] },
      tensor: {},
      vectors: {},
      queues: [],
    },
  },
  accumulation: {
    count: 2,
    gradients: { "dense/kernel": new Float32Array(6).fill(0.25) },
  },
} as unknown as OptimizerState;

describe("encodeCheckpoint", () => {
  const checkpoint: Checkpoint = {
    optimizer: coming,
    schedule: { plateau: { best: Number.POSITIVE_INFINITY, patience: 3 } },
    random: { batches: 12, dropout: 4_294_967_295 },
    cursor: { epoch: 3, index: 640, order: Int32Array.of(3, 1, 2) },
    extra: { $tensor: "not a tag", note: "x", nothing: null, mask: Uint8Array.of(1, 0) },
  };

  it("keeps state that is to come, and all that a caller adds", () => {
    const bytes = encodeCheckpoint(checkpoint);
    expect(decodeCheckpoint(bytes)).toStrictEqual(checkpoint);
    expect(encodeCheckpoint(decodeCheckpoint(bytes))).toEqual(bytes);
    expect(join(checkpointParts(checkpoint))).toEqual(bytes);
  });

  it("names tensors so that other tools find them, in the shape of their leaf", () => {
    const { tensors, metadata } = readSafetensors(encodeCheckpoint(checkpoint));
    expect(Object.keys(metadata)).toEqual(["adastra"]);
    expect(Object.entries(tensors).map(([name, { shape }]) => [name, shape])).toEqual([
      ["state/columns/dense/kernel", [3]],
      ["state/nu/0/weird $name", [2]],
      ["state/rows/dense/kernel", [2]],
      ["accumulation/dense/kernel", [2, 3]],
      ["params/0/weird $name", []],
      ["params/dense/kernel", [2, 3]],
      ["state/blocks/scale/dense/kernel", [1]],
      ["state/g/0/dense/kernel", [2, 3]],
      ["state/g/1/dense/kernel", [2, 3]],
      ["cursor/order", [3]],
      ["state/mu/dense/kernel", [2, 3]],
      ["extra/mask", [2]],
      ["state/nu/dense/kernel", [2, 3]],
    ]);
    expect(tensors["state/g/1/dense/kernel"]?.data).toEqual(new Float32Array(6).fill(2));
  });

  it("holds the document as one line of JSON", () => {
    const small = compileOptimizer(adam(), {
      params: { x: { shape: [1], data: Float32Array.of(1) } },
      learningRate: 0.1,
    });
    const { metadata } = readSafetensors(encodeCheckpoint({ optimizer: small.save(), random: 5 }));
    const document = JSON.parse(metadata["adastra"] as string) as { optimizer: OptimizerState };
    expect(document).toMatchObject({
      format: "adastra-checkpoint/1",
      optimizer: {
        optimizer: "adam",
        dtype: "float32",
        count: 0,
        leaves: {
          x: {
            shape: [1],
            count: 0,
            params: { $tensor: "params/x" },
            arrays: { mu: [{ $tensor: "state/mu/x" }], nu: [{ $tensor: "state/nu/x" }] },
            queues: [],
          },
        },
      },
      random: 5,
    });
  });

  it.each([
    [null, "encodeCheckpoint: a checkpoint must be a record, got null"],
    [{}, "encodeCheckpoint: the optimizer's state must be a record, got undefined"],
    [
      { optimizer: coming, epoch: 3 },
      'encodeCheckpoint: a checkpoint must hold optimizer, schedule, random, cursor, extra alone, got "epoch"; put it into `extra`',
    ],
    [
      { optimizer: coming, extra: { f: () => 1 } },
      'encodeCheckpoint: "extra/f" must be JSON or a typed array of a tensor\'s dtype, got () => 1',
    ],
    [
      { optimizer: { ...coming, format: "other/1" } },
      'encodeCheckpoint: the optimizer\'s state must have format "adastra-optimizer/...", got "other/1"; pass what `save` returns',
    ],
  ])("refuses what cannot be a checkpoint %#", (bad, message) => {
    const refused = () => encodeCheckpoint(bad as never);
    expect(refused).toThrow(TypeError);
    expect(refused).toThrow(message);
  });
});

describe("decodeCheckpoint", () => {
  const optimizer = compileOptimizer(adashift({ n: 2 }), {
    params: { x: { shape: [2], data: Float32Array.of(1, 2) } },
    learningRate: 0.1,
  });
  optimizer.step({ x: Float32Array.of(1, -1) });
  const { tensors, metadata } = readSafetensors(encodeCheckpoint({ optimizer: optimizer.save() }));
  const text = metadata["adastra"] as string;

  /** The file with its document and tensors changed. */
  function changed(
    edit: (text: string) => string,
    more: (tensors: Record<string, Tensor>) => Record<string, Tensor> = (same) => same,
  ): Uint8Array {
    const edited = edit(text);
    return writeSafetensors(more({ ...tensors }), { adastra: edited });
  }

  /** A change that must change something. */
  const swap = (from: string, to: string) => (document: string) => {
    expect(document).toContain(from);
    return document.replace(from, to);
  };

  it("hands out views on the file", () => {
    const bytes = changed((same) => same);
    const { leaves } = decodeCheckpoint(bytes).optimizer;
    expect(leaves["x"]?.params.buffer).toBe(bytes.buffer);
  });

  it.each([
    [
      writeSafetensors(tensors),
      "NOT_A_CHECKPOINT",
      "the file must hold a document `adastra` in its metadata, got undefined; read plain tensors with readSafetensors",
    ],
    [changed(() => "{"), "NOT_JSON", 'the document must be JSON, got "{"'],
    [changed(() => "[]"), "DOCUMENT", "the document must be a record, got []"],
    [
      changed(swap("adastra-checkpoint/1", "adastra-checkpoint/2")),
      "VERSION",
      'the document must have format "adastra-checkpoint/1", got "adastra-checkpoint/2"; read it with the version of @adastra/core that wrote it',
    ],
    [
      changed(swap('"optimizer":{', '"epoch":1,"optimizer":{')),
      "DOCUMENT",
      'the document must hold optimizer, schedule, random, cursor, extra alone, got "epoch"',
    ],
    [
      changed(swap('"format"', '"__proto__":{},"format"')),
      "FORBIDDEN_KEY",
      'the document must not have this key, got "__proto__"; rename it',
    ],
    [
      changed(swap('"format"', '"format":1,"format"')),
      "DUPLICATE_KEY",
      'the document must name a key once, got "format"',
    ],
    [
      changed(
        (same) => same,
        (all) => Object.fromEntries(Object.entries(all).filter(([name]) => name !== "params/x")),
      ),
      "MISSING_TENSOR",
      'the file must hold the tensor of "optimizer/leaves/x/params", got "params/x"',
    ],
    [
      changed(
        (same) => same,
        (all) => ({ ...all, y: all["params/x"] as Tensor }),
      ),
      "EXTRA_TENSOR",
      'the file must hold the tensors of its document alone, got "y"',
    ],
    [
      changed(
        (same) => same,
        (all) => ({
          ...all,
          "params/x": { shape: [2, 1], data: Float32Array.of(1, 2) },
        }),
      ),
      "SHAPE",
      'the tensor of "optimizer/leaves/x/params" must have shape [2], got [2, 1]',
    ],
    [
      changed(
        (same) => same,
        (all) => ({
          ...all,
          "params/x": { shape: [2], data: Float64Array.of(1, 2) },
        }),
      ),
      "STATE",
      'parameters of leaf "x" must be float32, got "8 bytes a number"',
    ],
    [
      changed(swap('"shape":[2]', '"shape":[3]')),
      "STATE",
      'parameters of leaf "x" must be 3 numbers, got an object',
    ],
    [
      changed(swap('"shape":[2]', '"shape":[-2]')),
      "STATE",
      'leaf "x" must have a shape of natural numbers, got [-2]',
    ],
    [
      changed(swap('"dtype":"float32"', '"dtype":"float16"')),
      "STATE",
      'the optimizer\'s dtype must be float32 or float64, got "float16"',
    ],
    ...(
      [
        ["-1", "-1"],
        ["1.5", "1.5"],
        ['{"$number":"NaN"}', "NaN"],
        ['{"$number":"Infinity"}', "Infinity"],
        ["null", "null"],
      ] as const
    ).map(
      ([count, got]) =>
        [
          changed(swap('"dtype":"float32","count":1', `"dtype":"float32","count":${count}`)),
          "STATE",
          `the step count must be a natural number, got ${got}`,
        ] as const,
    ),
    [
      changed(swap('"shape":[2],"count":1', '"shape":[2],"count":2')),
      "STATE",
      'the step count of leaf "x" must be a natural number up to 1, got 2',
    ],
    [
      changed(swap('"optimizer":"adashift"', '"optimizer":1')),
      "STATE",
      "the optimizer must have a name, got 1",
    ],
    [
      changed(swap('"queues":[[', '"queues":["x",[')),
      "STATE",
      'leaf "x" must hold queues of numbers, got an array of 2',
    ],
    [
      changed(swap('"tensor":{', '"tensor":{"v":"1",')),
      "STATE",
      '"v" of per-tensor state of leaf "x" must be a number, got "1"',
    ],
    [
      changed(swap('"arrays":{', '"arrays":{"z":[1],')),
      "STATE",
      'state "z" of leaf "x" must be a list of arrays, got [1]',
    ],
    [
      changed(swap('"global":{', '"global":{"a":"1"')),
      "STATE",
      '"a" of global state must be a number, got "1"',
    ],
    [
      changed(swap('"leaves":{', '"accumulation":{"count":-1,"gradients":{}},"leaves":{')),
      "STATE",
      "the count of gradients accumulated must be a natural number, got -1",
    ],
    [
      changed(swap('"leaves":{', '"accumulation":{"count":1,"gradients":{"x":1}},"leaves":{')),
      "STATE",
      'the gradient accumulated for leaf "x" must be numbers, got 1',
    ],
    [
      changed(swap('"vectors":{', '"vectors":{"rows":[1]')),
      "STATE",
      'vector "rows" of leaf "x" must be numbers, got [1]',
    ],
    [changed(swap('"x":{', '"x":[],"y":{')), "STATE", 'leaf "x" must be a record, got []'],
  ] as const)("refuses a file that is no good checkpoint %#", (bytes, code, message) => {
    const refused = () => decodeCheckpoint(bytes);
    expect(refused).toThrow(CheckpointError);
    expect(refused).toThrow(
      expect.objectContaining({ code, message: `decodeCheckpoint: ${message}` }),
    );
  });

  it("refuses tensors that do not lie where they can be viewed", () => {
    const bytes = changed((same) => same);
    const { buffer } = bytes;
    const length = new DataView(buffer as ArrayBuffer).getUint32(0, true);
    const longer = join([
      bytes.subarray(0, 8 + length),
      Uint8Array.of(0x20),
      bytes.subarray(8 + length),
    ]);
    longer[0] = (longer[0] as number) + 1;
    expect(readSafetensors(longer).tensors).toEqual(tensors);
    expect(() => decodeCheckpoint(longer)).toThrow(
      expect.objectContaining({
        code: "MISALIGNED",
        message: `decodeCheckpoint: the header must end at a multiple of 8 bytes, got ${8 + length + 1}; write the file anew`,
      }),
    );

    // One byte in front of a float32, and three behind it.
    const extra = JSON.stringify({ a: { dtype: "U8", shape: [1], data_offsets: [0, 1] } });
    const header = `${extra.slice(0, -1)},"b":{"dtype":"F32","shape":[1],"data_offsets":[1,5]}}`;
    const padded = new TextEncoder().encode(header.padEnd(Math.ceil(header.length / 8) * 8));
    const shifted = join([new Uint8Array(8), padded, new Uint8Array(5)]);
    shifted[0] = padded.length;
    expect(() => decodeCheckpoint(shifted)).toThrow(
      expect.objectContaining({
        code: "MISALIGNED",
        message:
          'decodeCheckpoint: tensor "b" must lie at a multiple of 4 bytes, got 1; write the file anew',
      }),
    );
  });

  it("leaves what a state means to the optimizer that loads it", () => {
    const other = compileOptimizer(adam(), {
      params: { x: { shape: [2], data: Float32Array.of(1, 2) } },
      learningRate: 0.1,
    });
    const { optimizer: state } = decodeCheckpoint(changed((same) => same));
    expect(() => other.load(state)).toThrow('load: state.optimizer must be "adam", got "adashift"');
  });
});
