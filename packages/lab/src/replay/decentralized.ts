/** Runs cases of decentralized methods: every node is a peer of the simulator, and W its mixing matrix. */

import {
  createTrainer,
  dadagrad,
  dadam,
  damsgrad,
  dpsgd,
  fromMatrix,
  type Method,
  simulate,
  type Trainer,
} from "@adastra/swarm";
import { counterexampleGradient } from "../problems/counterexample.ts";
import type { DecentralizedInputs } from "./decentralizedCase.ts";
import type { ReplayOptions } from "./options.ts";
import { given, type Options, Reader, UnsupportedError } from "./reader.ts";

/** Methods by the names of the schema. */
const METHODS: Readonly<Record<string, (read: Reader) => Method>> = {
  dpsgd: () => dpsgd(),
  dadam: (read) =>
    dadam(
      given({
        b1: read.number("beta1"),
        b2: read.number("beta2"),
        b3: read.number("beta3"),
        eps: read.number("eps"),
      }),
    ),
  damsgrad: (read) =>
    damsgrad(
      given({
        b1: read.number("beta1"),
        b2: read.number("beta2"),
        eps: read.number("eps"),
        delayed: read.flag("delayed"),
      }),
    ),
  dadagrad: (read) =>
    dadagrad(
      given({
        b1: read.number("beta1"),
        eps: read.number("eps"),
        delayed: read.flag("delayed"),
      }),
    ),
};

/**
 * The parameters of every node after every step, `[step][node][dim]`.
 *
 * @throws UnsupportedError for a method or an option that would be ignored, TypeError or RangeError for a case that cannot be
 * run as written: W that is not doubly stochastic, an option out of range.
 */
export async function runDecentralized(
  inputs: DecentralizedInputs,
  options: Options,
  { backend, dtype }: ReplayOptions,
): Promise<number[][][]> {
  const read = new Reader(options);
  const name = read.text("method") ?? "nothing";
  const build = Object.hasOwn(METHODS, name) ? METHODS[name] : undefined;
  if (build === undefined) {
    throw new UnsupportedError(`decentralized method "${name}"`);
  }
  const method = build(read);
  const learningRate = read.number("lr");
  if (learningRate === undefined) {
    throw new UnsupportedError("a case without `lr`");
  }
  if (read.leftOver.length > 0) {
    throw new UnsupportedError(`option ${read.leftOver.join(", ")} of "${name}"`);
  }
  const { init, matrix, steps } = inputs;
  const trajectory = Array.from({ length: steps }, () => init.map((): number[] => []));
  const trainers: Trainer[] = [];
  await simulate({
    mixing: fromMatrix(matrix),
    rounds: steps,
    trainer: (node) => {
      const start = Float64Array.from(init[node] ?? []);
      const own = createTrainer({
        method,
        params: { x: { shape: [start.length], data: start } },
        learningRate,
        dtype,
        backend,
        gradient: (params, gradients, step) => {
          const [x, g] = [params["x"]?.data ?? start, gradients["x"]?.data ?? start];
          g.set(gradientAt(inputs, node, step, x));
          return 0;
        },
      });
      trainers[node] = own;
      return own;
    },
    onRound: ({ peer, round }) => {
      const after = trajectory[round - 1];
      if (after !== undefined) {
        after[peer] = Array.from(trainers[peer]?.optimizer.params["x"]?.data ?? []);
      }
    },
  });
  return trajectory;
}

function gradientAt(
  { gradients }: DecentralizedInputs,
  node: number,
  step: number,
  x: ArrayLike<number>,
): readonly number[] {
  switch (gradients.kind) {
    case "fixed":
      return gradients.grads[step]?.[node] ?? [];
    case "quadratic":
      return Array.from(
        x,
        (value, i) =>
          (gradients.a[node]?.[i] ?? Number.NaN) * (value - (gradients.c[node]?.[i] ?? Number.NaN)),
      );
    case "two_node_counterexample":
      return [counterexampleGradient(node, x[0] ?? Number.NaN)];
    default:
      return gradients satisfies never;
  }
}
