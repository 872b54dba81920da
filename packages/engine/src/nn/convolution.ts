/** Convolutional layers over pictures [batch, channels, height, width] and signals [batch, channels, length]. */

import { type ConvOptions, type WindowOptions, windowsOf } from "../trace/value.ts";
import { type Fans, heNormal, type Initializer, zeros } from "./initializers.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { eachAxis, requireCount, requireRank } from "./options.ts";

export interface ConvLayerOptions extends ConvOptions {
  /** Add a bias; default true. Leave it out before a batch norm, which subtracts it again. */
  readonly bias?: boolean;
  /** Default `heNormal`. */
  readonly kernelInit?: Initializer;
  /** Default `zeros`. */
  readonly biasInit?: Initializer;
}

/**
 * Cross-correlation of pictures: [C, H, W] to [filters, H', W'], H' = ⌊(H + padding − d (k − 1) − 1) / s⌋ + 1.
 *
 *     y[k, p] = b[k] + Σ_c Σ_t x[c, s p + d t − padding] w[k, c, t]
 *
 * Parameters: `kernel` = w [filters, C / groups, kh, kw], `bias` = b [filters].
 */
export function conv2d(
  filters: number,
  kernelSize: number | readonly number[],
  options: ConvLayerOptions = {},
): Layer {
  return conv(
    "conv2d",
    2,
    () => filters,
    kernelSize,
    () => options.groups ?? 1,
    options,
  );
}

/** `conv2d` over signals: [C, L] to [filters, L']; `kernel` [filters, C / groups, k]. */
export function conv1d(
  filters: number,
  kernelSize: number | readonly number[],
  options: ConvLayerOptions = {},
): Layer {
  return conv(
    "conv1d",
    1,
    () => filters,
    kernelSize,
    () => options.groups ?? 1,
    options,
  );
}

export interface DepthwiseOptions extends WindowOptions {
  /** Filters for each channel; default 1. */
  readonly multiplier?: number;
  readonly bias?: boolean;
  readonly kernelInit?: Initializer;
  readonly biasInit?: Initializer;
}

/** `conv2d` with a group for each channel: [C, H, W] to [C multiplier, H', W']. */
export function depthwiseConv2d(
  kernelSize: number | readonly number[],
  { multiplier = 1, ...options }: DepthwiseOptions = {},
): Layer {
  requireCount("depthwiseConv2d", "multiplier", multiplier);
  const filters = (channels: number): number => channels * multiplier;
  return conv("depthwiseConv2d", 2, filters, kernelSize, (channels) => channels, options);
}

function conv(
  kind: string,
  rank: 1 | 2,
  filtersOf: (channels: number) => number,
  kernelSize: number | readonly number[],
  groupsOf: (channels: number) => number,
  options: ConvLayerOptions,
): Layer {
  const { bias = true, kernelInit = heNormal, biasInit = zeros } = options;
  const window = eachAxis(kind, "kernelSize", kernelSize, rank);
  eachAxis(kind, "strides", options.strides ?? 1, rank);
  eachAxis(kind, "dilation", options.dilation ?? 1, rank);
  const { strides, dilation, padding } = windowsOf(window, options);
  const channelsOf = (inputShape: readonly number[]): number => {
    requireRank(kind, inputShape, rank === 1 ? "channels, length" : "channels, height, width");
    const channels = inputShape[0] as number;
    const [filters, groups] = [filtersOf(channels), groupsOf(channels)];
    requireCount(kind, "filters", filters);
    requireCount(kind, "groups", groups);
    if (channels % groups !== 0 || filters % groups !== 0) {
      throw new RangeError(
        `${kind}: \`groups\` must divide ${channels} channels and ${filters} filters, got ${groups}`,
      );
    }
    return channels;
  };
  return defineLayer({
    kind,
    params: (inputShape) => {
      const channels = channelsOf(inputShape);
      const [filters, groups] = [filtersOf(channels), groupsOf(channels)];
      const field = window.reduce((size, extent) => size * extent, 1);
      const fans: Fans = { in: (channels / groups) * field, out: (filters / groups) * field };
      return {
        kernel: { shape: [filters, channels / groups, ...window], init: kernelInit, fans },
        ...(bias ? { bias: { shape: [filters], init: biasInit, fans } } : {}),
      };
    },
    outputShape: (inputShape) => {
      const channels = channelsOf(inputShape);
      const extents = inputShape.slice(1).map((extent, i) => {
        const [before, after] = padding[i] as [number, number];
        const reach = ((window[i] as number) - 1) * (dilation[i] as number) + 1;
        const room = extent + before + after - reach;
        if (room < 0) {
          throw new RangeError(
            `${kind}: input must be at least as large as the kernel, got extent ${extent} and padding ${before + after} for a reach of ${reach}`,
          );
        }
        return Math.floor(room / (strides[i] as number)) + 1;
      });
      return [filtersOf(channels), ...extents];
    },
    forward: (scope, x) => {
      const channels = channelsOf(x.shape.slice(1));
      const y = x.conv(scope.param("kernel"), {
        strides,
        padding,
        dilation,
        groups: groupsOf(channels),
      });
      const ones = window.map(() => 1);
      return bias ? y.add(scope.param("bias").reshape([filtersOf(channels), ...ones])) : y;
    },
  });
}
