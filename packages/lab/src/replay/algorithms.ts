/** Algorithms of the trace files, by the names and options that the files use. */

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
  adan,
  adashift,
  amsgrad,
  cprop,
  cpropAdam,
  cpropSgd,
  fastAdaBelief,
  lamb,
  lars,
  lion,
  type MuonCoefficients,
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
import { given, type Options, only, Reader, UnsupportedError } from "./reader.ts";

/** An optimizer of this library and the rate to run it with, or why there is none. */
export type Resolved =
  | { readonly status: "supported"; readonly optimizer: Optimizer; readonly learningRate: number }
  | { readonly status: "unsupported"; readonly reason: string };

const decayOf = (read: Reader) =>
  ({ weightDecay: read.number("weightDecay"), decoupled: read.flag("decoupled") }) as const;

const sgdOf = (read: Reader): Options =>
  given({
    momentum: read.number("momentum"),
    dampening: read.number("dampening"),
    nesterov: read.flag("nesterov"),
    ...decayOf(read),
  });

const momentsOf = (read: Reader): Options =>
  given({ b1: read.number("beta1"), b2: read.number("beta2"), ...decayOf(read) });

const convexOf = (read: Reader): Options =>
  given({
    b1: read.number("beta1"),
    gamma: read.number("gamma"),
    delta: read.number("delta"),
    schedule: read.text("schedule"),
    ...decayOf(read),
  });

/** The two conventions agree for these methods, so either is accepted. */
const eitherConvention = (read: Reader): void => only(read, "convention", "torch", "optax");

/** The convention of a method whose conventions part; torch's where none is named, as the schema has it. */
function conventionOf(read: Reader): "torch" | "optax" {
  eitherConvention(read);
  return read.text<"torch" | "optax">("convention") ?? "torch";
}

const adamOf = (read: Reader): Options => ({
  ...momentsOf(read),
  ...given({ eps: read.number("eps") }),
});

/** Whose running maximum Adam keeps, if any. There the conventions part: a file that names both names neither. */
function amsgradOf(read: Reader): "torch" | "optax" | "inplace" | undefined {
  const amsgrad =
    read.any("amsgrad") === false ? undefined : read.text<"torch" | "optax" | "inplace">("amsgrad");
  if (amsgrad === "torch" || amsgrad === "optax") {
    only(read, "convention", amsgrad);
  } else {
    eitherConvention(read);
  }
  return amsgrad;
}

