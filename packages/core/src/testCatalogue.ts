/** The optimizers that every test of the whole catalogue runs over. */

import { add, mean, mul } from "./expr/build.ts";
import { matrixOf } from "./expr/node.ts";
import { type Optimizer } from "./optimizer.ts";
import { adabelief } from "./optimizers/adabelief.ts";
import { adabound } from "./optimizers/adabound.ts";
import { adadelta } from "./optimizers/adadelta.ts";
import { adafactor } from "./optimizers/adafactor.ts";
import { adagrad } from "./optimizers/adagrad.ts";
import { adai } from "./optimizers/adai.ts";
import { adam, adamw, amsgrad } from "./optimizers/adam.ts";
import { adamax } from "./optimizers/adamax.ts";
import { adamnc } from "./optimizers/adamnc.ts";
import { adan } from "./optimizers/adan.ts";
import { adashift } from "./optimizers/adashift.ts";
import { cprop, cpropAdam, cpropSgd } from "./optimizers/cprop.ts";
import { fastAdaBelief, sadam } from "./optimizers/fastAdaBelief.ts";
import { lamb } from "./optimizers/lamb.ts";
import { lars } from "./optimizers/lars.ts";
import { lion } from "./optimizers/lion.ts";
import { muon } from "./optimizers/muon.ts";
import { nadam } from "./optimizers/nadam.ts";
import { padam } from "./optimizers/padam.ts";
import { prodigy } from "./optimizers/prodigy.ts";
import { radam } from "./optimizers/radam.ts";
import { rmsprop } from "./optimizers/rmsprop.ts";
import { rprop } from "./optimizers/rprop.ts";
import { scheduleFreeAdamW, scheduleFreeSgd } from "./optimizers/scheduleFree.ts";
import { sgd } from "./optimizers/sgd.ts";
import { adams, sgds } from "./optimizers/stableDecay.ts";
import { yogi } from "./optimizers/yogi.ts";
import { accumulate } from "./transforms/accumulate.ts";
import { ema, polyak, swa } from "./transforms/averages.ts";
import { centralise } from "./transforms/centralise.ts";
import { chain } from "./transforms/chain.ts";
import {
  adaptiveClip,
  clipByGlobalNorm,
  clipByTensorNorm,
  clipByValue,
} from "./transforms/clip.ts";
import { compress } from "./transforms/compress.ts";
import { group } from "./transforms/group.ts";
import { lookahead } from "./transforms/lookahead.ts";
import { noise } from "./transforms/noise.ts";
import { sam } from "./transforms/sam.ts";
import { decoupledWeightDecay } from "./transforms/weightDecay.ts";
import { sizeOf } from "./tree.ts";

/** Bytes of state a float32 parameter; of a leaf of this shape where shapes matter. */
export type StateBytes = number | ((shape: readonly number[]) => number);

/** Of so many arrays in 8 bits: a byte each, and four for the scale of a block. */
function inBlocks(arrays: number): StateBytes {
  return (shape) => {
    const size = sizeOf(shape);
    return (arrays * (size + 4 * Math.ceil(size / 256))) / size;
  };
}

/** Adafactor's: a float64 number a row and a column of a matrix that is factored, and `each` a parameter besides. */
function factored(minFactored: number, each = 0): StateBytes {
  return (shape) => {
    const { rows, columns } = matrixOf(shape);
    return shape.length > 1 && Math.min(rows, columns) >= minFactored
      ? (8 * (rows + columns)) / (rows * columns) + each
      : 4 + each;
  };
}

/** Calls that make up a step. */
export function callsOf({ before = [] }: Optimizer): number {
  return before.length + 1;
}

