/** `fromOnnx`: a model from a file, with its weights as parameters. */

import { flatten, type Leaf, type Leaves, sizeOf, type Tree } from "@adastra/core";
import type { Array as JaxArray } from "@jax-js/jax";
import { showShape } from "../errors.ts";
import {
  defineLayer,
  flattenValues,
  type Layer,
  type ParamSpec,
  type ParamValues,
  type Scope,
  scopeOf,
} from "../nn/layer.ts";
import { EVALUATION, Mode } from "../trace/mode.ts";
import { traceArrays } from "../trace/trace.ts";
import { Value } from "../trace/value.ts";
import { callOf, type Operand, valueOf } from "./call.ts";
import { OnnxError, UnsupportedOnnxOpError } from "./errors.ts";
import { type OnnxFile, type OnnxInput, type OnnxNode, readFile } from "./file.ts";
import { Known } from "./known.ts";
import { rowOf } from "./ops/index.ts";
import { withWeights } from "./patch.ts";

export interface FromOnnxOptions {
  /**
   * Names of the tensors that `apply` returns, any that the file computes; default the file's outputs. What they
   * do not need is left out, with its parameters: this is how a head is cut off.
   */
  readonly outputs?: readonly string[];
  /**
   * While training, normalise by the batch's mean and variance and keep running ones, as the model was trained;
   * default false: by the statistics in the file, as the model is used.
   */
  readonly batchStatistics?: boolean;
}

export interface OnnxModel {
  /** float32 weights by their names in the file. */
  readonly params: Leaves<Float32Array>;
  /** Running means and variances by their names. */
  readonly state: Leaves<Float32Array>;
  readonly inputs: readonly OnnxInput[];
  readonly outputs: readonly string[];
  /** Names of every tensor on the way to the outputs, in the order they are computed. */
  readonly tensors: readonly string[];
  /**
   * The outputs by name.
   *
   * @param params - Values of `params`, nested or flat; those that it lacks are read from `mode` (`freeze`).
   * @param inputs - By name; of a model with one input, the value alone.
   * @param mode - The third argument of the loss; needed where the model has state.
   * @throws OnnxError if an input is missing or of another shape, or a node does not fit its inputs.
   */
  apply(
    params: ParamValues,
    inputs: Value | Readonly<Record<string, Value>>,
    mode?: Mode,
  ): Readonly<Record<string, Value>>;
  /** A model of one input and one output as a layer: `nn.sequential(model.layer(), nn.dense(10))`. */
  layer(): Layer;
  /**
   * The file with other weights: `params` and `state` where they are given, everything else to the byte.
   *
   * @throws RangeError for a leaf that is none of the model's, or has another shape.
   */
  toOnnx(params: Tree<Float32Array>, state?: Leaves<Float32Array>): Uint8Array;
}

/**
 * Reads an ONNX model, to be trained further.
 *
 * Parameters are the float32 initializers and the values of `Constant` nodes, but not scalars and what says how
 * to compute (bounds of a Clip, widths of a Pad, sizes). Integers of every width are int32 here, doubles float32.
 * Nothing is computed before `apply`, and shapes are static there: one trace is for one shape of the inputs.
 *
 * @throws UnsupportedOnnxOpError naming op and node; OnnxError for bytes that are no ONNX model, or one that
 *   contradicts itself.
 * @see https://onnx.ai/onnx/operators/ for the ops, opset 7 to 24
 * @example
 * const model = fromOnnx(readFileSync("classifier.onnx"));
 * const loss = (p, { x, y }, mode) => nn.softmaxCrossEntropy(model.apply(p, x, mode).logits, y);
 * const gradient = await compile(loss, { params: model.params, state: model.state, example });
 */
