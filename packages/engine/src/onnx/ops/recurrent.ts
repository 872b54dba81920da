/** Rows of recurrent ops, unrolled over [length, batch, features]: the graph holds each step. */

import { concat, full, type Value } from "../../trace/value.ts";
import type { Call, Row, RowTable } from "../call.ts";

/** One direction's weights: W [gates H, features], R [gates H, H], and both biases [gates H]. */
interface Cell {
  readonly input: Value;
  readonly recurrent: Value;
  readonly inputBias: Value;
  readonly recurrentBias: Value;
}

interface State {
  readonly h: Value;
  readonly c: Value;
}

type Step = (x: Value, state: State, cell: Cell) => State;

/** x Wᵀ + b. */
function affine(x: Value, weights: Value, bias: Value): Value {
  return x.matmul(weights.transpose([1, 0])).add(bias);
}

/** i, o, f = σ(x W + h R + b), g = tanh(...): c ← f c + i g, h ← o tanh c. */
const lstmStep: Step = (x, { h, c }, { input, recurrent, inputBias, recurrentBias }) => {
  const sums = affine(x, input, inputBias).add(affine(h, recurrent, recurrentBias));
  const [i, o, f, g] = sums.split(4, 1) as [Value, Value, Value, Value];
  const next = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()));
  return { h: o.sigmoid().mul(next.tanh()), c: next };
};

/** z, r = σ(...), n = tanh(...): h ← (1 − z) n + z h; the reset gate before or after the product with R. */
const gruStep =
  (resetAfter: boolean): Step =>
  (x, { h, c }, { input, recurrent, inputBias, recurrentBias }) => {
    const [xz, xr, xn] = affine(x, input, inputBias).split(3, 1) as [Value, Value, Value];
    const [rz, rr, rn] = recurrent.split(3, 0) as [Value, Value, Value];
    const [bz, br, bn] = recurrentBias.split(3, 0) as [Value, Value, Value];
    const z = xz.add(affine(h, rz, bz)).sigmoid();
    const r = xr.add(affine(h, rr, br)).sigmoid();
    const n = resetAfter
      ? xn.add(r.mul(affine(h, rn, bn))).tanh()
      : xn.add(affine(r.mul(h), rn, bn)).tanh();
    return { h: n.add(z.mul(h.sub(n))), c };
  };

/** h ← tanh(x W + h R + b). */
const rnnStep: Step = (x, { h, c }, { input, recurrent, inputBias, recurrentBias }) => ({
  h: affine(x, input, inputBias)
    .add(affine(h, recurrent, recurrentBias))
    .tanh(),
  c,
});

function recurrent(gates: number, activations: string, stepOf: (call: Call) => Step): Row {
  return {
    arity: [3, 8],
    run: (call) => {
      requirePlain(call, activations);
      const batchFirst = call.int("layout", 0) !== 0;
      const given = call.value(0);
      const x = batchFirst ? given.transpose([1, 0, 2]) : given;
      const [length = 1, batch = 1] = x.shape;
      const units = call.int("hidden_size", call.value(2).shape[2]);
      const direction = call.text("direction", "forward");
      const backwards = { forward: [false], reverse: [true], bidirectional: [false, true] }[
        direction
      ];
      if (backwards === undefined) {
        throw call.fail(
          `\`direction\` must be forward, reverse or bidirectional, got "${direction}"`,
        );
      }
      const steps = x.split(length, 0).map((step) => step.reshape([batch, x.shape[2] as number]));
      const runs = backwards.map((reversed, d) => {
        const cell = cellOf(call, d, gates * units);
        const start: State = {
          h: initial(call, 5, d, [batch, units]),
          c: initial(call, 6, d, [batch, units]),
        };
        return unroll(
          reversed ? steps.toReversed() : steps,
          start,
          (step, state) => stepOf(call)(step, state, cell),
          reversed,
        );
      });
      // [length, directions, batch, units], or [batch, length, directions, units].
      const all = concat(
        runs.map(({ states }) =>
          concat(
            states.map(({ h }) => h.reshape([1, 1, batch, units])),
            0,
          ),
        ),
        1,
      );
      const last = (of: (state: State) => Value): Value => {
        const ends = concat(
          runs.map(({ end }) => of(end).reshape([1, batch, units])),
          0,
        );
        return batchFirst ? ends.transpose([1, 0, 2]) : ends;
      };
      return [
        batchFirst ? all.transpose([2, 0, 1, 3]) : all,
        last(({ h }) => h),
        last(({ c }) => c),
      ];
    },
  };
}

/** States by place, and the one after the last step. */
function unroll(
  steps: readonly Value[],
  start: State,
  step: (x: Value, state: State) => State,
  reversed: boolean,
): { readonly states: readonly State[]; readonly end: State } {
  let state = start;
  const states = steps.map((x) => {
    state = step(x, state);
    return state;
  });
  return { states: reversed ? states.toReversed() : states, end: state };
}

function cellOf(call: Call, direction: number, width: number): Cell {
  const of = (index: number): Value => {
    const all = call.value(index);
    return all.slice(0, direction, direction + 1).reshape(all.shape.slice(1));
  };
  const biases = call.has(3) ? of(3) : full([2 * width], 0);
  const [inputBias, recurrentBias] = biases.split(2, 0) as [Value, Value];
  return { input: of(1), recurrent: of(2), inputBias, recurrentBias };
}

/** [directions, batch, units] (or batch first) at one direction; zeros where it is left out. */
function initial(call: Call, index: number, direction: number, shape: readonly number[]): Value {
  if (!call.has(index)) {
    return full(shape, 0);
  }
  const axis = call.int("layout", 0) !== 0 ? 1 : 0;
  return call
    .value(index)
    .slice(axis, direction, direction + 1)
    .reshape(shape);
}

/** Refuses the variants that no exporter of the common frameworks writes. */
function requirePlain(call: Call, activations: string): void {
  const stated = call.node.attributes.get("activations");
  const expected = activations.split(" ");
  if (
    Array.isArray(stated) &&
    stated.some(
      (name, i) => String(name).toLowerCase() !== expected[i % expected.length]?.toLowerCase(),
    )
  ) {
    throw call.fail(`\`activations\` must be ${activations}, got ${stated.join(" ")}`);
  }
  if (call.node.attributes.has("clip") || call.int("input_forget", 0) !== 0 || call.has(7)) {
    throw call.fail("cells must have no clip, coupled gates or peepholes, got one of them");
  }
  if (call.has(4)) {
    throw call.fail(
      `sequences must be of one length, got \`sequence_lens\` "${call.node.inputs[4]}"`,
    );
  }
}

export const RECURRENT: RowTable = {
  GRU: recurrent(3, "Sigmoid Tanh", (call) => gruStep(call.int("linear_before_reset", 0) !== 0)),
  LSTM: recurrent(4, "Sigmoid Tanh Tanh", () => lstmStep),
  RNN: recurrent(1, "Tanh", () => rnnStep),
};
