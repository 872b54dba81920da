/** The layers of dense networks. */

import { sizeOf } from "@adastra/core";
import type { Value } from "../trace/value.ts";
import { glorotUniform, type Initializer, zeros } from "./initializers.ts";
import { defineLayer, type Layer, type ParamSpec } from "./layer.ts";
import { requireCount } from "./options.ts";

export interface DenseOptions {
  /** Add a bias; default true. */
  readonly bias?: boolean;
  /** Default `glorotUniform`. */
  readonly kernelInit?: Initializer;
  /** Default `zeros`. */
  readonly biasInit?: Initializer;
}

/**
 * y = x W + b over the last axis of x: [..., in] to [..., units].
 *
 * Parameters: `kernel` = W [in, units], `bias` = b [units].
 */
export function dense(units: number, options: DenseOptions = {}): Layer {
  const { bias = true, kernelInit = glorotUniform, biasInit = zeros } = options;
  requireCount("dense", "units", units);
  return defineLayer({
    kind: "dense",
    params: (inputShape): Record<string, ParamSpec> => {
      const features = inputShape.at(-1);
      if (features === undefined) {
        throw new RangeError("dense: input must have a feature axis, got shape []");
      }
      return {
        kernel: { shape: [features, units], init: kernelInit },
        ...(bias ? { bias: { shape: [units], init: biasInit } } : {}),
      };
    },
    outputShape: (inputShape) => [...inputShape.slice(0, -1), units],
    forward: (scope, x) => {
      const product = x.matmul(scope.param("kernel"));
      return bias ? product.add(scope.param("bias")) : product;
    },
  });
}

/** A layer without parameters that computes each element from itself. */
function activation(kind: string, compute: (x: Value) => Value): Layer {
  return defineLayer({
    kind,
    params: () => ({}),
    outputShape: (inputShape) => inputShape,
    forward: (_, x) => compute(x),
  });
}

/** max(x, 0); the gradient at 0 is 0, as in PyTorch. */
export function relu(): Layer {
  return activation("relu", (x) => x.relu());
}

export function tanh(): Layer {
  return activation("tanh", (x) => x.tanh());
}

/** 1 / (1 + exp(-x)). */
export function sigmoid(): Layer {
  return activation("sigmoid", (x) => x.sigmoid());
}

/** x σ(x), also called swish. */
export function silu(): Layer {
  return activation("silu", (x) => x.mul(x.sigmoid()));
}

/** x Φ(x), Φ the standard normal distribution function; not the tanh approximation. */
export function gelu(): Layer {
  return activation("gelu", (x) => x.gelu());
}

/** [batch, ...shape] to [batch, size]. */
export function flatten(): Layer {
  return defineLayer({
    kind: "flatten",
    params: () => ({}),
    outputShape: (inputShape) => [sizeOf(inputShape)],
    forward: (_, x) => x.reshape([x.shape[0] ?? 1, sizeOf(x.shape.slice(1))]),
  });
}
