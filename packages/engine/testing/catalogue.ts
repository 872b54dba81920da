/** Optimizers that stand for the catalogue: every kind of state, reduction, delay and function. */

import {
  adai,
  adam,
  adamw,
  adashift,
  add,
  amsgrad,
  byLeaf,
  chain,
  clipByGlobalNorm,
  cprop,
  cpropAdam,
  cpropSgd,
  defineOptimizer,
  div,
  fastAdaBelief,
  type LeafInfo,
  lerp,
  mean,
  mul,
  muon,
  neg,
  nonNegative,
  type Optimizer,
  perColumn,
  perElement,
  perRow,
  perStep,
  perTensor,
  sadam,
  sgd,
  sizeOf,
  sqrt,
  square,
  sub,
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

/** A second moment as a product of rows and columns: state of both. */
const factored = defineOptimizer(
  "factored",
  { row: perRow(), column: perColumn() },
  ({ g, row: r, column: c, lr }) => {
    const squared = add(square(g), 1e-6);
    const [row, column] = [
      lerp(r, mean(squared, "row"), 0.1),
      lerp(c, mean(squared, "column"), 0.1),
    ];
    return {
      update: neg(div(mul(lr, g), sqrt(div(mul(row, column), mean(row))))),
      next: { row, column },
    };
  },
);

/** The norm of all gradients over the steps, and an elastic pull to where training started. */
const tethered = defineOptimizer(
  "tethered",
  { start: perElement("params"), total: perStep(1) },
  { pull: nonNegative(0.1) },
  ({ g, p, start, total, lr, pull }) => {
    const next = add(total, mean(square(g), "all"));
    const update = neg(mul(div(lr, sqrt(next)), add(g, mul(pull, sub(p, start)))));
    return { update, next: { start, total: next } };
  },
);

/** Momentum for leaves of more than three elements alone; the others keep nothing. */
const byShape = defineOptimizer("byShape", { m: perElement() }, ({ g, m, lr }) => {
  const averaged = lerp(m, g, 0.1);
  const large = ({ shape }: LeafInfo): boolean => sizeOf(shape) > 3;
  return {
    update: neg(mul(lr, byLeaf(large, averaged, g))),
    next: { m: byLeaf(large, averaged, m) },
  };
});

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
  ["fastAdaBelief ball", fastAdaBelief({ ball: 1, schedule: "constant" }), 0.02],
  ["sadam", sadam(), 3],
  ["cpropSgd", cpropSgd({ momentum: 0.9 }), 0.02],
  ["cpropAdam", cpropAdam(), 0.05],
  ["cprop(adashift)", cprop(adashift({ n: 3 }), { cdf: "normal" }), 0.05],
  ["muon", muon({ mask: "**" }), 0.05],
  ["clip+adam", chain(clipByGlobalNorm(1), adam()), 0.05],
  ["clip+adashift", chain(clipByGlobalNorm(1), adashift({ n: 3 })), 0.05],
  ["averaged rate", averagedRate, 0.05],
  ["factored", factored, 0.05],
  ["tethered", tethered, 0.1],
  ["by shape", byShape, 0.05],
];

const REPEATED =
  /nesterov|short window|custom phi|community|decoupled|cpropSgd|sadam|clip\+adashift|constant/;

/** Rows for tests that cost a second each: one of each kind. */
export const REPRESENTATIVE: typeof CATALOGUE = CATALOGUE.filter(([name]) => !REPEATED.test(name));
