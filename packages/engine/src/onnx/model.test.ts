import { adam, compileOptimizer, type Leaves, mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { expectClose, zerosLike } from "../../testing/arrays.ts";
import { labels, normal } from "../../testing/batches.ts";
import { type FileSpec, int64, onnxFile, runtimeOutputs, spread } from "../../testing/onnxFiles.ts";
import { compile, compileForward, freeze, type Mode, nn, type Value } from "../index.ts";
import { fromOnnx, toOnnx } from "./index.ts";

/** x [batch, 4] to hidden [batch, 6] by a product and a batch norm, to logits [batch, 3]. */
const SPEC: FileSpec = {
  opset: 17,
  inputs: { x: { shape: ["n", 4] } },
  outputs: ["probabilities"],
  initializers: {
    w1: { shape: [4, 6], data: spread([4, 6]) },
    scale: { shape: [6], data: spread([6]).map((x) => x + 1.5) },
    shift: { shape: [6], data: spread([6]) },
    mean: { shape: [6], data: spread([6], 0.3) },
    variance: { shape: [6], data: spread([6]).map((x) => x + 1.5) },
    w2: { shape: [6, 3], data: spread([6, 3]) },
    b2: { shape: [3], data: spread([3]) },
    half: { shape: [], data: [0.5] },
  },
  nodes: [
    { op: "MatMul", inputs: ["x", "w1"], outputs: ["product"] },
    {
      op: "BatchNormalization",
      name: "norm",
      inputs: ["product", "scale", "shift", "mean", "variance"],
      outputs: ["normal"],
      attributes: { momentum: 0.75 },
    },
    { op: "Relu", inputs: ["normal"], outputs: ["hidden"] },
    { op: "Gemm", inputs: ["hidden", "w2", "b2"], outputs: ["logits"] },
    { op: "Mul", inputs: ["logits", "half"], outputs: ["cool"] },
    { op: "Softmax", name: "last", inputs: ["cool"], outputs: ["probabilities"] },
  ],
};
const BYTES = onnxFile(SPEC);

const batch = { x: normal(1, [8, 4]), y: labels(2, 8, 3) };

/** `steps` of Adam on a loss; the parameters after them. */
async function trained(
  loss: Parameters<typeof compile<Leaves<Float32Array>, typeof batch>>[0],
  params: Leaves<Float32Array>,
  state: Leaves<Float32Array>,
  steps = 20,
): Promise<{ readonly params: Leaves<Float32Array>; readonly losses: readonly number[] }> {
  const gradient = await compile(loss, { params, state, example: batch });
  const optimizer = compileOptimizer(adam(), { params, learningRate: 0.02 });
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    losses.push((await gradient.run(batch, optimizer.params, optimizer.gradients)).loss);
    optimizer.step();
  }
  await gradient.dispose();
  return { params: optimizer.params as Leaves<Float32Array>, losses }; // float32, as given
}

