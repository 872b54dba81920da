/**
 * The optimizers that comparisons know: name, paper, size of state and the range their learning rate is drawn from.
 *
 * Every range spans two decades. Those up to `cprop-adam` hold, away from their ends, the best rate of a wide scan on
 * both MNIST problems: docs/fair-comparison.md has the scan. Those after it lie around the rate that is usual for the
 * method, which the line above each names, and were not scanned.
 */

import {
  adabelief,
  adabound,
  adadelta,
  adafactor,
  adagrad,
  adai,
  adam,
  adamax,
  adamnc,
  adamw,
  adan,
  adashift,
  amsgrad,
  cpropAdam,
  cpropSgd,
  fastAdaBelief,
  lamb,
  lars,
  lion,
  muon,
  nadam,
  type Optimizer,
  padam,
  prodigy,
  radam,
  rmsprop,
  rprop,
  sadam,
  scheduleFreeAdamW,
  scheduleFreeSgd,
  sgd,
  yogi,
} from "@adastra/core";
import { lookUp } from "./lookUp.ts";
import type { OptimizerInfo } from "./protocol.ts";

/** Constants that a problem's source fixes for every optimizer; an optimizer takes those it has. */
export interface OptimizerSetting {
  readonly b1?: number;
  readonly b2?: number;
  readonly eps?: number;
  /** AdaShift's shift and reduction. */
  readonly n?: number;
  readonly phi?: "max" | "mean" | "none";
}

/** An optimizer of the catalogue: what is known about it, and how it is built. */
export interface CatalogueEntry extends OptimizerInfo {
  readonly build: (setting: OptimizerSetting) => Optimizer;
}

const adaptive = ({ b1, b2, eps }: OptimizerSetting) => ({
  ...(b1 !== undefined && { b1 }),
  ...(b2 !== undefined && { b2 }),
  ...(eps !== undefined && { eps }),
});