const ALGORITHMS: Readonly<Record<string, (read: Reader) => Optimizer>> = {
  sgd: (read) => {
    eitherConvention(read);
    return sgd(sgdOf(read));
  },
  adam: (read) => {
    const options = adamOf(read);
    if (read.flag("nesterov") === true) {
      // Adam of optax has NAdam as an option; that of torch has not.
      only(read, "convention", "optax");
      only(read, "amsgrad", false);
      return nadam({ ...options, convention: "optax" });
    }
    const convention = amsgradOf(read);
    return convention === undefined ? adam(options) : amsgrad({ ...options, convention });
  },
  nadam: (read) =>
    nadam({
      ...adamOf(read),
      ...given({ momentumDecay: read.number("momentumDecay") }),
      convention: conventionOf(read),
    }),
  radam: (read) => radam({ ...adamOf(read), convention: conventionOf(read) }),
  adagrad: (read) =>
    adagrad({
      ...given({
        eps: read.number("eps"),
        learningRateDecay: read.number("lrDecay"),
        initialAccumulator: read.number("initialAccumulator"),
        ...decayOf(read),
      }),
      convention: conventionOf(read),
    }),
  rmsprop: (read) =>
    rmsprop({
      ...given({
        decay: read.number("alpha"),
        eps: read.number("eps"),
        momentum: read.number("momentum"),
        centered: read.flag("centered"),
        ...decayOf(read),
      }),
      convention: conventionOf(read),
    }),
  adabelief: (read) => {
    only(read, "convention", "optax");
    return adabelief({ ...adamOf(read), ...given({ epsRoot: read.number("epsRoot") }) });
  },
  yogi: (read) => {
    only(read, "convention", "optax");
    const initialAccumulator = read.number("initialAccumulator");
    return yogi({ ...adamOf(read), ...given({ initialAccumulator }) });
  },
  adabound: (read) => {
    only(read, "convention", "torch");
    return adabound({
      ...adamOf(read),
      ...given({ finalLearningRate: read.number("finalLr"), gamma: read.number("gamma") }),
    });
  },
  padam: (read) => {
    only(read, "convention", "torch");
    return padam({
      ...adamOf(read),
      ...given({ partial: read.number("partial") }),
      // The schema's Padam keeps no maximum unless it says so.
      max: read.flag("max") ?? false,
    });
  },
  adamnc: (read) => {
    only(read, "convention", "torch");
    return adamnc(
      given({
        b1: read.number("beta1"),
        eps: read.number("eps"),
        schedule: read.text<"1/sqrt(t)" | "constant">("schedule"),
        ...decayOf(read),
      }),
    );
  },
  adashift: (read) =>
    adashift(
      given({
        ...momentsOf(read),
        eps: read.number("eps"),
        n: read.number("n"),
        window: read.number("window"),
        phi: read.text<"max" | "mean" | "none">("phi"),
        gate: read.text<"nonzero" | "step">("gate"),
        warmup: read.text<"window" | "community">("warmup"),
      }),
    ),
  adai: (read) =>
    adai(
      given({
        b0: read.number("beta0"),
        b2: read.number("beta2"),
        eps: read.number("eps"),
        dampening: read.number("dampening"),
        weightDecay: read.number("weightDecay"),
        decay: read.text<"l2" | "decoupled" | "stable">("decay"),
      }),
    ),
  fastadabelief: (read) =>
    fastAdaBelief({
      ...convexOf(read),
      ...given({ max: read.flag("max"), box: read.number("box") }),
    }),
  sadam: (read) => sadam(convexOf(read)),
  lion: (read) =>
    lion(
      given({
        b1: read.number("beta1"),
        b2: read.number("beta2"),
        weightDecay: read.number("weightDecay"),
      }),
    ),
  adamax: (read) => adamax({ ...momentsOf(read), ...given({ eps: read.number("eps") }) }),
  adadelta: (read) =>
    adadelta(given({ rho: read.number("rho"), eps: read.number("eps"), ...decayOf(read) })),
  rprop: (read) =>
    rprop(
      given({
        etaMinus: read.number("etaMinus"),
        etaPlus: read.number("etaPlus"),
        minStepSize: read.number("minStepSize"),
        maxStepSize: read.number("maxStepSize"),
      }),
    ),
  adan: (read) =>
    adan(
      given({
        b1: read.number("beta1"),
        b2: read.number("beta2"),
        b3: read.number("beta3"),
        eps: read.number("eps"),
        weightDecay: read.number("weightDecay"),
        decay: read.text<"proximal" | "decoupled">("decay"),
      }),
    ),
  lamb: (read) =>
    lamb(
      given({
        b1: read.number("beta1"),
        b2: read.number("beta2"),
        eps: read.number("eps"),
        weightDecay: read.number("weightDecay"),
      }),
    ),
  lars: (read) =>
    lars(
      given({
        momentum: read.number("momentum"),
        nesterov: read.flag("nesterov"),
        trustCoefficient: read.number("trustCoefficient"),
        eps: read.number("eps"),
        weightDecay: read.number("weightDecay"),
        convention: read.text<"paper" | "optax">("convention"),
      }),
    ),
  muon: (read) => {
    const isTorch = conventionOf(read) === "torch";
    const auxiliary = new Reader(read.record("auxiliary"));
    const own = auxiliary.any("type") === "adam" ? adamOf(auxiliary) : undefined;
    if (own === undefined) {
      throw new UnsupportedError("auxiliary other than adam");
    }
    const rates = [auxiliary.number("lr"), read.number("lr")];
    const [rate = 1, common = 1] = rates;
    only(read, "adjust", "original", "match_rms_adamw");
    const matches = read.text("adjust") === "match_rms_adamw";
    const optimizer = muon({
      ...given({
        momentum: read.number("momentum"),
        nesterov: read.flag("nesterov"),
        nsSteps: read.number("nsSteps"),
        nsCoefficients: read.any("nsCoefficients") as MuonCoefficients | undefined,
        eps: read.number("eps"),
        weightDecay: read.number("weightDecay"),
        rms: matches ? 0.2 : read.number("consistentRms"),
      }),
      convention: isTorch ? "torch" : "optax",
      auxiliary:
        auxiliary.flag("nesterov") === true ? nadam({ ...own, convention: "optax" }) : adam(own),
      auxiliaryScale: rate / common,
    });
    if (auxiliary.leftOver.length > 0) {
      throw new UnsupportedError(`auxiliary option ${auxiliary.leftOver.join(", ")}`);
    }
    return optimizer;
  },
  schedulefree: (read) => {
    // The two differ in AdamW alone.
    only(read, "convention", "optax");
    const convention = read.text<"optax">("convention") ?? "authors";
    const base = read.text("base");
    const options = given({
      b1: read.number("beta1"),
      weightDecay: read.number("weightDecay"),
      warmupSteps: read.number("warmupSteps"),
      r: read.number("r"),
      weightLrPower: read.number("weightLrPower"),
    });
    if (base === "sgd") {
      return scheduleFreeSgd(options);
    }
    if (base === "adamw") {
      const own = given({ b2: read.number("beta2"), eps: read.number("eps") });
      return scheduleFreeAdamW({ ...options, ...own, convention });
    }
    throw new UnsupportedError(`schedulefree with base "${base ?? "nothing"}"`);
  },
  prodigy: (read) => {
    only(read, "convention", "optax");
    const isOptax = read.text("convention") === "optax";
    return prodigy(
      given({
        b1: read.number("beta1"),
        b2: read.number("beta2"),
        b3: read.number("beta3"),
        eps: read.number("eps"),
        d0: read.number("d0"),
        dCoef: read.number("dCoef"),
        growthRate: read.number("growthRate"),
        weightDecay: read.number("weightDecay"),
        decoupled: read.flag("decoupled"),
        // That of optax always corrects.
        useBiasCorrection: read.flag("biasCorrection") ?? isOptax,
        safeguardWarmup: read.flag("safeguardWarmup"),
      }),
    );
  },
  adafactor: (read) => {
    const convention = conventionOf(read);
    const clippingThreshold = clippingOf(read);
    if (convention === "torch") {
      const beta2Decay = read.number("beta2Decay");
      return adafactor({
        ...given({
          decay: beta2Decay === undefined ? undefined : -beta2Decay,
          eps: read.number("eps1"),
          minScale: read.number("eps2"),
          weightDecay: read.number("weightDecay"),
        }),
        clippingThreshold,
        convention,
      });
    }
    return adafactor({
      ...given({
        decay: read.number("decayRate"),
        eps: read.number("eps"),
        scaleByParameter: read.flag("multiplyByParameterScale"),
        momentum: read.number("momentum"),
        minFactored: read.number("minDimSizeToFactor"),
        weightDecay: read.number("weightDecayRate"),
      }),
      clippingThreshold,
      convention,
    });
  },
  cprop: (read) => {
    const inner = new Reader(read.record("inner"));
    const own = given({
      beta: read.number("beta"),
      c: read.number("c"),
      eps: read.number("eps"),
      cdf: read.text<"bft" | "bfo" | "logistic" | "normal">("cdf"),
    });
    const base = read.text("base") ?? "wrapper";
    // What the forms do of themselves: statistics see L2 in the fused form of Adam alone.
    only(read, "statsIncludeL2", base === "adam");
    const type = inner.text("type");
    const optimizer = cpropOf(base, type, inner, own);
    inner.number("lr");
    if (inner.leftOver.length > 0) {
      throw new UnsupportedError(`inner option ${inner.leftOver.join(", ")}`);
    }
    return optimizer;
  },
};