describe("fromOnnx", () => {
  test("parameters are float32 arrays, scalars stay constants, statistics are state", () => {
    const model = fromOnnx(BYTES);
    expect(Object.keys(model.params)).toEqual(["w1", "scale", "shift", "w2", "b2"]);
    expect(Object.keys(model.state)).toEqual(["mean", "variance"]);
    expect(model.outputs).toEqual(["probabilities"]);
    expect(model.tensors).toEqual([
      "product",
      "normal",
      "hidden",
      "logits",
      "cool",
      "probabilities",
    ]);
    expect(model.inputs).toEqual([{ name: "x", dtype: "float32", shape: [undefined, 4] }]);
  });

  test("what the outputs do not need is left out, unsupported ops too", () => {
    const file = onnxFile({
      ...SPEC,
      nodes: [...SPEC.nodes, { op: "NonZero", inputs: ["probabilities"], outputs: ["places"] }],
      outputs: ["places"],
    });
    const { params, tensors } = fromOnnx(file, { outputs: ["hidden"] });
    expect(Object.keys(params)).toEqual(["w1", "scale", "shift"]);
    expect(tensors).toEqual(["product", "normal", "hidden"]);
  });

  test("batch statistics on request: training normalises by the batch and keeps running ones", async () => {
    const model = fromOnnx(BYTES, { outputs: ["normal"], batchStatistics: true });
    const state = structuredClone(model.state) as Leaves<Float32Array>;
    const gradient = await compile(
      (p, { x }, mode) => [
        model.apply(p, x, mode)["normal"]!.mean(),
        { y: model.apply(p, x, mode)["normal"]! },
      ],
      { params: model.params, state, example: { x: batch.x } },
    );
    const { aux } = await gradient.run({ x: batch.x }, model.params, zerosLike(model.params));
    const column = (data: ArrayLike<number>, j: number): number[] =>
      Array.from({ length: 8 }, (_, i) => data[i * 6 + j]!);
    const product = Array.from({ length: 8 }, (_, i) =>
      Array.from({ length: 6 }, (_unit, j) =>
        [0, 1, 2, 3].reduce(
          (sum, k) => sum + batch.x.data[i * 4 + k]! * model.params["w1"]!.data[k * 6 + j]!,
          0,
        ),
      ),
    ).flat();
    for (let j = 0; j < 6; j++) {
      const values = column(product, j);
      const mean = values.reduce((a, b) => a + b) / 8;
      const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 8;
      // float32 statistics of eight numbers.
      expect(state["mean"]!.data[j]).toBeCloseTo(
        0.75 * 0.75 * model.state["mean"]!.data[j]! + (1 - 0.75 ** 2) * mean,
        5,
      );
      expect(state["variance"]!.data[j]).toBeCloseTo(
        0.75 * 0.75 * model.state["variance"]!.data[j]! + (1 - 0.75 ** 2) * variance,
        5,
      );
      const [scale, shift] = [model.params["scale"]!.data[j]!, model.params["shift"]!.data[j]!];
      const expected = values.map((v) => ((v - mean) / Math.sqrt(variance + 1e-5)) * scale + shift);
      expectClose(column(aux!["y"]!, j), expected, 1e-5);
    }
    await gradient.dispose();
  });

  test("without the request a training step leaves the statistics as they are", async () => {
    const model = fromOnnx(BYTES);
    const state = structuredClone(model.state) as Leaves<Float32Array>;
    await trained(
      (p, { x, y }, mode) => nn.softmaxCrossEntropy(model.apply(p, x, mode)["probabilities"]!, y),
      model.params,
      state,
      2,
    );
    expect(state).toEqual(model.state);
  });
});

describe("freezing", () => {
  const model = fromOnnx(BYTES, { outputs: ["logits"] });
  const loss = (p: nn.ParamValues, { x, y }: { x: Value; y: Value }, mode: Mode): Value =>
    nn.softmaxCrossEntropy(model.apply(p, x, mode)["logits"]!, y);

  test("frozen leaves keep their numbers, the others learn, and the gradient is that of all", async () => {
    const { params, frozen } = freeze(model.params, ["w1", "s*"]);
    expect(Object.keys(params)).toEqual(["w2", "b2"]);
    expect(Object.keys(frozen)).toEqual(["w1", "scale", "shift"]);
    const before = structuredClone(frozen);
    const state = { ...model.state, ...frozen };
    const some = await compile(loss, { params, state, example: batch });
    const all = await compile(loss, { params: model.params, state: model.state, example: batch });
    const [partly, whole] = [zerosLike(params), zerosLike(model.params)];
    expect((await some.run(batch, params, partly)).loss).toBe(
      (await all.run(batch, model.params, whole)).loss,
    );
    expect(partly["w2"]).toEqual(whole["w2"]);
    // Nothing is computed for the sake of frozen leaves.
    expect(some.report.nodes!).toBeLessThan(all.report.nodes!);
    await Promise.all([some.dispose(), all.dispose()]);
    const { losses, params: after } = await trained(loss, params, state);
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
    expect(frozen).toEqual(before);
    // Unfrozen: all of it together goes on from there.
    const on = await trained(loss, { ...after, ...frozen }, model.state);
    expect(on.losses[0]!).toBeLessThan(losses.at(-1)!);
    expect(on.losses.at(-1)!).toBeLessThan(on.losses[0]!);
  });

  test("layers of nn read frozen parameters from the state too", async () => {
    const net = nn.sequential(nn.dense(5), nn.tanh(), nn.dense(3));
    const { params, frozen } = freeze(net.init(mulberry32(1), [4]), "dense1/**");
    const { losses } = await trained(
      (p, { x, y }, mode) => nn.softmaxCrossEntropy(net.apply(p, x, mode), y),
      params,
      frozen,
    );
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
  });

  test("a pattern that takes no leaf is refused", () => {
    expect(() => freeze(model.params, "backbone/**")).toThrow(
      'freeze: `mask` must take at least one leaf, got "backbone/**"; leaves are w1, scale, shift, w2, b2',
    );
  });
});