/** One row an optimizer: its program, a rate that suits the parabola, and its state. */
export const CATALOGUE: readonly (readonly [string, Optimizer, number, StateBytes])[] = [
  ["sgd", sgd(), 0.1, 0],
  ["sgd momentum", sgd({ momentum: 0.9 }), 0.02, 4],
  ["sgd nesterov l2", sgd({ momentum: 0.9, nesterov: true, weightDecay: 1e-3 }), 0.02, 4],
  ["sgd dampened", sgd({ momentum: 0.8, dampening: 0.3 }), 0.05, 4],
  ["adam", adam(), 0.05, 8],
  ["adamw", adamw(), 0.05, 8],
  ["amsgrad torch", amsgrad(), 0.05, 12],
  ["amsgrad optax", amsgrad({ convention: "optax" }), 0.05, 12],
  ["amsgrad inplace", amsgrad({ convention: "inplace" }), 0.05, 8],
  ["adagrad torch", adagrad({ learningRateDecay: 1e-3 }), 0.5, 4],
  ["adagrad optax", adagrad({ convention: "optax" }), 0.5, 4],
  ["adagrad optax from zero", adagrad({ convention: "optax", initialAccumulator: 0 }), 0.5, 4],
  ["rmsprop torch", rmsprop(), 0.02, 4],
  ["rmsprop torch momentum", rmsprop({ momentum: 0.7 }), 0.01, 8],
  ["rmsprop torch centered", rmsprop({ centered: true, decay: 0.95 }), 0.005, 8],
  [
    "rmsprop torch centered momentum l2",
    rmsprop({ centered: true, decay: 0.95, momentum: 0.5, weightDecay: 1e-3 }),
    0.005,
    12,
  ],
  ["rmsprop optax", rmsprop({ convention: "optax" }), 0.02, 4],
  ["rmsprop optax momentum", rmsprop({ convention: "optax", momentum: 0.7 }), 0.01, 8],
  ["rmsprop optax centered", rmsprop({ convention: "optax", centered: true }), 0.005, 8],
  ["nadam torch", nadam(), 0.05, 8],
  ["nadam torch decoupled", nadam({ weightDecay: 1e-3, decoupled: true }), 0.05, 8],
  ["nadam optax", nadam({ convention: "optax" }), 0.05, 8],
  ["radam torch", radam(), 0.05, 8],
  ["radam optax", radam({ convention: "optax", b2: 0.99 }), 0.05, 8],
  ["adabelief", adabelief(), 0.02, 8],
  ["yogi", yogi(), 0.05, 8],
  ["yogi from zero", yogi({ initialAccumulator: 0 }), 0.05, 8],
  ["adabound", adabound(), 0.05, 8],
  ["adabound initial rate", adabound({ initialLearningRate: 0.1, gamma: 0.01 }), 0.05, 8],
  ["padam", padam(), 0.1, 12],
  ["padam without max", padam({ max: false }), 0.1, 8],
  ["padam p = 1/8", padam({ partial: 1 / 8 }), 0.1, 12],
  ["padam p = 1/2 without max", padam({ partial: 0.5, max: false }), 0.05, 8],
  ["adamnc", adamnc(), 0.5, 8],
  ["adamnc constant", adamnc({ schedule: "constant" }), 0.05, 8],
  ["adashift max", adashift(), 0.1, 44],
  ["adashift mean", adashift({ phi: "mean", n: 4 }), 0.05, 20],
  ["adashift none", adashift({ phi: "none", n: 3 }), 0.05, 24],
  ["adashift short window", adashift({ n: 5, window: 2, b1: 0.5 }), 0.05, 12],
  ["adashift plain average", adashift({ b1: 1, n: 6 }), 0.05, 28],
  ["adashift no momentum", adashift({ b1: 0, n: 2, phi: "none", gate: "step" }), 0.05, 12],
  // Half the squared gradient, half its mean: an array, reduced in the same step, so two passes.
  [
    "adashift custom phi",
    adashift({ n: 3, phi: (squared) => mul(0.5, add(squared, mean(squared))) }),
    0.05,
    36,
  ],
  ["adashift community", adashift({ warmup: "community", gate: "step", n: 4 }), 0.05, 20],
  ["adashift l2", adashift({ n: 3, weightDecay: 1e-3 }), 0.05, 16],
  ["adashift decoupled", adashift({ n: 3, weightDecay: 1e-3, decoupled: true }), 0.05, 16],
  ["adai", adai(), 0.1, 12],
  ["adaiw", adai({ weightDecay: 1e-3, decay: "decoupled" }), 0.1, 12],
  ["adaiv2", adai({ dampening: 0.5 }), 0.1, 12],
  ["fastAdaBelief", fastAdaBelief({ schedule: "constant" }), 0.02, 12],
  ["fastAdaBelief 1/t box", fastAdaBelief({ box: 10 }), 8, 12],
  ["fastAdaBelief 1/t ball", fastAdaBelief({ ball: 2 }), 8, 12],
  [
    "fastAdaBelief ball a tensor, decoupled",
    fastAdaBelief({
      ball: 1.5,
      ballOver: "tensor",
      schedule: "constant",
      weightDecay: 1e-3,
      decoupled: true,
    }),
    0.02,
    12,
  ],
  ["clip+fastAdaBelief ball", chain(clipByGlobalNorm(1), fastAdaBelief({ ball: 2 })), 8, 12],
  ["fastAdaBelief without max", fastAdaBelief({ max: false, schedule: "constant" }), 0.005, 8],
  ["sadam", sadam(), 3, 8],
  ["cpropSgd", cpropSgd({ momentum: 0.9 }), 0.02, 12],
  ["cpropAdam", cpropAdam(), 0.05, 12],
  ["cprop(adashift)", cprop(adashift({ n: 3 }), { cdf: "normal" }), 0.05, 24],
  [
    "cprop(fastAdaBelief)",
    cprop(fastAdaBelief({ schedule: "constant" }), { cdf: "bfo", c: 3 }),
    0.02,
    20,
  ],
  ["cprop(adai)", cprop(adai(), { cdf: "logistic", beta: 0.99 }), 0.1, 16],
  ["lion", lion(), 0.01, 4],
  ["lion decoupled", lion({ b1: 0.95, b2: 0.98, weightDecay: 1e-2 }), 0.01, 4],
  ["adamax", adamax(), 0.05, 8],
  ["adamax l2", adamax({ b2: 0.9, eps: 1e-3, weightDecay: 1e-3 }), 0.05, 8],
  ["adadelta", adadelta({ rho: 0.95, eps: 1e-4 }), 1, 8],
  ["rprop", rprop(), 0.01, 8],
  ["adan", adan(), 0.05, 16],
  ["adan proximal", adan({ b2: 0.8, weightDecay: 1e-2 }), 0.05, 16],
  ["adan decoupled", adan({ weightDecay: 1e-2, decay: "decoupled" }), 0.05, 16],
  ["lamb", lamb(), 0.02, 8],
  ["lamb l2", lamb({ b2: 0.99, weightDecay: 1e-2 }), 0.02, 8],
  ["lars", lars(), 5, 4],
  ["lars nesterov l2", lars({ nesterov: true, eps: 1e-3, weightDecay: 1e-3 }), 5, 4],
  ["lars optax l2", lars({ momentum: 0.5, convention: "optax", weightDecay: 1e-3 }), 20, 4],
  ["lars no momentum", lars({ momentum: 0 }), 50, 0],
  ["muon", muon({ auxiliary: lion() }), 0.02, 4],
  // Vectors too: a single row each.
  ["muon everywhere", muon({ mask: "**", rms: 0.2, nsSteps: 3 }), 0.05, 4],
  [
    "muon torch decoupled",
    muon({ convention: "torch", mask: "**", nesterov: false, weightDecay: 1e-3 }),
    0.02,
    4,
  ],
  ["clip+muon", chain(clipByGlobalNorm(1), muon({ mask: "**" })), 0.02, 4],
  ["cprop(muon)", cprop(muon({ mask: "**" })), 0.02, 12],
  ["scheduleFreeSgd", scheduleFreeSgd(), 0.1, 4],
  [
    "scheduleFreeSgd l2",
    scheduleFreeSgd({ b1: 0.7, weightDecay: 1e-3, warmupSteps: 5, r: 1, weightLrPower: 1 }),
    0.1,
    4,
  ],
  ["scheduleFreeAdamW", scheduleFreeAdamW(), 0.05, 8],
  [
    "scheduleFreeAdamW decoupled",
    scheduleFreeAdamW({ b2: 0.99, weightDecay: 1e-3, convention: "optax" }),
    0.05,
    8,
  ],
  ["prodigy", prodigy({ d0: 0.01 }), 1, 16],
  ["prodigy decoupled", prodigy({ d0: 0.01, growthRate: 1.1, weightDecay: 1e-3 }), 0.5, 16],
  [
    "prodigy l2",
    prodigy({
      b3: 0.9,
      d0: 0.01,
      weightDecay: 1e-3,
      decoupled: false,
      useBiasCorrection: true,
      safeguardWarmup: true,
    }),
    0.5,
    16,
  ],
  ["clip+adan", chain(clipByGlobalNorm(1), adan()), 0.05, 16],
  ["clip+lamb", chain(clipByGlobalNorm(1), lamb()), 0.02, 8],
  ["clip+adam", chain(clipByGlobalNorm(1), adam()), 0.05, 8],
  ["clip+adashift", chain(clipByGlobalNorm(1), adashift({ n: 3 })), 0.05, 16],
  ["clip by value+sgd", chain(clipByValue(1), sgd()), 0.05, 0],
  ["clip by tensor norm+adam", chain(clipByTensorNorm(1), adam()), 0.05, 8],
  ["adaptive clip+sgd", chain(adaptiveClip({ clipping: 0.1 }), sgd()), 0.1, 0],
  ["centralise+adam", chain(centralise(), adam()), 0.05, 8],
  ["adams decoupled", adams({ weightDecay: 1e-3 }), 0.05, 8],
  ["sgds decoupled", sgds({ weightDecay: 1e-3 }), 0.02, 4],
  ["masked decay, decoupled", chain(adam(), decoupledWeightDecay(1e-3, { mask: "*" })), 0.05, 8],
  ["adam+ema", chain(adam(), ema(0.99)), 0.05, 12],
  ["sgd+ema debiased", chain(sgd(), ema(0.9, { debias: true })), 0.1, 4],
  ["sgd+polyak", chain(sgd(), polyak()), 0.1, 4],
  ["sgd+swa", chain(sgd(), swa({ start: 5, every: 3 })), 0.1, 4],
  ["lookahead(adam)", lookahead(adam()), 0.05, 12],
  ["group of one", group({ "**": chain(clipByGlobalNorm(1), adam()) }), 0.05, 8],
  ["noise+adam", chain(noise({ eta: 0.01 }), adam()), 0.05, 8],
  ["adam bf16", compress(adam(), { mu: "bf16", nu: "bf16-stochastic" }), 0.05, 4],
  ["adam int8", compress(adam(), { mu: "int8", nu: "int8-stochastic" }), 0.05, inBlocks(2)],
  ["lamb int8", compress(lamb(), { mu: "int8", nu: "int8" }), 0.02, inBlocks(2)],
  ["ema int8", compress(chain(sgd(), ema(0.9)), { average: "int8-stochastic" }), 0.1, inBlocks(1)],
  ["adashift bf16", adashift({ history: "bf16" }), 0.1, 24],
  ["adashift none bf16", adashift({ history: "bf16", phi: "none", n: 3 }), 0.05, 18],
  ["adafactor", adafactor(), 0.5, factored(1)],
  ["adafactor optax", adafactor({ convention: "optax" }), 0.05, factored(128)],
  [
    "adafactor momentum l2",
    adafactor({ momentum: 0.9, minFactored: 5, relativeStep: false, weightDecay: 1e-3 }),
    0.05,
    factored(5, 4),
  ],
  ["sam(sgd)", sam(sgd({ momentum: 0.9 })), 0.02, 8],
  ["asam(adam)", sam(adam(), { adaptive: true }), 0.05, 12],
  ["accumulate(adam)", accumulate(4, adam()), 0.05, 12],
  [
    "accumulate(clip+adashift)",
    accumulate(2, chain(clipByGlobalNorm(1), adashift({ n: 3 }))),
    0.05,
    20,
  ],
  ["accumulate(sam(lookahead))", accumulate(2, sam(lookahead(sgd()))), 0.1, 12],
];
