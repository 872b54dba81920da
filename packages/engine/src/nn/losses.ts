/** Losses and metrics on values; losses are means over the batch. */

import { showShape } from "../errors.ts";
import { iota, Value } from "../trace/value.ts";
import { flattenValues, type ParamValues } from "./layer.ts";

/**
 * Mean over the batch of −Σⱼ pⱼ log softmax(z)ⱼ.
 *
 *     log softmax(z)ⱼ = zⱼ − m − log Σₖ exp(zₖ − m),   m = maxₖ zₖ
 *
 * @param logits - z, float32 [..., classes].
 * @param labels - int32 [...], the index of the right class, each in [0, classes) (checked by `run` if
 *   the labels are a batch input); or float32 [..., classes], the probabilities p (one-hot or soft).
 * @returns A float32 scalar.
 * @throws TypeError if labels fit neither form.
 */
export function softmaxCrossEntropy(logits: Value, labels: Value): Value {
  const axis = logits.shape.length - 1;
  // The gradient of log-sum-exp does not depend on m: treating it as constant is exact.
  const shifted = logits.sub(logits.max({ axis, keepDims: true }).stopGradient());
  const logSum = shifted.exp().sum({ axis, keepDims: true }).log();
  if (labels.dtype === "int32") {
    const picked = oneHot("softmaxCrossEntropy", logits, labels).select(shifted, 0);
    return logSum.sub(picked.sum({ axis, keepDims: true })).mean();
  }
  if (!(labels.dtype === "float32" && labels.shape.join() === logits.shape.join())) {
    throw labelsError("softmaxCrossEntropy", logits, labels);
  }
  return logSum.sub(shifted).mul(labels).sum({ axis }).mean();
}

/** exp(z) / Σ exp(z) over the last axis, without overflow. */
export function softmax(logits: Value): Value {
  const axis = logits.shape.length - 1;
  const powers = logits.sub(logits.max({ axis, keepDims: true }).stopGradient()).exp();
  return powers.div(powers.sum({ axis, keepDims: true }));
}

/** Mean of (prediction − target)² over all elements; a float32 scalar. */
export function meanSquaredError(prediction: Value, target: Value): Value {
  if (prediction.shape.join() !== target.shape.join()) {
    throw new TypeError(
      `meanSquaredError: prediction and target must have one shape, got ${showShape(prediction.shape)} and ${showShape(target.shape)}`,
    );
  }
  return prediction.sub(target).square().mean();
}

/**
 * coefficient / 2 · Σ w², summed over all elements: adds coefficient · w to the gradient.
 *
 * @param weights - One value, or a tree of them (the whole model's parameters, biases included).
 * @param coefficient - At least 0.
 */
export function l2(weights: Value | ParamValues, coefficient: number): Value {
  if (!(coefficient >= 0 && coefficient < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`l2: \`coefficient\` must be finite and at least 0, got ${coefficient}`);
  }
  const values = weights instanceof Value ? [weights] : [...flattenValues(weights).values()];
  const [first, ...rest] = values.map((value) => value.square().sum());
  if (first === undefined) {
    throw new RangeError("l2: `weights` must hold at least one value, got none");
  }
  return rest.reduce((sum, term) => sum.add(term), first).mul(coefficient / 2);
}

/**
 * 1 where the largest logit is the label's, else 0: float32, shaped as the labels (without classes).
 *
 * Of equal logits the first counts as largest; a row with NaN is never correct.
 * @param labels - As for `softmaxCrossEntropy`.
 */
export function correct(logits: Value, labels: Value): Value {
  const predicted = argmax(logits);
  if (labels.dtype === "int32") {
    requireLabels("correct", logits, labels);
    return predicted.equal(labels).cast("float32");
  }
  if (!(labels.dtype === "float32" && labels.shape.join() === logits.shape.join())) {
    throw labelsError("correct", logits, labels);
  }
  return predicted.equal(argmax(labels)).cast("float32");
}

/** Share of the batch that `correct` counts, in [0, 1]. */
export function accuracy(logits: Value, labels: Value): Value {
  return correct(logits, labels).mean();
}

/** Index of the first largest element of the last axis; the axis' extent if one of them is NaN. */
function argmax(values: Value): Value {
  const axis = values.shape.length - 1;
  const count = values.shape[axis] ?? 1;
  // ONNX Runtime's ReduceMax may pass over a NaN: as infinity it is larger than any of the row.
  const bounds = values.equal(values).select(values, Number.POSITIVE_INFINITY);
  const isLargest = bounds.max({ axis, keepDims: true }).lessEqual(values);
  return isLargest.select(iota(count), count).min({ axis });
}

/** True at [..., label]. */
function oneHot(where: string, logits: Value, labels: Value): Value {
  const count = requireLabels(where, logits, labels);
  return iota(count).equal(labels.reshape([...labels.shape, 1]));
}

/** The number of classes, to which labels are held. */
function requireLabels(where: string, logits: Value, labels: Value): number {
  const count = logits.shape.at(-1);
  if (count === undefined || labels.shape.join() !== logits.shape.slice(0, -1).join()) {
    throw labelsError(where, logits, labels);
  }
  Value.requireBelow(labels, count);
  return count;
}

function labelsError(where: string, logits: Value, labels: Value): TypeError {
  const outer = logits.shape.slice(0, -1).join(", ");
  return new TypeError(
    `${where}: labels must be int32 [${outer}] or float32 ${showShape(logits.shape)}, got ${labels.dtype} ${showShape(labels.shape)}`,
  );
}
