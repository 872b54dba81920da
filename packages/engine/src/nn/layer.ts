/**
 * Layers: a model says which parameters it has and how it computes with them.
 *
 * A layer holds no arrays. `init` draws its parameters, `apply` reads them from whatever tree the
 * loss was handed: flat by path (`"dense1/kernel"`) or nested (`dense1: { kernel }`).
 */

import { type Leaf, type Leaves, type Random, sizeOf } from "@adastra/core";
import { showShape } from "../errors.ts";
import { EVALUATION, type Mode } from "../trace/mode.ts";
import { Value } from "../trace/value.ts";
import { type Fans, fansOf, type Initializer } from "./initializers.ts";

/** Values of parameters: nested records, or flat by path. */
export type ParamValues = { readonly [key: string]: Value | ParamValues };

/** Shape and initial value of one parameter. */
export interface ParamSpec {
  readonly shape: readonly number[];
  readonly init: Initializer;
  /** Inputs and outputs of one unit; default those of a kernel of shape [..., in, out]. */
  readonly fans?: Fans;
}

/** What a layer's `forward` is given beside its input: paths are within the layer. */
export interface Scope {
  readonly training: boolean;
  /** A parameter; where `params` does not hold it, the frozen one of the state (`freeze`). */
  param(path: string): Value;
  /** What the layer kept at `path`. */
  state(path: string): Value;
  /** What it keeps from now on. */
  keep(path: string, value: Value): void;
  /** The scope of a layer inside this one. */
  within(name: string): Scope;
}

/** What a new kind of layer states. Shapes leave out the batch axis. */
export interface LayerDefinition {
  /** Kind of layer, the prefix of its parameters in a `sequential`: `dense` gives `dense1/`, `dense2/`. */
  readonly kind: string;
  params(inputShape: readonly number[]): Readonly<Record<string, ParamSpec>>;
  /** What the layer keeps beside parameters, such as running statistics; default nothing. */
  state?(inputShape: readonly number[]): Readonly<Record<string, ParamSpec>>;
  outputShape(inputShape: readonly number[]): readonly number[];
  forward(scope: Scope, x: Value): Value;
}

export interface Layer extends LayerDefinition {
  /**
   * Initial parameters for inputs of `inputShape` (without the batch axis). Each leaf has its own
   * generator, forked by path: adding a layer changes no other layer's draw.
   */
  init(random: Random, inputShape: readonly number[]): Leaves<Float32Array>;
  /** Initial state, drawn as parameters are; empty for layers that keep nothing. */
  initState(random: Random, inputShape: readonly number[]): Leaves<Float32Array>;
  /**
   * The layer's output for `x` of shape [batch, ...inputShape].
   *
   * @param mode - What the loss or forward function got as its third argument; default evaluation
   *   without state.
   */
  apply(params: ParamValues, x: Value, mode?: Mode): Value;
}

export function defineLayer(definition: LayerDefinition): Layer {
  return {
    ...definition,
    init: (random, inputShape) => drawAll(random, definition.params(inputShape)),
    initState: (random, inputShape) => drawAll(random, definition.state?.(inputShape) ?? {}),
    apply: (params, x, mode = EVALUATION) =>
      definition.forward(scopeOf(flattenValues(params), mode, ""), x),
  };
}

function drawAll(random: Random, specs: Readonly<Record<string, ParamSpec>>): Leaves<Float32Array> {
  const leaves: Record<string, Leaf<Float32Array>> = {};
  for (const [path, { shape, init, fans }] of Object.entries(specs)) {
    const data = init(random.fork(path), shape, fans ?? fansOf(shape));
    if (data.length !== sizeOf(shape)) {
      throw new RangeError(
        `init: initializer of "${path}" must return ${sizeOf(shape)} elements for ${showShape(shape)}, got ${data.length}`,
      );
    }
    leaves[path] = { shape, data };
  }
  return leaves;
}

/** @internal The scope of a whole model. */
export function scopeOf(values: ReadonlyMap<string, Value>, mode: Mode, prefix = ""): Scope {
  return {
    training: mode.training,
    param: (path) => {
      const value = values.get(prefix + path) ?? (mode.has(path) ? mode.state(path) : undefined);
      if (value === undefined) {
        throw new RangeError(
          `apply: \`params\` must hold "${prefix}${path}", got ${[...values.keys()].map((key) => `"${key}"`).join(", ") || "none"}`,
        );
      }
      return value;
    },
    state: (path) => mode.state(path),
    keep: (path, value) => mode.keep(path, value),
    within: (name) => scopeOf(values, mode.within(name), `${prefix}${name}/`),
  };
}

/** Every value of a tree by path. */
export function flattenValues(params: ParamValues): ReadonlyMap<string, Value> {
  const values = new Map<string, Value>();
  const walk = (branch: ParamValues, prefix: string): void => {
    for (const [key, child] of Object.entries(branch)) {
      const path = prefix === "" ? key : `${prefix}/${key}`;
      if (child instanceof Value) {
        values.set(path, child);
      } else {
        walk(child, path);
      }
    }
  };
  walk(params, "");
  return values;
}
