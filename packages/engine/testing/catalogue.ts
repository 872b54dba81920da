/** Optimizers that stand for the catalogue: every kind of state, reduction, delay and function. */

import {
  adai,
  adam,
  adamw,
  adashift,
  add,
  amsgrad,
  chain,
  clipByGlobalNorm,
  cprop,
  cpropAdam,
  cpropSgd,
  defineOptimizer,
  fastAdaBelief,
  mean,
  mul,
  neg,
  type Optimizer,
  perTensor,
  sadam,
  sgd,
} from "@adastra/core";

/** Averages the rate over the steps: per-tensor state that depends on no array. */
const averagedRate = defineOptimizer(
  "averagedRate",
  { rate: perTensor(0.01) },
  ({ g, rate, lr }) => {
    const mixed = add(mul(0.9, rate), mul(0.1, lr));
    return { update: neg(mul(mixed, g)), next: { rate: mixed } };
  },
);

/** Name, optimizer, and a rate that suits gradients of size one. */
export const CATALOGUE: readonly (readonly [string, Optimizer, number])[] = [
  ["sgd", sgd(), 0.1],
  ["sgd momentum", sgd({ momentum: 0.9 }), 0.02],
  ["sgd nesterov l2", sgd({ momentum: 0.9, nesterov: true, weightDecay: 1e-3 }), 0.02],
  ["adam", adam(), 0.05],
  ["adamw", adamw(), 0.05],
  ["amsgrad", amsgrad(), 0.05],
  ["adashift max", adashift(), 0.1],
  ["adashift none", adashift({ phi: "none", n: 3 }), 0.05],
  ["adashift short window", adashift({ n: 5, window: 2, b1: 0.5 }), 0.05],
  [
    "adashift custom phi",
    adashift({ n: 3, phi: (squared) => mul(0.5, add(squared, mean(squared))) }),
    0.05,
  ],
  ["adashift community", adashift({ warmup: "community", gate: "step", n: 4 }), 0.05],
  ["adashift decoupled", adashift({ n: 3, weightDecay: 1e-3, decoupled: true }), 0.05],
  ["adai", adai(), 0.1],
  ["adaiv2", adai({ dampening: 0.5 }), 0.1],
  ["fastAdaBelief", fastAdaBelief({ schedule: "constant" }), 0.02],
  ["fastAdaBelief box", fastAdaBelief({ box: 1, schedule: "constant" }), 0.02],
  ["sadam", sadam(), 3],
  ["cpropSgd", cpropSgd({ momentum: 0.9 }), 0.02],
  ["cpropAdam", cpropAdam(), 0.05],
  ["cprop(adashift)", cprop(adashift({ n: 3 }), { cdf: "normal" }), 0.05],
  ["clip+adam", chain(clipByGlobalNorm(1), adam()), 0.05],
  ["clip+adashift", chain(clipByGlobalNorm(1), adashift({ n: 3 })), 0.05],
  ["averaged rate", averagedRate, 0.05],
];

const REPEATED =
  /nesterov|short window|custom phi|community|decoupled|cpropSgd|sadam|clip\+adashift|constant/;

/** Rows for tests that cost a second each: one of each kind. */
export const REPRESENTATIVE: typeof CATALOGUE = CATALOGUE.filter(([name]) => !REPEATED.test(name));
