import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import type { CompiledOptimizer } from "../compiledOptimizer.ts";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { adam, adamw, amsgrad } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { sgd } from "../optimizers/sgd.ts";
import { mulberry32 } from "../random.ts";
import type { OptimizerState } from "../state.ts";
import { chain } from "../transforms/chain.ts";
import { clipByGlobalNorm } from "../transforms/clip.ts";
import { sizeOf } from "../tree.ts";
import { CheckpointError } from "./error.ts";
import { readSafetensors, type Tensor, writeSafetensors } from "./safetensors.ts";
import { fromTorch, toTorch } from "./torch.ts";

/** The cases of fixtures/generate/checkpoint/cases.py, with the same options. */
const CASES: readonly (readonly [string, Optimizer, number])[] = [
  ["adam", adam(), 0.01],
  ["adam-l2", adam({ b1: 0.8, b2: 0.95, eps: 1e-6, weightDecay: 0.02 }), 0.01],
  ["adamw", adamw({ weightDecay: 0.1 }), 0.02],
  ["amsgrad", amsgrad({ b2: 0.9 }), 0.03],
  ["sgd", sgd(), 0.1],
  ["momentum", sgd({ momentum: 0.9 }), 0.1],
  ["nesterov", sgd({ momentum: 0.8, nesterov: true, weightDecay: 0.01 }), 0.05],
  ["dampened", sgd({ momentum: 0.9, dampening: 0.3 }), 0.1],
];

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "dense/weight": [3, 2],
  "dense/bias": [3],
  scale: [],
  late: [5],
  idle: [2],
};
const STEPS = 5;
/** The step from which `late` takes part; `idle` never does. */
const LATE = 4;

const folder = fileURLToPath(new URL("../../../../fixtures/checkpoint/", import.meta.url));

function file(name: string): { readonly bytes: Uint8Array } & ReturnType<typeof readSafetensors> {
  const bytes = new Uint8Array(readFileSync(`${folder}${name}.safetensors`));
  return { bytes, ...readSafetensors(bytes) };
}

function start(optimizer: Optimizer, learningRate: number): CompiledOptimizer<"float64"> {
  const params = Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape]) => [
      path,
      { shape, data: new Float64Array(sizeOf(shape)).fill(0.5) },
    ]),
  );
  return compileOptimizer(optimizer, { params, learningRate, dtype: "float64" });
}

/** The tensors of one kind by path, those that take part in step `t` alone. */
function gradientsOf(tensors: Readonly<Record<string, Tensor>>): Record<string, Float64Array> {
  const taking = Object.keys(SHAPES).filter((path) => path !== "idle");
  return Object.fromEntries(
    taking.map((path) => [
      path,
      tensors[`gradient.${path.replace("/", ".")}`]?.data as Float64Array,
    ]),
  );
}

/** Holds our state to one of torch, name by name. */
function expectClose(
  ours: Readonly<Record<string, Tensor>>,
  theirs: Readonly<Record<string, Tensor>>,
): void {
  expect(Object.keys(ours).toSorted()).toEqual(Object.keys(theirs).toSorted());
  for (const [name, { shape, data }] of Object.entries(theirs)) {
    expect(ours[name]?.shape, name).toEqual(shape);
    data.forEach((value, i) => {
      // Float64 numbers below 10: torch folds its corrections in another order, a few roundings of 1e-16 a step, and
      // a root and a division by at least 1e-3 leave them below 1e-12. Measured over all cases: 2.3e-16.
      expect(Math.abs((ours[name]?.data[i] as number) - value), name).toBeLessThan(1e-12);
    });
  }
}

/** Takes the sixth step with the gradients in the file and holds parameters and state to torch's in it. */
function expectSameStep(optimizer: CompiledOptimizer, next: string): void {
  const { tensors } = file(next);
  optimizer.step(gradientsOf(tensors));
  const theirs = Object.entries(tensors).filter(([name]) => !name.startsWith("gradient."));
  expectClose(toTorch(optimizer.save()), Object.fromEntries(theirs));
}