describe("a new head", () => {
  test("the body as a layer, frozen, with a head that learns; the whole as a file", async () => {
    const body = fromOnnx(BYTES, { outputs: ["hidden"] });
    const net = nn.sequential(body.layer(), nn.dense(3));
    expect(net.outputShape([4])).toEqual([3]);
    const all = net.init(mulberry32(1), [4]);
    expect(all["onnx1/w1"]).toEqual(body.params["w1"]);
    expect(all["dense1/kernel"]?.shape).toEqual([6, 3]);
    const kept = net.initState(mulberry32(1), [4]);
    const { params, frozen } = freeze(all, "onnx1/**");
    const state = { ...kept, ...frozen };
    const forward = (p: nn.ParamValues, { x }: { x: Value }, mode: Mode) => ({
      logits: net.apply(p, x, mode),
    });
    const { losses, params: after } = await trained(
      (p, { x, y }, mode) => nn.softmaxCrossEntropy(net.apply(p, x, mode), y),
      params,
      state,
      40,
    );
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
    const bytes = toOnnx(forward, { params: after, state, example: { x: batch.x } });
    const five = { x: normal(9, [5, 4]) };
    const compiled = await compileForward(forward, { params: after, state, example: five });
    const { logits } = await compiled.run(five, after);
    await compiled.dispose();
    // Two graphs of a dozen float32 sums.
    expectClose((await runtimeOutputs(bytes, five))["logits"]!.data, logits!.data, 1e-6);
  });

  test("a layer must have one input and one output", () => {
    expect(() => fromOnnx(BYTES, { outputs: ["hidden", "logits"] }).layer()).toThrow(
      "layer: the model must have one input and one output, got 1 and 2; use apply, or fromOnnx's outputs",
    );
  });
});

