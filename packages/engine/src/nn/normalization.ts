/**
 * Normalisation: (x − μ) / √(σ² + ε), scaled by γ and shifted by β; what μ and σ² are taken over differs.
 */

import type { Value } from "../trace/value.ts";
import { ones, zeros } from "./initializers.ts";
import { defineLayer, type Layer, type ParamSpec } from "./layer.ts";
import { requireCount, requirePositive, requireRate } from "./options.ts";

export interface NormOptions {
  /** ε, added to the variance; default 1e-5. */
  readonly epsilon?: number;
}

export interface BatchNormOptions extends NormOptions {
  /** Share of a batch's statistics in the running ones, as PyTorch's `momentum`; default 0.1. */
  readonly momentum?: number;
}

/**
 * Each channel over the batch and its places: [C] or [C, ...xs].
 *
 * Training uses the batch's mean and variance and keeps running ones, the variance unbiased (n − 1):
 * `running ← (1 − momentum) running + momentum batch`. Evaluation uses those. Pass `mode` to `apply`.
 *
 * Parameters: `scale` = γ [C], `shift` = β [C]. State: `mean`, `variance` [C].
 *
 * @see Ioffe & Szegedy 2015, algorithms 1 and 2, https://arxiv.org/abs/1502.03167
 */
export function batchNorm({ epsilon = 1e-5, momentum = 0.1 }: BatchNormOptions = {}): Layer {
  requirePositive("batchNorm", "epsilon", epsilon);
  requireRate("batchNorm", "momentum", momentum);
  return defineLayer({
    kind: "batchNorm",
    params: ([channels = 1]) => affine(channels),
    state: ([channels = 1]) => ({
      mean: { shape: [channels], init: zeros },
      variance: { shape: [channels], init: ones },
    }),
    outputShape: (inputShape) => inputShape,
    forward: (scope, x) => {
      const [batch = 1, channels = 1, ...xs] = x.shape;
      const perChannel = (value: Value): Value => value.reshape([1, channels, ...xs.map(() => 1)]);
      const [scale, shift] = [perChannel(scope.param("scale")), perChannel(scope.param("shift"))];
      if (!scope.training) {
        const [mean, variance] = [scope.state("mean"), scope.state("variance")];
        return scaled(x.sub(perChannel(mean)), perChannel(variance), epsilon, scale).add(shift);
      }
      const axis = [0, ...xs.map((_, i) => i + 2)];
      const { centred, mean, variance } = moments(x, axis);
      const count = xs.reduce((size, extent) => size * extent, batch);
      const running = (path: string, value: Value): void => {
        const fresh = value.reshape([channels]).stopGradient().mul(momentum);
        scope.keep(
          path,
          scope
            .state(path)
            .mul(1 - momentum)
            .add(fresh),
        );
      };
      running("mean", mean);
      running("variance", variance.mul(count / Math.max(1, count - 1)));
      return scaled(centred, variance, epsilon, scale).add(shift);
    },
  });
}

/**
 * Over the last axis.
 *
 * Parameters: `scale` = γ, `shift` = β of its extent.
 *
 * @see Ba, Kiros & Hinton 2016, https://arxiv.org/abs/1607.06450
 */
export function layerNorm({ epsilon = 1e-5 }: NormOptions = {}): Layer {
  requirePositive("layerNorm", "epsilon", epsilon);
  return defineLayer({
    kind: "layerNorm",
    params: (inputShape) => affine(inputShape.at(-1) ?? 1),
    outputShape: (inputShape) => inputShape,
    forward: (scope, x) => {
      const { centred, variance } = moments(x, [x.shape.length - 1]);
      return scaled(centred, variance, epsilon, scope.param("scale")).add(scope.param("shift"));
    },
  });
}

/**
 * x / √(mean(x²) + ε) over the last axis, times γ: neither centred nor shifted.
 *
 * Parameters: `scale` = γ of its extent.
 *
 * @see Zhang & Sennrich 2019, equation 4, https://arxiv.org/abs/1910.07467
 */
export function rmsNorm({ epsilon = 1e-5 }: NormOptions = {}): Layer {
  requirePositive("rmsNorm", "epsilon", epsilon);
  return defineLayer({
    kind: "rmsNorm",
    params: (inputShape) => ({ scale: { shape: [inputShape.at(-1) ?? 1], init: ones } }),
    outputShape: (inputShape) => inputShape,
    forward: (scope, x) => {
      const square = x.square().mean({ axis: x.shape.length - 1, keepDims: true });
      return scaled(x, square, epsilon, scope.param("scale"));
    },
  });
}

/**
 * Each sample over `groups` groups of channels and their places: [C, ...xs].
 *
 * Parameters: `scale` = γ [C], `shift` = β [C].
 *
 * @see Wu & He 2018, https://arxiv.org/abs/1803.08494
 */
export function groupNorm(groups: number, { epsilon = 1e-5 }: NormOptions = {}): Layer {
  requireCount("groupNorm", "groups", groups);
  requirePositive("groupNorm", "epsilon", epsilon);
  return defineLayer({
    kind: "groupNorm",
    params: ([channels = 1]) => {
      if (channels % groups !== 0) {
        throw new RangeError(
          `groupNorm: \`groups\` must divide ${channels} channels, got ${groups}`,
        );
      }
      return affine(channels);
    },
    outputShape: (inputShape) => inputShape,
    forward: (scope, x) => {
      const [batch = 1, channels = 1, ...xs] = x.shape;
      const perChannel = (value: Value): Value => value.reshape([1, channels, ...xs.map(() => 1)]);
      const places = xs.reduce((size, extent) => size * extent, channels / groups);
      const { centred, variance } = moments(x.reshape([batch, groups, places]), [2]);
      const normal = scaled(centred, variance, epsilon).reshape(x.shape);
      return normal.mul(perChannel(scope.param("scale"))).add(perChannel(scope.param("shift")));
    },
  });
}

function affine(extent: number): Readonly<Record<string, ParamSpec>> {
  return { scale: { shape: [extent], init: ones }, shift: { shape: [extent], init: zeros } };
}

/** Mean and variance (n) over `axis`, kept as axes of extent 1, and x without its mean. */
export function moments(
  x: Value,
  axis: readonly number[],
): { readonly centred: Value; readonly mean: Value; readonly variance: Value } {
  const mean = x.mean({ axis, keepDims: true });
  const centred = x.sub(mean);
  return { centred, mean, variance: centred.square().mean({ axis, keepDims: true }) };
}

/** x γ / √(variance + ε), the factors multiplied first: they are the smaller arrays. */
export function scaled(x: Value, variance: Value, epsilon: number, scale?: Value): Value {
  const factor = variance.add(epsilon).sqrt().reciprocal();
  // A scale along an axis of x that the variance has not cannot be multiplied first for less.
  const first = scale !== undefined && scale.shape.length === variance.shape.length;
  return first
    ? x.mul(factor.mul(scale))
    : scale === undefined
      ? x.mul(factor)
      : x.mul(factor).mul(scale);
}