describe.each(CASES)("%s", (name, optimizer, learningRate) => {
  it("goes on from torch's state as torch does", () => {
    const compiled = start(optimizer, learningRate);
    const { tensors } = file(`torch/${name}`);
    compiled.load(fromTorch(tensors, compiled.save(), { count: STEPS }));
    expect(compiled.count).toBe(STEPS);
    expectSameStep(compiled, `torch/${name}.next`);
  });

  it("is continued by torch from our state as we do", () => {
    const compiled = start(optimizer, learningRate);
    const random = mulberry32(2026);
    for (let t = 1; t <= STEPS; t++) {
      const taking = Object.entries(SHAPES).filter(
        ([path]) => path !== "idle" && (path !== "late" || t >= LATE),
      );
      compiled.step(
        Object.fromEntries(
          taking.map(([path, shape]) => [
            path,
            new Float64Array(sizeOf(shape)).map(() => 2 * random.next() - 1),
          ]),
        ),
      );
    }
    const provenance = {
      source: "@adastra/core, writeSafetensors(toTorch(state))",
      script: "packages/core/src/checkpoint/torch.test.ts",
      case: name,
      seed: 2026,
      steps: STEPS,
    };
    if (process.env["ADASTRA_FIXTURES"] === "write") {
      mkdirSync(`${folder}adastra`, { recursive: true });
      const metadata = { provenance: JSON.stringify(provenance) };
      const bytes = writeSafetensors(toTorch(compiled.save()), metadata);
      writeFileSync(`${folder}adastra/${name}.safetensors`, bytes);
      // The next step is torch's to write: fixtures/generate/checkpoint/README.md.
      return;
    }
    const { tensors } = file(`adastra/${name}`);
    expectClose(toTorch(compiled.save()), tensors);
    compiled.load(fromTorch(tensors, compiled.save(), { count: STEPS }));
    expectSameStep(compiled, `adastra/${name}.next`);
  });

  it("is written byte for byte as Python writes it", () => {
    for (const path of [`torch/${name}`, `torch/${name}.next`]) {
      const { bytes, tensors, metadata } = file(path);
      expect(writeSafetensors(tensors, metadata)).toEqual(bytes);
    }
  });
});