export const catalogue: readonly CatalogueEntry[] = [
  {
    name: "sgd",
    title: "SGD",
    paper: "Robbins & Monro 1951",
    stateBytes: 0,
    learningRates: [1e-2, 1],
    build: () => sgd(),
  },
  {
    name: "momentum",
    title: "SGD, momentum 0.9",
    paper: "Polyak 1964",
    stateBytes: 4,
    learningRates: [3e-3, 0.3],
    build: ({ b1 = 0.9 }) => sgd({ momentum: b1 }),
  },
  {
    name: "nesterov",
    title: "SGD, Nesterov momentum 0.9",
    paper: "Sutskever et al. 2013",
    stateBytes: 4,
    learningRates: [3e-3, 0.3],
    build: () => sgd({ momentum: 0.9, nesterov: true }),
  },
  {
    name: "adam",
    title: "Adam",
    paper: "Kingma & Ba 2015, arXiv 1412.6980",
    stateBytes: 8,
    learningRates: [3e-4, 3e-2],
    build: (setting) => adam(adaptive(setting)),
  },
  {
    name: "adamw",
    title: "AdamW, decay 0.01",
    paper: "Loshchilov & Hutter 2019, arXiv 1711.05101",
    stateBytes: 8,
    learningRates: [3e-4, 3e-2],
    build: (setting) => adamw(adaptive(setting)),
  },
  {
    name: "amsgrad",
    title: "AMSGrad",
    paper: "Reddi, Kale & Kumar 2018, arXiv 1904.09237",
    stateBytes: 12,
    learningRates: [3e-4, 3e-2],
    build: (setting) => amsgrad(adaptive(setting)),
  },
  {
    name: "adashift",
    title: "AdaShift, max, n = 10",
    paper: "Zhou et al. 2019, arXiv 1810.00143",
    stateBytes: 44,
    // The largest squared gradient of a tensor makes v larger: ten times Adam's rate, as in the authors' experiments.
    learningRates: [3e-3, 0.3],
    build: ({ n, phi, ...setting }) =>
      adashift({
        ...adaptive(setting),
        ...(n !== undefined && { n }),
        ...(phi !== undefined && { phi }),
      }),
  },
  {
    name: "adai",
    title: "Adai",
    paper: "Xie et al. 2022, arXiv 2006.15815",
    stateBytes: 12,
    // The step is as large as that of SGD without momentum, whose rate the authors advise.
    learningRates: [1e-2, 1],
    build: () => adai(),
  },
  {
    name: "fastadabelief",
    title: "FastAdaBelief",
    paper: "Zhou et al. 2023, arXiv 2104.13790",
    stateBytes: 12,
    // The update is g divided by g² in size, so the rate is in units of g². The theory's α/t is left out: the run's
    // schedule sets the rate of every optimizer alike.
    learningRates: [3e-5, 3e-3],
    build: ({ b1 }) => fastAdaBelief({ schedule: "constant", ...(b1 !== undefined && { b1 }) }),
  },
  {
    name: "sadam",
    title: "SAdam",
    paper: "Wang et al. 2020, arXiv 1905.02957",
    stateBytes: 8,
    learningRates: [1e-5, 1e-3],
    build: ({ b1 }) => sadam({ schedule: "constant", ...(b1 !== undefined && { b1 }) }),
  },
  {
    name: "cprop-sgd",
    title: "CProp over SGD, momentum 0.9",
    paper: "Preechakul & Kijsirikul 2019, arXiv 1912.11493",
    stateBytes: 12,
    learningRates: [3e-3, 0.3],
    build: () => cpropSgd({ momentum: 0.9 }),
  },
  {
    name: "cprop-adam",
    title: "CProp over Adam",
    paper: "Preechakul & Kijsirikul 2019, arXiv 1912.11493",
    stateBytes: 12,
    learningRates: [3e-4, 3e-2],
    build: (setting) => cpropAdam(adaptive(setting)),
  },
  {
    name: "adagrad",
    title: "AdaGrad",
    paper: "Duchi, Hazan & Singer 2011",
    stateBytes: 4,
    // 0.01, torch's default.
    learningRates: [1e-3, 0.1],
    build: ({ eps }) => adagrad({ ...(eps !== undefined && { eps }) }),
  },
  {
    name: "rmsprop",
    title: "RMSProp",
    paper: "Tieleman & Hinton 2012",
    stateBytes: 4,
    // 0.001 (Keras) to 0.01 (torch).
    learningRates: [3e-4, 3e-2],
    build: ({ b2, eps }) =>
      rmsprop({ ...(b2 !== undefined && { decay: b2 }), ...(eps !== undefined && { eps }) }),
  },
  {
    name: "nadam",
    title: "NAdam",
    paper: "Dozat 2016",
    stateBytes: 8,
    // 0.002, torch's default: Adam's range.
    learningRates: [3e-4, 3e-2],
    build: (setting) => nadam(adaptive(setting)),
  },
  {
    name: "radam",
    title: "RAdam",
    paper: "Liu et al. 2020, arXiv 1908.03265",
    stateBytes: 8,
    // 0.001, the authors' default: Adam's range.
    learningRates: [3e-4, 3e-2],
    build: (setting) => radam(adaptive(setting)),
  },
  {
    name: "adabelief",
    title: "AdaBelief",
    paper: "Zhuang et al. 2020, arXiv 2010.07468",
    stateBytes: 8,
    // 0.001, the authors' default: Adam's range.
    learningRates: [3e-4, 3e-2],
    build: (setting) => adabelief(adaptive(setting)),
  },
  {
    name: "yogi",
    title: "Yogi",
    paper: "Zaheer et al. 2018",
    stateBytes: 8,
    // 0.01 is usual: ε = 1e-3 makes steps shorter than Adam's.
    learningRates: [1e-3, 0.1],
    build: (setting) => yogi(adaptive(setting)),
  },
  {
    name: "adabound",
    title: "AdaBound, final rate 0.1",
    paper: "Luo et al. 2019, arXiv 1902.09843",
    stateBytes: 8,
    // 0.001, the authors' default: Adam's range. The final rate stays at its default and follows the run's schedule.
    learningRates: [3e-4, 3e-2],
    build: (setting) => adabound(adaptive(setting)),
  },
  {
    name: "padam",
    title: "Padam, p = 1/4",
    paper: "Chen et al. 2018, arXiv 1806.06763",
    stateBytes: 12,
    // 0.1, the authors' default.
    learningRates: [1e-2, 1],
    build: (setting) => padam(adaptive(setting)),
  },
  {
    name: "adamnc",
    title: "AdamNC",
    paper: "Reddi, Kale & Kumar 2018, arXiv 1904.09237",
    stateBytes: 8,
    // Adam's range: the run's schedule takes the place of the theory's α/√t.
    learningRates: [3e-4, 3e-2],
    build: ({ b1, eps }) =>
      adamnc({
        schedule: "constant",
        ...(b1 !== undefined && { b1 }),
        ...(eps !== undefined && { eps }),
      }),
  },
  {
    name: "lion",
    title: "Lion",
    paper: "Chen et al. 2023, arXiv 2302.06675",
    stateBytes: 4,
    learningRates: [1e-4, 1e-2],
    // Its b1 and b2 are not the decay rates of Adam's moments, which a problem's source means.
    build: () => lion(),
  },
  {
    name: "adan",
    title: "Adan",
    paper: "Xie et al. 2022, arXiv 2208.06677",
    stateBytes: 16,
    learningRates: [3e-4, 3e-2],
    // Three decay rates, none of them one of Adam's.
    build: ({ eps }) => adan({ ...(eps !== undefined && { eps }) }),
  },
  {
    name: "adamax",
    title: "Adamax",
    paper: "Kingma & Ba 2015, arXiv 1412.6980",
    stateBytes: 8,
    learningRates: [1e-3, 0.1],
    build: (setting) => adamax(adaptive(setting)),
  },
  {
    name: "adadelta",
    title: "Adadelta",
    paper: "Zeiler 2012, arXiv 1212.5701",
    stateBytes: 8,
    learningRates: [0.1, 10],
    build: () => adadelta(),
  },
  {
    name: "rprop",
    title: "Rprop, the rate its first step size",
    paper: "Igel & Hüsken 2003",
    stateBytes: 8,
    learningRates: [1e-3, 0.1],
    build: () => rprop(),
  },
  {
    name: "lamb",
    title: "LAMB",
    paper: "You et al. 2020, arXiv 1904.00962",
    stateBytes: 8,
    learningRates: [1e-3, 0.1],
    build: (setting) => lamb(adaptive(setting)),
  },
  {
    name: "lars",
    title: "LARS, momentum 0.9",
    paper: "You, Gitman & Ginsburg 2017, arXiv 1708.03888",
    stateBytes: 4,
    learningRates: [0.3, 30],
    build: ({ b1 = 0.9 }) => lars({ momentum: b1 }),
  },
  {
    name: "schedulefree-sgd",
    title: "Schedule-Free SGD",
    paper: "Defazio et al. 2024, arXiv 2405.15682",
    stateBytes: 4,
    // 1, the authors' default.
    learningRates: [0.1, 10],
    build: ({ b1 }) => scheduleFreeSgd({ ...(b1 !== undefined && { b1 }) }),
  },
  {
    name: "schedulefree-adamw",
    title: "Schedule-Free AdamW",
    paper: "Defazio et al. 2024, arXiv 2405.15682",
    stateBytes: 8,
    // 0.0025, the authors' default.
    learningRates: [3e-4, 3e-2],
    build: (setting) => scheduleFreeAdamW(adaptive(setting)),
  },
  {
    name: "prodigy",
    title: "Prodigy, the rate a factor of its own estimate",
    paper: "Mishchenko & Defazio 2024, arXiv 2306.06101",
    stateBytes: 16,
    // 1, which the method is made for.
    learningRates: [0.1, 10],
    build: (setting) => prodigy(adaptive(setting)),
  },
  {
    name: "adafactor",
    title: "Adafactor, torch's conventions",
    paper: "Shazeer & Stern 2018, arXiv 1804.04235",
    // 8 bytes a row and a column: of a 784 × 128 matrix 0.07 a parameter.
    stateBytes: 0.1,
    // 0.01, torch's default; relative to the parameter's size.
    learningRates: [1e-3, 0.1],
    build: () => adafactor(),
  },
  {
    name: "muon",
    title: "Muon, NAdam for what is no matrix",
    paper: "Jordan et al. 2024",
    // Of a matrix; 8 of another leaf.
    stateBytes: 4,
    // 0.02, the authors' rate; NAdam's a tenth of it.
    learningRates: [0.002, 0.2],
    build: () => muon({ auxiliaryScale: 0.1 }),
  },
];

/** @throws RangeError with the nearest name when the catalogue has no optimizer of that name. */
export function findOptimizer(name: string): CatalogueEntry {
  return lookUp("compare", "optimizer", name, catalogue);
}
