/**
 * Layers: a model says which parameters it has and how it computes with them.
 *
 * A layer holds no arrays. `init` draws its parameters, `apply` reads them from whatever tree the
 * loss was handed: flat by path (`"dense1/kernel"`) or nested (`dense1: { kernel }`).
 */

import { type Leaf, type Leaves, type Random, sizeOf } from "@adastra/core";
import { showShape } from "../errors.ts";
import { Value } from "../trace/value.ts";
import type { Initializer } from "./initializers.ts";

/** Values of parameters: nested records, or flat by path. */
export type ParamValues = { readonly [key: string]: Value | ParamValues };

/** Shape and initial value of one parameter. */
export interface ParamSpec {
  readonly shape: readonly number[];
  readonly init: Initializer;
}

/** What a new kind of layer states. Shapes leave out the batch axis. */
export interface LayerDefinition {
  /** Kind of layer, the prefix of its parameters in a `sequential`: `dense` gives `dense1/`, `dense2/`. */
  readonly kind: string;
  params(inputShape: readonly number[]): Readonly<Record<string, ParamSpec>>;
  outputShape(inputShape: readonly number[]): readonly number[];
  /** `param` looks a parameter up by its path within this layer. */
  forward(param: (path: string) => Value, x: Value): Value;
}

export interface Layer extends LayerDefinition {
  /**
   * Initial parameters for inputs of `inputShape` (without the batch axis). Each leaf has its own
   * generator, forked by path: adding a layer changes no other layer's draw.
   */
  init(random: Random, inputShape: readonly number[]): Leaves<Float32Array>;
  /** The layer's output for `x` of shape [batch, ...inputShape]. */
  apply(params: ParamValues, x: Value): Value;
}

export function defineLayer(definition: LayerDefinition): Layer {
  return {
    ...definition,
    init: (random, inputShape) => {
      const leaves: Record<string, Leaf<Float32Array>> = {};
      for (const [path, { shape, init }] of Object.entries(definition.params(inputShape))) {
        const data = init(random.fork(path), shape);
        if (data.length !== sizeOf(shape)) {
          throw new RangeError(
            `init: initializer of "${path}" must return ${sizeOf(shape)} elements for ${showShape(shape)}, got ${data.length}`,
          );
        }
        leaves[path] = { shape, data };
      }
      return leaves;
    },
    apply: (params, x) => {
      const values = flattenValues(params);
      return definition.forward((path) => {
        const value = values.get(path);
        if (value === undefined) {
          throw new RangeError(
            `apply: \`params\` must hold "${path}", got ${[...values.keys()].map((key) => `"${key}"`).join(", ") || "none"}`,
          );
        }
        return value;
      }, x);
    },
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