describe("toTorch and fromTorch", () => {
  const params = {
    layer: { kernel: { shape: [2], data: Float32Array.of(1, 2) } },
    bias: { shape: [1], data: Float32Array.of(3) },
  };
  const bind = (optimizer: Optimizer): CompiledOptimizer =>
    compileOptimizer(optimizer, { params, learningRate: 0.1 });
  const stepped = (optimizer: Optimizer): CompiledOptimizer => {
    const compiled = bind(optimizer);
    compiled.step({ "layer/kernel": Float32Array.of(1, -1), bias: Float32Array.of(2) });
    return compiled;
  };

  it("name leaves as asked", () => {
    const name = (path: string): string => path.replace("kernel", "weight").replace("/", ".0.");
    const tensors = toTorch(stepped(adam()).save(), { name });
    expect(Object.keys(tensors)).toEqual([
      "model.layer.0.weight",
      "optimizer.state.layer.0.weight.exp_avg",
      "optimizer.state.layer.0.weight.exp_avg_sq",
      "optimizer.state.layer.0.weight.step",
      "model.bias",
      "optimizer.state.bias.exp_avg",
      "optimizer.state.bias.exp_avg_sq",
      "optimizer.state.bias.step",
    ]);
    const state = stepped(adam()).save();
    expect(fromTorch(tensors, bind(adam()).save(), { name })).toEqual(state);
  });

  it("work through transforms that keep nothing, between float32 and float64, and past 2^24 steps", () => {
    const state = stepped(chain(clipByGlobalNorm(1), amsgrad())).save();
    const late = structuredClone(state) as { count: number; leaves: Record<string, unknown> };
    late.count = 2 ** 24 + 1;
    late.leaves["bias"] = { ...state.leaves["bias"], count: 2 ** 24 + 1 };
    const tensors = toTorch(late as unknown as OptimizerState);
    const template = compileOptimizer(amsgrad(), { params, learningRate: 0.1, dtype: "float64" });
    const wide = fromTorch(tensors, template.save());
    expect(wide.count).toBe(2 ** 24 + 1);
    expect(wide.leaves["layer/kernel"]?.count).toBe(1);
    expect(wide.leaves["bias"]?.arrays["nuMax"]?.[0]).toBeInstanceOf(Float64Array);
    const narrow = fromTorch(toTorch(wide), state);
    expect(narrow.leaves).toEqual(late.leaves);
  });

  it("start a leaf anew where torch has no state of it, whatever the optimizer at hand has", () => {
    const tensors = toTorch(bind(adam()).save());
    expect(Object.keys(tensors)).toEqual(["model.layer.kernel", "model.bias"]);
    const state = fromTorch(tensors, stepped(adam()).save());
    expect(state).toEqual(bind(adam()).save());
  });

  const good = toTorch(stepped(adam()).save());
  const without = (name: string): Record<string, Tensor> => {
    const { [name]: _, ...rest } = good;
    return rest;
  };

  it.each([
    [
      without("model.bias"),
      "MISSING_TENSOR",
      'fromTorch: the file must hold a tensor, got "model.bias"',
    ],
    [
      without("optimizer.state.bias.step"),
      "MISSING_TENSOR",
      'fromTorch: the file must hold a tensor, got "optimizer.state.bias.step"',
    ],
    [
      { ...good, "model.running_mean": { shape: [1], data: Float32Array.of(0) } },
      "EXTRA_TENSOR",
      'fromTorch: the file must hold parameters and state of the leaves alone, got "model.running_mean"; leave others out',
    ],
    [
      { ...good, "model.layer.kernel": { shape: [1, 2], data: Float32Array.of(1, 2) } },
      "SHAPE",
      'fromTorch: tensor "model.layer.kernel" must have shape [2], got [1, 2]; transpose or reshape it first',
    ],
    [
      { ...good, "model.bias": { shape: [1], data: Uint16Array.of(0x3f80) } },
      "DTYPE",
      'fromTorch: tensor "model.bias" must be F32 or F64, got "BF16"; convert it in PyTorch',
    ],
    ...[-1, 0.5, Number.NaN].map(
      (step) =>
        [
          {
            ...good,
            "optimizer.state.bias.step": { shape: [], data: Float64Array.of(step) },
          },
          "STATE",
          `fromTorch: tensor "optimizer.state.bias.step" must be a natural number, got ${step}`,
        ] as const,
    ),
  ] as const)("refuse a file that does not fit", (tensors, code, message) => {
    const state = bind(adam()).save();
    const before = structuredClone(state);
    const refused = () => fromTorch(tensors as Record<string, Tensor>, state);
    expect(refused).toThrow(expect.objectContaining({ code, message }));
    expect(refused).toThrow(CheckpointError);
    expect(state).toEqual(before);
  });

  it("refuse what PyTorch has no counterpart of, and what is missing from the call", () => {
    const adashifted = bind(adashift({ n: 2 })).save();
    expect(() => toTorch(adashifted)).toThrow(
      'toTorch: the optimizer must be adam, adamw, amsgrad, sgd, got "adashift"',
    );
    expect(() => toTorch(stepped(amsgrad({ convention: "inplace" })).save())).toThrow(
      'toTorch: state of leaf "layer/kernel" must be mu, nu, nuMax in float32 or float64, got "mu, nu"',
    );
    expect(() => toTorch(stepped(adam()).save(), { name: () => "same" })).toThrow(
      'toTorch: the name of leaf "bias" must be text that no other leaf has, got "same"',
    );
    const momentum = stepped(sgd({ momentum: 0.9 })).save();
    expect(() => fromTorch(toTorch(momentum), momentum)).toThrow(
      "fromTorch: `count` must be given for SGD, got undefined; pass the steps it has taken",
    );
    expect(() => fromTorch(toTorch(momentum), momentum, { count: 0 })).toThrow(
      "fromTorch: `count` must be at least 1, the steps of a leaf, got 0",
    );
    expect(() => fromTorch(good, stepped(adam()).save(), { count: 0.5 })).toThrow(
      "fromTorch: `count` must be a natural number, got 0.5",
    );
    expect(() => toTorch({} as OptimizerState)).toThrow(TypeError);
  });
});
