/** Rules of the primitives that move elements; most only change the view. */

import { type GraphBuilder } from "../builder.ts";
import {
  broadcastAt,
  isHeld,
  materialize,
  reshape,
  transpose,
  type View,
  viewOf,
} from "../views.ts";
import { at, listParam, pairsParam, type RuleTable } from "./rule.ts";

export const MOVEMENT: RuleTable = {
  transpose: (_, inputs, equation) => [transpose(at(inputs, 0), listParam(equation, "perm"))],
  reshape: (builder, inputs, equation) => [
    reshape(builder, at(inputs, 0), listParam(equation, "shape")),
  ],
  broadcast: (_, inputs, equation) => [
    broadcastAt(at(inputs, 0), listParam(equation, "shape"), listParam(equation, "axis")),
  ],
  shrink: (builder, inputs, equation) => {
    const view = at(inputs, 0);
    const slices = pairsParam(equation, "slice");
    const cut = slices.flatMap(([start, end], axis) =>
      end - start === view.shape[axis] ? [] : [{ axis, start, end, step: 1 }],
    );
    return [slice(builder, view, cut)];
  },
  flip: (builder, inputs, equation) => {
    const view = at(inputs, 0);
    // From the last element backwards past the first: ONNX writes "past the first" as a very low end.
    const cut = listParam(equation, "axis").map((axis) => ({
      axis,
      start: -1,
      end: -(2 ** 31),
      step: -1,
    }));
    return [slice(builder, view, cut)];
  },
  pad: (builder, inputs, equation) => {
    const widths = pairsParam(equation, "width");
    const pads = [...widths.map(([before]) => before), ...widths.map(([, after]) => after)];
    return [viewOf(builder.emit("Pad", [materialize(builder, at(inputs, 0))], { pads }))];
  },
  concatenate: (builder, inputs, { params }) => {
    const tensors = inputs.map((view) => materialize(builder, view));
    return [viewOf(builder.emit("Concat", tensors, { axis: Number(params["axis"]) }))];
  },
  split: (builder, inputs, equation) => {
    const attributes = {
      split: listParam(equation, "sizes"),
      axis: Number(equation.params["axis"]),
    };
    return builder.emitAll("Split", [materialize(builder, at(inputs, 0))], attributes).map(viewOf);
  },
};

interface Cut {
  readonly axis: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

/** Slices the physical axes that hold data; along a repeated axis only the extent changes. */
function slice(builder: GraphBuilder, view: View, cuts: readonly Cut[]): View {
  const held = cuts.filter(({ axis }) => isHeld(view, axis));
  const tensor =
    held.length === 0
      ? view.tensor
      : builder.emit("Slice", [view.tensor], {
          starts: held.map(({ start }) => start),
          ends: held.map(({ end }) => end),
          axes: held.map(({ axis }) => view.axes[axis] as number),
          steps: held.map(({ step }) => step),
        });
  const shape = view.shape.map((extent, axis) => {
    const cut = cuts.find((candidate) => candidate.axis === axis && candidate.step > 0);
    return cut === undefined ? extent : cut.end - cut.start;
  });
  const axes = view.axes.map((physical, axis) => (shape[axis] === 1 ? -1 : physical));
  return { tensor, shape, axes };
}