/** A threshold of null is none. */
function clippingOf(read: Reader): number {
  const none = read.any("clippingThreshold") === null;
  return none ? Number.POSITIVE_INFINITY : (read.number("clippingThreshold") ?? 1);
}

function cpropOf(base: string, type: string | undefined, inner: Reader, own: Options): Optimizer {
  if (base === "sgd" && type === "sgd") {
    eitherConvention(inner);
    return cpropSgd({ ...sgdOf(inner), ...own });
  }
  if (base === "adam" && type === "adam") {
    const innerEps = inner.number("eps");
    only(inner, "amsgrad", "torch", false);
    only(inner, "nesterov", false);
    const keepMax = amsgradOf(inner) === "torch";
    return cpropAdam({ ...momentsOf(inner), ...own, ...given({ innerEps }), amsgrad: keepMax });
  }
  const build = base === "wrapper" && type !== undefined ? algorithm(type) : undefined;
  if (build === undefined) {
    throw new UnsupportedError(`cprop with base "${base}" around "${type ?? "nothing"}"`);
  }
  return cprop(build(inner), own);
}

function algorithm(name: string): ((read: Reader) => Optimizer) | undefined {
  return Object.hasOwn(ALGORITHMS, name) ? ALGORITHMS[name] : undefined;
}

/** The rate of a case and, of CProp, those of the optimizers it goes around: one rate at most can be meant. */
function ratesOf(name: unknown, options: Options): readonly number[] {
  const read = new Reader(options);
  const own = read.number("lr");
  const inner = name === "cprop" ? read.record("inner") : undefined;
  return [
    ...(own === undefined ? [] : [own]),
    ...(inner === undefined ? [] : ratesOf(inner.type, inner)),
  ];
}

/**
 * The optimizer that a case names, with its options; unsupported when one of them would be ignored.
 *
 * @throws TypeError or RangeError for an option of the wrong type or out of range.
 */
export function resolve(name: string, options: Options): Resolved {
  const build = algorithm(name);
  if (build === undefined) {
    return { status: "unsupported", reason: `algorithm "${name}"` };
  }
  const read = new Reader(options);
  try {
    const optimizer = build(read);
    read.number("lr");
    const [learningRate, another] = new Set(ratesOf(name, options));
    if (learningRate === undefined) {
      return { status: "unsupported", reason: "a case without `lr`" };
    }
    if (another !== undefined) {
      return { status: "unsupported", reason: "two rates, `lr` and `inner.lr`" };
    }
    return read.leftOver.length === 0
      ? { status: "supported", optimizer, learningRate }
      : { status: "unsupported", reason: `option ${read.leftOver.join(", ")} of "${name}"` };
  } catch (cause) {
    if (cause instanceof UnsupportedError) {
      return { status: "unsupported", reason: cause.message };
    }
    throw cause;
  }
}
