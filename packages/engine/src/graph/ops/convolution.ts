/** Convolutions and pooling over any number of spatial axes, channels before them. */

import { showShape } from "../../errors.ts";
import type { Attributes, TensorType } from "../types.ts";
import { int, ints, type OpTable, requireDType, sameType } from "./spec.ts";

const WINDOW = {
  kernel_shape: "ints",
  strides: "ints",
  dilations: "ints",
  pads: "ints",
  group: "int",
} as const;

export type ConvolutionOp = "Conv" | "ConvTranspose";

export const CONVOLUTION_OPS: OpTable<ConvolutionOp> = {
  /** x [N, C, ...xs], w [K, C / group, ...ks], bias [K] to [N, K, ...ys]. */
  Conv: {
    arity: [2, 3],
    attributes: WINDOW,
    infer: ([x, w, bias], attributes) => {
      const [input, kernel] = [x as TensorType, w as TensorType];
      requireDType(sameType([input, kernel]), ["float32"]);
      const [batch, channels, ...extents] = input.shape;
      const [outputs, perGroup, ...window] = kernel.shape;
      const group = int(attributes, "group");
      requireWindow("Conv", attributes, window, extents.length);
      const fits =
        channels === (perGroup as number) * group &&
        (outputs as number) % group === 0 &&
        (bias === undefined || bias.shape.join() === String(outputs));
      if (!fits) {
        throw channelsError("Conv", input, kernel, group);
      }
      const pads = ints(attributes, "pads");
      const ys = extents.map((extent, i) => {
        const room = extent + at(pads, i) + at(pads, i + extents.length) - reach(attributes, i);
        return Math.floor(room / at(ints(attributes, "strides"), i)) + 1;
      });
      return [{ shape: [batch as number, outputs as number, ...ys], dtype: "float32" }];
    },
  },
  /** The gradient of Conv with respect to its input: x [N, C, ...xs], w [C, K / group, ...ks] to [N, K, ...ys]. */
  ConvTranspose: {
    arity: [2, 2],
    attributes: { ...WINDOW, output_padding: "ints" },
    infer: ([x, w], attributes) => {
      const [input, kernel] = [x as TensorType, w as TensorType];
      requireDType(sameType([input, kernel]), ["float32"]);
      const [batch, channels, ...extents] = input.shape;
      const [inputs, perGroup, ...window] = kernel.shape;
      const group = int(attributes, "group");
      requireWindow("ConvTranspose", attributes, window, extents.length);
      if (channels !== inputs || (inputs as number) % group !== 0) {
        throw channelsError("ConvTranspose", input, kernel, group);
      }
      const pads = ints(attributes, "pads");
      const ys = extents.map(
        (extent, i) =>
          (extent - 1) * at(ints(attributes, "strides"), i) +
          reach(attributes, i) +
          at(ints(attributes, "output_padding"), i) -
          at(pads, i) -
          at(pads, i + extents.length),
      );
      const shape = [batch as number, (perGroup as number) * group, ...ys];
      return [{ shape, dtype: "float32" }];
    },
  },
};

/** Elements of the input from the first to the last that a window reads, dilation included. */
function reach(attributes: Attributes, axis: number): number {
  const [kernel, dilations] = [ints(attributes, "kernel_shape"), ints(attributes, "dilations")];
  return (at(kernel, axis) - 1) * at(dilations, axis) + 1;
}

function requireWindow(
  op: string,
  attributes: Attributes,
  window: readonly number[],
  rank: number,
): void {
  const stated = ints(attributes, "kernel_shape");
  const lengths = ["strides", "dilations"].map((name) => ints(attributes, name).length);
  const pads = ints(attributes, "pads");
  const fits =
    stated.join() === window.join() &&
    rank >= 1 &&
    lengths.every((length) => length === rank) &&
    pads.length === 2 * rank &&
    pads.every((pad) => pad >= 0);
  if (!fits) {
    throw new RangeError(
      `${op}: attributes must fit a kernel of ${showShape(window)}, got kernel_shape ${showShape(stated)}, pads ${showShape(pads)}`,
    );
  }
}

function channelsError(op: string, x: TensorType, w: TensorType, group: number): RangeError {
  return new RangeError(
    `${op}: channels must agree, got x ${showShape(x.shape)} and w ${showShape(w.shape)} in ${group} groups`,
  );
}

function at(values: readonly number[], index: number): number {
  return values[index] as number;
}