describe("what is wrong is said in one sentence", () => {
  const apply = (
    spec: Partial<FileSpec>,
    inputs: Record<string, readonly number[]> = { x: [8, 4] },
  ) => {
    const model = fromOnnx(onnxFile({ ...SPEC, ...spec }));
    const example = Object.fromEntries(
      Object.entries(inputs).map(([name, shape]) => [name, normal(1, shape)]),
    );
    return compileForward((p, given, mode) => model.apply(p, given, mode), {
      params: { ...model.params, spare: normal(1, [1]) },
      state: model.state,
      example,
    });
  };
  const node = (op: string, inputs: readonly string[], attributes = {}): Partial<FileSpec> => ({
    nodes: [{ op, name: "it", inputs, outputs: ["y"], attributes }],
    outputs: ["y"],
  });

  test("an unsupported op, with the node", () => {
    expect(() => fromOnnx(onnxFile({ ...SPEC, ...node("NonZero", ["x"]) }))).toThrow(
      'fromOnnx: every node on the way to the outputs must have a supported op, got NonZero in node "it"; pass outputs: [...] with tensors computed before it',
    );
  });

  test("a file that is cut short", () => {
    expect(() => fromOnnx(BYTES.subarray(0, BYTES.length - 10))).toThrow(
      /^fromOnnx: bytes must be an ONNX model, got \d+ bytes that cannot be read \(index out of range: .*\); the file may be cut short or of another format$/,
    );
  });

  test("what is no ONNX file", () => {
    expect(() => fromOnnx(new Uint8Array())).toThrow(
      "fromOnnx: bytes must be an ONNX model, got 0 bytes without a graph",
    );
    expect(() => fromOnnx(new TextEncoder().encode('{ "model": 1 }'))).toThrow(
      /^fromOnnx: bytes must be an ONNX model, got 14 bytes/,
    );
    expect(() => fromOnnx("model.onnx" as never)).toThrow(
      "fromOnnx: `bytes` must be a Uint8Array, got string",
    );
  });

  test("an old opset, an output that nothing computes, an op with too few inputs", () => {
    expect(() => fromOnnx(onnxFile({ ...SPEC, opset: 6 }))).toThrow(
      "fromOnnx: the model's opset must be 7 to 24, got 6; convert it with onnx.version_converter",
    );
    expect(() => fromOnnx(BYTES, { outputs: ["features"] })).toThrow(
      'fromOnnx: `outputs` must be tensors that the file computes, got "features"; the last are "product", "normal", "hidden", "logits", "cool", "probabilities"',
    );
    expect(() => fromOnnx(onnxFile({ ...SPEC, ...node("MatMul", ["x"]) }))).toThrow(
      'fromOnnx: MatMul must have 2 inputs, got 1 in node "it"',
    );
  });

  test("a missing input, one of another shape or kind", async () => {
    await expect(apply({}, {})).rejects.toThrow('apply: `inputs` must hold "x", got none for "x"');
    await expect(apply({}, { x: [8, 5] })).rejects.toThrow(
      'apply: input "x" must be float32 [any, 4], got float32 [8, 5]',
    );
    await expect(apply({ inputs: { x: { type: "int64", shape: ["n", 4] } } })).rejects.toThrow(
      'apply: input "x" must be int32 [any, 4], got float32 [8, 4]',
    );
  });

  test("a tensor that nothing computes before its use", async () => {
    await expect(apply(node("Relu", ["later"]))).rejects.toThrow(
      'apply: Relu node "it": input must be computed before it, got "later"',
    );
  });

  test("a shape that depends on numbers of the input", async () => {
    const spec: Partial<FileSpec> = {
      nodes: [
        { op: "ReduceSum", inputs: ["x"], outputs: ["sum"], attributes: { keepdims: 0 } },
        { op: "Cast", inputs: ["sum"], outputs: ["count"], attributes: { to: 7 } },
        { op: "Reshape", inputs: ["count", "one"], outputs: ["shape"] },
        { op: "ConstantOfShape", name: "it", inputs: ["shape"], outputs: ["y"] },
      ],
      initializers: { one: int64(1) },
      outputs: ["y"],
    };
    await expect(apply(spec)).rejects.toThrow(
      'apply: ConstantOfShape node "it": input "shape" must be known while tracing, got numbers that depend on the model\'s input or weights; shapes are static here, so export the model with static ones',
    );
  });

  test("operands that do not fit, and attributes of the wrong kind", async () => {
    await expect(apply(node("MatMul", ["x", "w2"]))).rejects.toThrow(
      /^apply: MatMul node "it": inputs must fit together, got float32 \[8, 4\], float32 \[6, 3\] \(/,
    );
    await expect(apply(node("Softmax", ["x"], { axis: 3 }))).rejects.toThrow(
      'apply: Softmax node "it": axis must be one of 2, got 3',
    );
    await expect(apply(node("Transpose", ["x"], { perm: "back" }))).rejects.toThrow(
      'apply: Transpose node "it": `perm` must be integers, got back',
    );
    await expect(
      apply({ ...node("Reshape", ["x", "to"]), initializers: { to: int64(5, -1) } }),
    ).rejects.toThrow('apply: Reshape node "it": `shape` must fit 32 elements, got [5, -1]');
  });

  test("a batch norm that was exported while training", async () => {
    const inputs = ["x", "b4", "b4", "b4", "b4"];
    const spec: Partial<FileSpec> = {
      ...node("BatchNormalization", inputs, { training_mode: 1 }),
      initializers: { b4: { shape: [4], data: [1, 2, 3, 4] } },
    };
    await expect(apply(spec)).rejects.toThrow(
      'apply: BatchNormalization node "it": statistics must be those of the file, one a channel, got a node exported while training; export the model in evaluation mode',
    );
  });

  test("weights of a kind or place that is not read", () => {
    const proto = { w1: { shape: [4, 6], data: spread([4, 5]) } };
    expect(() =>
      fromOnnx(onnxFile({ ...SPEC, initializers: { ...SPEC.initializers, ...proto } })),
    ).toThrow(
      'fromOnnx: arrays must have as many numbers as their shape, got initializer "w1" of shape [4, 6] with 20',
    );
  });

  test("weights for toOnnx that are none of the model's", () => {
    const model = fromOnnx(BYTES);
    expect(() => model.toOnnx({ head: normal(1, [2]) })).toThrow(
      'toOnnx: leaves must be those of the model, got "head" [2]; export a model with other layers by toOnnx of a forward function',
    );
    expect(() => model.toOnnx({ b2: normal(1, [2]) })).toThrow(
      'toOnnx: leaves must be those of the model, got "b2" [2] for [3]; export',
    );
  });

  test("a model with state compiled without it", async () => {
    const model = fromOnnx(BYTES);
    await expect(
      compileForward((p, { x }, mode) => model.apply(p, x, mode), {
        params: model.params,
        example: { x: batch.x },
      }),
    ).rejects.toThrow('apply: `mode` must hold state "mean"');
  });
});
