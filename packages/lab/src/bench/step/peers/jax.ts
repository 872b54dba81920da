/** Adam in jax-js on its wasm backend: one jitted function over the tree of tensors. */

import type { Clock } from "@adastra/core";
import type * as jaxJs from "@jax-js/jax";
import { whyAbsent } from "../../absent.ts";
import { every, LEARNING_RATE, type StepProblem } from "../problem.ts";
import type { LeftOut, Peer, Subject } from "../subject.ts";

type Jax = typeof jaxJs;
type JaxArray = jaxJs.Array;
/** Parameters, first and second moments; gradients; lr/(1 − β₁ᵗ) and 1/(1 − β₂ᵗ). */
type Trees = [params: JaxArray[], mu: JaxArray[], nu: JaxArray[]];

const DEVICE = "wasm";

export async function openJax(): Promise<Peer | LeftOut> {
  const name = "jax-js Adam, jitted, wasm";
  try {
    const jax = await import("@jax-js/jax");
    if (!(await jax.init(DEVICE)).includes(DEVICE)) {
      return { name, reason: "its wasm backend did not start" };
    }
    return { name, bind: (problem, clock) => bindJax(jax, problem, clock) };
  } catch (error) {
    return { name, reason: whyAbsent(error, ["@jax-js/jax"]) };
  }
}

function bindJax(jax: Jax, { tensors, start, gradients }: StepProblem, clock: Clock): Subject {
  const { numpy: np } = jax;
  const array = (data: Float32Array<ArrayBuffer>, shape: readonly number[]): JaxArray =>
    np.array(data, { shape: [...shape], dtype: np.float32, device: DEVICE });
  const arraysOf = (flat: Float32Array): JaxArray[] =>
    tensors.map(({ shape, begin, end }) => array(flat.slice(begin, end), shape));
  const adam = jax.jit(
    (params: JaxArray[], mu: JaxArray[], nu: JaxArray[], g: JaxArray[], scales: JaxArray[]) => {
      const [rate, correction] = scales as [JaxArray, JaxArray];
      const next: Trees = [[], [], []];
      params.forEach((p, i) => {
        const gi = g[i] as JaxArray;
        const m = (mu[i] as JaxArray).mul(0.9).add(gi.ref.mul(0.1));
        const v = (nu[i] as JaxArray).mul(0.999).add(gi.ref.mul(gi).mul(0.001));
        const root = np.sqrt(v.ref.mul(correction.ref)).add(1e-8);
        next[0].push(p.sub(m.ref.mul(rate.ref).div(root)));
        next[1].push(m);
        next[2].push(v);
      });
      return next;
    },
  );
  const fed = gradients.map(arraysOf);
  const bound = clock.now();
  const zeros = new Float32Array(start.length);
  let trees: Trees = [arraysOf(start), arraysOf(zeros), arraysOf(zeros)];
  const compileMs = clock.now() - bound;
  let t = 0;
  return {
    compileMs,
    step: async (k, repeats) => {
      const gradient = fed[k % fed.length] as JaxArray[];
      const began = clock.now();
      for (let i = 0; i < repeats; i++) {
        t += 1;
        const scales = [LEARNING_RATE / (1 - 0.9 ** t), 1 / (1 - 0.999 ** t)].map((value) =>
          array(Float32Array.of(value), []),
        );
        // A function uses its arguments up; gradients are lent.
        const borrowed = gradient.map((value) => value.ref);
        trees = adam(...trees, borrowed, scales) as Trees;
        await jax.blockUntilReady(trees);
      }
      return (clock.now() - began) / repeats;
    },
    params: async (stride) => {
      const flat = new Float32Array(start.length);
      for (const [i, value] of trees[0].entries()) {
        flat.set((await value.ref.data()) as Float32Array, tensors[i]?.begin);
      }
      return every(stride, flat);
    },
    close: () => {
      for (const value of [...trees.flat(), ...fed.flat()]) {
        value.dispose();
      }
      adam.dispose();
    },
  };
}
