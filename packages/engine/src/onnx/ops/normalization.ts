/** Rows of normalisations and of softmax. */

import { sizeOf } from "@adastra/core";
import { moments, scaled } from "../../nn/normalization.ts";
import type { Value } from "../../trace/value.ts";
import { type Call, type Row, type RowTable, wrapAxis } from "../call.ts";

/** [C] beside [batch, C, ...xs]. */
function perChannel(x: Value, value: Value): Value {
  return value.reshape([1, sizeOf(value.shape), ...x.shape.slice(2).map(() => 1)]);
}

/**
 * By the statistics in the file; where `fromOnnx` was asked for batch statistics, a training step takes the
 * batch's and keeps `running ← momentum running + (1 − momentum) batch`, with the variance of n, as the
 * specification has it (PyTorch takes that of n − 1).
 */
const batchNormalization: Row = {
  arity: [5, 5],
  kept: [3, 4],
  run: (call) => {
    if (call.int("training_mode", 0) !== 0 || call.int("spatial", 1) !== 1 || call.outputs > 1) {
      throw call.fail(
        "statistics must be those of the file, one a channel, got a node exported while training; export the model in evaluation mode",
      );
    }
    const x = call.value(0);
    const [scale, shift] = [perChannel(x, call.value(1)), perChannel(x, call.value(2))];
    const epsilon = call.float("epsilon", 1e-5);
    if (!call.batchStatistics || !call.scope.training) {
      const [mean, variance] = [perChannel(x, call.value(3)), perChannel(x, call.value(4))];
      return scaled(x.sub(mean), variance, epsilon, scale).add(shift);
    }
    const axis = x.shape.map((_, i) => i).filter((i) => i !== 1);
    const { centred, mean, variance } = moments(x, axis);
    const momentum = call.float("momentum", 0.9);
    keepRunning(call, 3, mean, momentum);
    keepRunning(call, 4, variance, momentum);
    return scaled(centred, variance, epsilon, scale).add(shift);
  },
};

function keepRunning(call: Call, index: number, batch: Value, momentum: number): void {
  const running = call.value(index);
  const fresh = batch.reshape(running.shape).stopGradient();
  call.scope.keep(
    call.node.inputs[index] as string,
    running.mul(momentum).add(fresh.mul(1 - momentum)),
  );
}

const instanceNormalization: Row = {
  arity: [3, 3],
  run: (call) => {
    const x = call.value(0);
    const { centred, variance } = moments(x, x.shape.map((_, i) => i).slice(2));
    const scale = perChannel(x, call.value(1));
    return scaled(centred, variance, call.float("epsilon", 1e-5), scale).add(
      perChannel(x, call.value(2)),
    );
  },
};

const layerNormalization: Row = {
  arity: [2, 3],
  run: (call) => {
    if (call.outputs > 1) {
      throw call.fail("mean and deviation must not be read, got a reader of output 1");
    }
    const x = call.value(0);
    const first = wrapAxis(call, call.int("axis", -1), x.shape.length);
    const { centred, variance } = moments(x, x.shape.map((_, i) => i).slice(first));
    const y = scaled(centred, variance, call.float("epsilon", 1e-5)).mul(call.value(1));
    return call.has(2) ? y.add(call.value(2)) : y;
  },
};

/** Scale and shift are one a group before opset 21, one a channel from then on. */
const groupNormalization: Row = {
  arity: [3, 3],
  run: (call) => {
    const x = call.value(0);
    const groups = call.int("num_groups");
    const [batch = 1, channels = 1] = x.shape;
    const places = sizeOf(x.shape.slice(1)) / groups;
    const { centred, variance } = moments(x.reshape([batch, groups, places]), [2]);
    const normal = scaled(centred, variance, call.float("epsilon", 1e-5));
    const [scale, shift] = [call.value(1), call.value(2)];
    return call.opset < 21
      ? normal
          .mul(scale.reshape([1, groups, 1]))
          .add(shift.reshape([1, groups, 1]))
          .reshape(x.shape)
      : normal
          .reshape(x.shape)
          .mul(perChannel(x, scale.reshape([channels])))
          .add(perChannel(x, shift));
  },
};

/** x / (bias + α / size Σ x²)^β, the sum over `size` neighbouring channels. */
const localResponse: Row = {
  arity: [1, 1],
  run: (call) => {
    const x = call.value(0);
    const size = call.int("size");
    const channels = x.shape[1] as number;
    const reach = (size - 1) / 2;
    if (!(size >= 1 && size % 2 === 1 && size <= 2 * channels)) {
      throw call.fail(`\`size\` must be odd and in [1, ${2 * channels}], got ${size}`);
    }
    const squares = x.square().pad(x.shape.map((_, i) => (i === 1 ? [reach, reach] : [0, 0])));
    const sum = Array.from({ length: size }, (_, i) => squares.slice(1, i, i + channels)).reduce(
      (a, b) => a.add(b),
    );
    const base = sum.mul(call.float("alpha", 1e-4) / size).add(call.float("bias", 1));
    return x.mul(base.log().mul(-call.float("beta", 0.75)).exp());
  },
};

/** Over one axis; before opset 13 over that axis and all after it. */
function overClasses(call: Call, compute: (z: Value, axis: number) => Value): Value {
  const x = call.value(0);
  if (call.opset >= 13) {
    return compute(x, wrapAxis(call, call.int("axis", -1), x.shape.length));
  }
  const axis = wrapAxis(call, call.int("axis", 1), x.shape.length);
  const rows = x.reshape([sizeOf(x.shape.slice(0, axis)), sizeOf(x.shape.slice(axis))]);
  return compute(rows, 1).reshape(x.shape);
}

/** z − max z: it does not overflow, and the gradient does not depend on the maximum. */
function shifted(z: Value, axis: number): Value {
  return z.sub(z.max({ axis, keepDims: true }).stopGradient());
}

export const NORMALIZATION: RowTable = {
  BatchNormalization: batchNormalization,
  GroupNormalization: groupNormalization,
  InstanceNormalization: instanceNormalization,
  LayerNormalization: layerNormalization,
  LogSoftmax: {
    arity: [1, 1],
    run: (call) =>
      overClasses(call, (x, axis) => {
        const z = shifted(x, axis);
        return z.sub(z.exp().sum({ axis, keepDims: true }).log());
      }),
  },
  LRN: localResponse,
  Softmax: {
    arity: [1, 1],
    run: (call) =>
      overClasses(call, (x, axis) => {
        const powers = shifted(x, axis).exp();
        return powers.div(powers.sum({ axis, keepDims: true }));
      }),
  },
};
