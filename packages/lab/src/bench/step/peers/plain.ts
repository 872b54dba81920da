/** Adam as one writes it in JavaScript: the reference of every other peer. */

import type { Clock } from "@adastra/core";
import { every, gradientOf, LEARNING_RATE, type StepProblem } from "../problem.ts";
import { type Peer, type Subject, timeEach } from "../subject.ts";

export const plainPeer: Peer = {
  name: "plain JavaScript loop",
  bind: bindPlainAdam,
};

export function bindPlainAdam(problem: StepProblem, clock: Clock): Subject {
  const began = clock.now();
  const p = problem.start.slice();
  const m = new Float32Array(p.length);
  const v = new Float32Array(p.length);
  const compileMs = clock.now() - began;
  let t = 0;
  return {
    compileMs,
    step: (k, repeats) => {
      const g = gradientOf(problem, k);
      return timeEach(clock, repeats, () => {
        t += 1;
        adamStep(p, g, m, v, t);
      });
    },
    params: (stride) => every(stride, p),
    close: () => undefined,
  };
}

function adamStep(
  p: Float32Array,
  g: Float32Array,
  m: Float32Array,
  v: Float32Array,
  t: number,
): void {
  const c1 = 1 - 0.9 ** t;
  const c2 = 1 - 0.999 ** t;
  for (let i = 0; i < p.length; i++) {
    const gi = g[i]!;
    const mi = 0.9 * m[i]! + 0.1 * gi;
    const vi = 0.999 * v[i]! + 0.001 * gi * gi;
    m[i] = mi;
    v[i] = vi;
    p[i] = p[i]! - (LEARNING_RATE * (mi / c1)) / (Math.sqrt(vi / c2) + 1e-8);
  }
}
