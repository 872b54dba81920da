/**
 * Recurrent layers, unrolled over the places of [length, features]: the graph holds each step.
 *
 * The inputs' products are taken for all places at once; only those of the state are taken step by step.
 */

import { concat, full, type Value } from "../trace/value.ts";
import { glorotUniform, type Initializer, orthogonal, zeros } from "./initializers.ts";
import { defineLayer, type Layer } from "./layer.ts";
import { requireCount, requireRank } from "./options.ts";

export interface RecurrentOptions {
  /** The state after every place, [length, units]; default only after the last, [units]. */
  readonly sequences?: boolean;
  /** Of the products with inputs; default `glorotUniform`. */
  readonly kernelInit?: Initializer;
  /** Of the products with the state; default `orthogonal()`. */
  readonly recurrentInit?: Initializer;
}

/**
 * Gated recurrent unit, in the form of PyTorch and cuDNN (the reset gate after the product):
 *
 *     r = σ(x W_r + h U_r + b_r)     z = σ(x W_z + h U_z + b_z)
 *     n = tanh(x W_n + b_n + r (h U_n + c_n))
 *     h ← (1 − z) n + z h
 *
 * Parameters: `kernel` = [W_r W_z W_n] [features, 3 units], `recurrent` = [U_r U_z U_n] [units, 3 units],
 * `bias` = [b_r b_z b_n], `recurrentBias` [3 units] (c_n; its first two parts are added to b_r and b_z).
 *
 * @see Cho et al. 2014, https://arxiv.org/abs/1406.1078
 */
export function gru(units: number, options: RecurrentOptions = {}): Layer {
  return recurrent("gru", units, 3, options, ({ bias, initial, recurrent: u, steps }) => {
    const [recurrentBias] = bias;
    let h = initial;
    return steps.map((x) => {
      const [xr, xz, xn] = x.split(3, 1) as [Value, Value, Value];
      const product = h.matmul(u);
      const [hr, hz, hn] = (
        recurrentBias === undefined ? product : product.add(recurrentBias)
      ).split(3, 1) as [Value, Value, Value];
      const [r, z] = [xr.add(hr).sigmoid(), xz.add(hz).sigmoid()];
      const n = xn.add(r.mul(hn)).tanh();
      h = n.add(z.mul(h.sub(n)));
      return h;
    });
  });
}

/**
 * Long short-term memory:
 *
 *     i, f, o = σ(x W + h U + b)     g = tanh(x W_g + h U_g + b_g)
 *     c ← f c + i g     h ← o tanh(c)
 *
 * Parameters: `kernel` = [W_i W_f W_g W_o] [features, 4 units], `recurrent` [units, 4 units], `bias` [4 units],
 * that of f starting at 1.
 *
 * @see Hochreiter & Schmidhuber 1997; Gers et al. 2000 for f; Jozefowicz et al. 2015 for its bias
 */
export function lstm(units: number, options: RecurrentOptions = {}): Layer {
  return recurrent("lstm", units, 4, options, ({ initial, recurrent: u, steps }) => {
    let [h, c] = [initial, initial];
    return steps.map((x) => {
      const [i, f, g, o] = x.add(h.matmul(u)).split(4, 1) as [Value, Value, Value, Value];
      c = f.sigmoid().mul(c).add(i.sigmoid().mul(g.tanh()));
      h = o.sigmoid().mul(c.tanh());
      return h;
    });
  });
}

interface Unrolled {
  readonly steps: readonly Value[];
  readonly initial: Value;
  readonly recurrent: Value;
  readonly bias: readonly Value[];
}

function recurrent(
  kind: "gru" | "lstm",
  units: number,
  gates: number,
  options: RecurrentOptions,
  unroll: (parts: Unrolled) => readonly Value[],
): Layer {
  const { sequences = false, kernelInit = glorotUniform, recurrentInit = orthogonal() } = options;
  requireCount(kind, "units", units);
  const width = gates * units;
  const forgetful: Initializer = (_, shape) =>
    new Float32Array(shape[0] ?? 0).fill(1, units, 2 * units);
  return defineLayer({
    kind,
    params: (inputShape) => {
      requireRank(kind, inputShape, "length, features");
      const features = inputShape[1] as number;
      return {
        kernel: { shape: [features, width], init: kernelInit, fans: { in: features, out: units } },
        recurrent: { shape: [units, width], init: recurrentInit, fans: { in: units, out: units } },
        bias: { shape: [width], init: kind === "lstm" ? forgetful : zeros },
        ...(kind === "gru" ? { recurrentBias: { shape: [width], init: zeros } } : {}),
      };
    },
    outputShape: ([length = 1]) => (sequences ? [length, units] : [units]),
    forward: (scope, x) => {
      requireRank(kind, x.shape.slice(1), "length, features");
      const [batch = 1, length = 1, features = 1] = x.shape;
      const inputs = x
        .reshape([batch * length, features])
        .matmul(scope.param("kernel"))
        .add(scope.param("bias"))
        .reshape([batch, length, width]);
      const states = unroll({
        steps: inputs.split(length, 1).map((step) => step.reshape([batch, width])),
        initial: full([batch, units], 0),
        recurrent: scope.param("recurrent"),
        bias: kind === "gru" ? [scope.param("recurrentBias")] : [],
      });
      const last = states.at(-1) as Value; // a length is at least 1
      return sequences
        ? concat(
            states.map((state) => state.reshape([batch, 1, units])),
            1,
          )
        : last;
    },
  });
}