export function fromOnnx(bytes: Uint8Array, options: FromOnnxOptions = {}): OnnxModel {
  const file = readFile(bytes);
  const { outputs = file.outputs, batchStatistics = false } = options;
  const plan = planOf(file, outputs);
  const leavesAt = (names: ReadonlySet<string>): Leaves<Float32Array> =>
    Object.fromEntries(
      [...file.constants].flatMap(([name, { shape, data }]): [string, Leaf<Float32Array>][] =>
        names.has(name) ? [[name, { shape, data: Float32Array.from(data) }]] : [],
      ),
    );
  const [params, state] = [leavesAt(plan.params), leavesAt(plan.state)];
  const evaluate = (scope: Scope, given: ReadonlyMap<string, Value>): readonly Value[] =>
    run(file, plan, outputs, batchStatistics, scope, given);
  return {
    params,
    state,
    inputs: plan.inputs,
    outputs,
    tensors: plan.nodes.flatMap((node) => node.outputs.filter((name) => name !== "")),
    apply: (values, inputs, mode = EVALUATION) => {
      const results = evaluate(
        scopeOf(flattenValues(values), mode),
        readInputs(plan.inputs, inputs),
      );
      return Object.fromEntries(outputs.map((name, i) => [name, results[i] as Value]));
    },
    layer: () => layerOf(plan.inputs, outputs, params, state, evaluate),
    toOnnx: (values, kept = {}) =>
      withWeights(bytes, weightsOf({ ...flatten(values), ...kept }, { ...params, ...state })),
  };
}

/** What of a file the outputs need. */
interface Plan {
  readonly nodes: readonly OnnxNode[];
  readonly inputs: readonly OnnxInput[];
  readonly params: ReadonlySet<string>;
  readonly state: ReadonlySet<string>;
  /** How many outputs of a node somebody reads, from the first on. */
  readonly read: ReadonlyMap<OnnxNode, number>;
}

function planOf(file: OnnxFile, outputs: readonly string[]): Plan {
  requireOutputs(file, outputs);
  const wanted = new Set(outputs);
  const read = new Map<OnnxNode, number>();
  const nodes = file.nodes
    .toReversed()
    .filter((node) => {
      const last = node.outputs.findLastIndex((name) => wanted.has(name));
      for (const name of last >= 0 ? node.inputs : []) {
        wanted.add(name);
      }
      read.set(node, last + 1);
      return last >= 0;
    })
    .reverse();
  requireRows(nodes);
  const known = knownTensors(nodes);
  const state = new Set(
    nodes
      .flatMap((node) => (rowOf(node.op)?.kept ?? []).map((place) => node.inputs[place] ?? ""))
      .filter((name) => file.constants.has(name)),
  );
  const isParam = ([name, { dtype, shape }]: [string, Known]): boolean => {
    const scalar = file.constantNodes.has(name) ? sizeOf(shape) === 1 : shape.length === 0;
    const says = known.has(name) || state.has(name) || scalar || sizeOf(shape) === 0;
    return dtype === "float32" && wanted.has(name) && !says;
  };
  const params = new Set([...file.constants].filter(isParam).map(([name]) => name));
  return { nodes, inputs: file.inputs.filter(({ name }) => wanted.has(name)), params, state, read };
}

function requireOutputs(file: OnnxFile, outputs: readonly string[]): void {
  const computed = new Set(file.nodes.flatMap((node) => node.outputs));
  const missing = outputs.find((name) => name === "" || !computed.has(name));
  if (outputs.length === 0 || missing !== undefined) {
    const some = file.nodes.map(({ outputs: [name = ""] }) => `"${name}"`).slice(-6);
    throw new OnnxError(
      `fromOnnx: \`outputs\` must be tensors that the file computes, got ${missing === undefined ? "none" : `"${missing}"`}; the last are ${some.join(", ") || "none"}`,
    );
  }
}

function requireRows(nodes: readonly OnnxNode[]): void {
  for (const { op, name, inputs } of nodes) {
    const row = rowOf(op);
    if (row === undefined) {
      throw new UnsupportedOnnxOpError(op, name);
    }
    const [least, most] = row.arity;
    if (inputs.length < least || inputs.slice(most).some((input) => input !== "")) {
      throw new OnnxError(
        `fromOnnx: ${op} must have ${least === most ? least : `${least} to ${most}`} inputs, got ${inputs.length} in node "${name}"`,
      );
    }
  }
}

/** Tensors whose numbers say what to compute: what rows ask for, and all it is computed from, up to shapes. */
function knownTensors(nodes: readonly OnnxNode[]): ReadonlySet<string> {
  const known = new Set<string>();
  for (const { op, inputs, outputs } of nodes.toReversed()) {
    const isAsked = outputs.some((name) => known.has(name)) && op !== "Shape" && op !== "Size";
    const places = rowOf(op)?.known ?? [];
    inputs.forEach((name, place) => {
      if (isAsked || places.includes(place)) {
        known.add(name);
      }
    });
  }
  return known;
}

function run(
  { opset, constants }: OnnxFile,
  plan: Plan,
  outputs: readonly string[],
  batchStatistics: boolean,
  scope: Scope,
  given: ReadonlyMap<string, Value>,
): readonly Value[] {
  const computed = new Map<string, Operand>(given);
  const read = (node: OnnxNode, name: string): Operand | undefined => {
    if (name === "") {
      return undefined;
    }
    if (!computed.has(name) && plan.params.has(name)) {
      computed.set(name, scope.param(name));
    } else if (!computed.has(name) && plan.state.has(name)) {
      computed.set(name, scope.state(name));
    }
    const operand = computed.get(name) ?? constants.get(name);
    if (operand === undefined) {
      throw new OnnxError(
        `apply: ${node.op} node "${node.name}": input must be computed before it, got "${name}"`,
      );
    }
    return operand;
  };
  for (const node of plan.nodes) {
    const inputs = node.inputs.map((name) => read(node, name));
    const results = computeNode(node, inputs, {
      opset,
      batchStatistics,
      scope,
      outputs: plan.read.get(node) ?? 1,
    });
    node.outputs.forEach((name, i) => {
      const result = results[i];
      if (result !== undefined) {
        computed.set(name, result);
      }
    });
  }
  return outputs.map((name) => {
    const result = computed.get(name);
    if (result === undefined) {
      throw new OnnxError(`apply: output must be computed, got none for "${name}"`);
    }
    return valueOf(result);
  });
}

function computeNode(
  node: OnnxNode,
  inputs: readonly (Operand | undefined)[],
  around: Pick<Parameters<typeof callOf>[0], "opset" | "batchStatistics" | "scope" | "outputs">,
): readonly Operand[] {
  try {
    const results = rowOf(node.op)?.run(callOf({ node, inputs, ...around })) ?? [];
    return results instanceof Value || results instanceof Known ? [results] : results;
  } catch (error) {
    if (error instanceof OnnxError) {
      throw error;
    }
    const got = inputs.map((input) =>
      input === undefined ? "none" : `${input.dtype} ${showShape(input.shape)}`,
    );
    throw new OnnxError(
      `apply: ${node.op} node "${node.name}": inputs must fit together, got ${got.join(", ")} (${error instanceof Error ? error.message : String(error)})`,
      { cause: error },
    );
  }
}

function readInputs(
  inputs: readonly OnnxInput[],
  given: Value | Readonly<Record<string, Value>>,
): ReadonlyMap<string, Value> {
  const names = inputs.map(({ name }) => `"${name}"`).join(", ") || "none";
  if (given instanceof Value && inputs.length !== 1) {
    throw new OnnxError(`apply: \`inputs\` must hold ${names} by name, got one value`);
  }
  return new Map(
    inputs.map((input): [string, Value] => {
      const value = given instanceof Value ? given : given[input.name];
      if (!(value instanceof Value)) {
        throw new OnnxError(
          `apply: \`inputs\` must hold ${names}, got ${value === undefined ? "none" : String(value)} for "${input.name}"`,
        );
      }
      return [input.name, checkInput(input, value)];
    }),
  );
}

function checkInput({ name, dtype, shape }: OnnxInput, value: Value): Value {
  const kind = dtype === "float32" ? "float32" : "int32"; // no batch array is bool
  const fits =
    shape === undefined ||
    (shape.length === value.shape.length &&
      shape.every((extent, axis) => extent === undefined || extent === value.shape[axis]));
  const isInteger = value.dtype === "int32" || value.dtype === "uint32";
  const isKind = value.dtype === dtype || isInteger === (kind === "int32");
  if (!fits || !isKind) {
    const expected =
      shape === undefined ? "" : ` [${shape.map((extent) => extent ?? "any").join(", ")}]`;
    throw new OnnxError(
      `apply: input "${name}" must be ${kind}${expected}, got ${value.dtype} ${showShape(value.shape)}`,
    );
  }
  return dtype === "bool" && value.dtype !== "bool" ? value.cast("bool") : value;
}

function layerOf(
  inputs: readonly OnnxInput[],
  outputs: readonly string[],
  params: Leaves<Float32Array>,
  state: Leaves<Float32Array>,
  evaluate: (scope: Scope, given: ReadonlyMap<string, Value>) => readonly Value[],
): Layer {
  const [input] = inputs;
  if (input === undefined || inputs.length !== 1 || outputs.length !== 1) {
    throw new OnnxError(
      `layer: the model must have one input and one output, got ${inputs.length} and ${outputs.length}; use apply, or fromOnnx's outputs`,
    );
  }
  const forward = (scope: Scope, x: Value): Value =>
    evaluate(scope, new Map([[input.name, checkInput(input, x)]]))[0] as Value; // one output
  const specsOf = (leaves: Leaves<Float32Array>): Readonly<Record<string, ParamSpec>> =>
    Object.fromEntries(
      Object.entries(leaves).map(([path, { shape, data }]) => [
        path,
        { shape, init: () => data.slice() },
      ]),
    );
  return defineLayer({
    kind: "onnx",
    params: () => specsOf(params),
    state: () => specsOf(state),
    forward,
    outputShape: (inputShape) => {
      const shape = [input.shape?.[0] ?? 1, ...inputShape];
      return shapeOf(
        { ...params, ...state },
        (scope, x) => forward(scope, x),
        shape,
        input.dtype,
      ).slice(1);
    },
  });
}

/** The shape of a forward pass, by tracing it. */
function shapeOf(
  leaves: Leaves<Float32Array>,
  forward: (scope: Scope, x: Value) => Value,
  shape: readonly number[],
  dtype: OnnxInput["dtype"],
): readonly number[] {
  const slots = Object.entries(leaves);
  const program = traceArrays(
    (...arrays) => {
      const [x, ...weights] = arrays.map((array: JaxArray) => Value.own(array)) as [
        Value,
        ...Value[],
      ];
      const values = new Map(slots.map(([path], i) => [path, weights[i] as Value]));
      return [Value.lend(forward(scopeOf(values, new Mode(false, values)), x))];
    },
    [
      { shape, dtype: dtype === "float32" ? "float32" : "int32" },
      ...slots.map(([, leaf]) => ({ shape: leaf.shape, dtype: "float32" as const })),
    ],
  );
  return program.outputs[0]?.shape ?? [];
}

/** The arrays of leaves, each one of the model's. */
function weightsOf(
  given: Leaves<Float32Array>,
  own: Leaves<Float32Array>,
): ReadonlyMap<string, Float32Array> {
  return new Map(
    Object.entries(given).map(([path, { shape, data }]): [string, Float32Array] => {
      const leaf = own[path];
      if (
        leaf === undefined ||
        leaf.shape.join() !== shape.join() ||
        data.length !== leaf.data.length
      ) {
        throw new RangeError(
          `toOnnx: leaves must be those of the model, got "${path}" ${showShape(shape)}${leaf === undefined ? "" : ` for ${showShape(leaf.shape)}`}; export a model with other layers by toOnnx of a forward function`,
        );
      }
      return [path, data];
    }),
  );
}
