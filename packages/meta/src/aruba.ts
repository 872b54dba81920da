/**
 * ARUBA: average regret-upper-bound analysis, a rate an element from how far tasks moved and how large their gradients were
 *
 *     B₁ = ε²,  G₁ = ζ²,  η₁ = ε/ζ
 *     B ← (1 − d) B + ½ (θ − φ)² + ε²/(t + 1)ᵖ
 *     G ← (1 − d) G + Σ g²       + ζ²/(t + 1)ᵖ          after task t = 1, 2, ...
 *     η = √(B/G)                                        isotropic: η = √(ΣB/ΣG)
 */

import {
  type CompileOptions,
  compileOptimizer,
  type DType,
  decayRate,
  flatten,
  type Leaves,
  nonNegative,
  type OptimizerState,
  positive,
  type Tree,
} from "@adastra/core";
import { requireOneOf } from "./checks.ts";
import { allFinite, copyLeaves, dataOf, leavesLike, requireLike, writeLeaves } from "./leaves.ts";
import type { TaskResult } from "./task.ts";
import { arubaSgd, type RateMode } from "./withinTask.ts";

export interface ArubaOptions {
  /** ε, greater than 0, default 1. */
  readonly eps?: number;
  /** ζ, greater than 0, default 1. */
  readonly zeta?: number;
  /** The first rate, greater than 0; ε becomes `learningRate · ζ`, whatever `eps` says. */
  readonly learningRate?: number;
  /** p, at least 0, default 1: how fast ε² and ζ² of later tasks fade. */
  readonly p?: number;
  /** d in [0, 1), default 0: how much is forgotten at each task. */
  readonly decay?: number;
  /**
   * `"clean"` (default) decays what was there before the task; `"official"`, as the authors' Reptile code, also the task's
   * own squares but those of its last step. They differ where `decay` is above 0.
   */
  readonly decayMode?: "clean" | "official";
  /** `"coordinate"` (default): a rate an element; `"isotropic"`: one for all. */
  readonly mode?: RateMode;
  /** When η follows B and G: after every `"task"` (default), as with Reptile, or after every `"round"`, as with FedAvg. */
  readonly refreshEvery?: "task" | "round";
  /** Train at the first rate, and learn rates only for later use; default false. */
  readonly trainWithSgd?: boolean;
}

/** What `save` returns: plain values and arrays, as checkpoints hold them. */
export interface ArubaState {
  readonly format: "adastra-aruba/1";
  readonly mode: RateMode;
  /** Tasks observed. */
  readonly tasks: number;
  readonly b: Readonly<Record<string, Float32Array | Float64Array>>;
  readonly gsq: Readonly<Record<string, Float32Array | Float64Array>>;
  readonly rates: Readonly<Record<string, Float32Array | Float64Array>>;
}

/** The learner of rates: B, G and η of every element. */
export interface Aruba {
  readonly options: Required<Omit<ArubaOptions, "learningRate">>;
  /** Tasks observed. */
  readonly tasks: number;
  /** B. */
  readonly b: Leaves;
  /** G. */
  readonly gsq: Leaves;
  /** η that the next task trains with. */
  readonly rates: Leaves;
  /**
   * Takes a task that started at φ into B and G; η stays until `refresh`.
   *
   * @throws TypeError for leaves of another model, RangeError for numbers that are not finite. Nothing has changed then.
   */
  observe(phi: Leaves, result: Pick<TaskResult, "params" | "squares" | "lastSquare">): void;
  /** η from B and G as they stand; stays ε/ζ under `trainWithSgd`. */
  refresh(): void;
  /** State of `arubaSgd` with what was learned, to train from φ on a new task. */
  preset(phi: Leaves, coef?: number): OptimizerState;
  save(): ArubaState;
  /** @throws TypeError for a state of another model. Nothing has changed then. */
  load(state: ArubaState): void;
}

/**
 * ARUBA's accumulators and rates.
 *
 *     B ← (1 − d) B + ½ (θ − φ)² + ε²/(t + 1)ᵖ,  G ← (1 − d) G + Σ g² + ζ²/(t + 1)ᵖ,  η = √(B/G)
 *
 * State: B, G, η, each of the parameters' shapes and dtype: 12 bytes a float32 parameter. η has units of parameter/gradient:
 * a loss times c, with ζ times c, gives η/c.
 *
 * @param params - the model's parameters; only paths and shapes are read.
 * @throws RangeError naming the option that is out of range.
 * @see Khodak, Balcan & Talwalkar 2019, Algorithm 2 and its published code, https://arxiv.org/abs/1906.02717
 */
export function aruba(
  params: Tree,
  options: ArubaOptions = {},
  { dtype = "float32", backend = "auto" }: Pick<CompileOptions, "dtype" | "backend"> = {},
): Aruba {
  const { learningRate, ...rest } = options;
  const settings = { ...defaults, ...rest };
  const { zeta, p, decay, decayMode, mode, refreshEvery, trainWithSgd } = settings;
  if (learningRate !== undefined) {
    positive(learningRate).check("aruba", "learningRate", learningRate);
  }
  positive(zeta).check("aruba", "zeta", zeta);
  const eps = learningRate === undefined ? settings.eps : learningRate * zeta;
  positive(eps).check("aruba", "eps", eps);
  nonNegative(p).check("aruba", "p", p);
  decayRate(decay).check("aruba", "decay", decay);
  requireOneOf("aruba", "decayMode", decayMode, ["clean", "official"]);
  requireOneOf("aruba", "mode", mode, ["coordinate", "isotropic"]);
  requireOneOf("aruba", "refreshEvery", refreshEvery, ["task", "round"]);

  const kept: DType = dtype;
  const shapes = flatten(params);
  const paths = Object.keys(shapes);
  const constant = (value: number): Leaves => leavesLike(shapes, kept, () => value);
  const b = constant(eps ** 2);
  const gsq = constant(zeta ** 2);
  const rates = constant(eps / zeta);
  let t = 1;

  const observe: Aruba["observe"] = (phi, { params: theta, squares, lastSquare }) => {
    if (squares === undefined || (decayMode === "official" && lastSquare === undefined)) {
      throw new TypeError(
        `observe: a result must hold \`squares\`${decayMode === "official" ? " and `lastSquare`" : ""}, got none; train with collectingSgd`,
      );
    }
    const parts = { params: theta, squares, ...(lastSquare === undefined ? {} : { lastSquare }) };
    for (const [name, leaves] of Object.entries(parts)) {
      requireLike("observe", `\`${name}\``, shapes, leaves);
      if (!allFinite(leaves)) {
        throw new RangeError(
          `observe: \`${name}\` must be finite, got NaN or infinity; drop the task, or lower the rate`,
        );
      }
    }
    const fade = (t + 1) ** -p;
    const keep = 1 - decay;
    for (const path of paths) {
      const [B, G] = [dataOf(b, path), dataOf(gsq, path)];
      const [from, to, sum] = [dataOf(phi, path), dataOf(theta, path), dataOf(squares, path)];
      const last = decayMode === "official" && lastSquare ? dataOf(lastSquare, path) : undefined;
      for (let i = 0; i < B.length; i++) {
        const moved = at(to, i) - at(from, i);
        B[i] = keep * at(B, i) + 0.5 * moved * moved + eps ** 2 * fade;
        // (1 − d)(G + Σg² − g²) + g², with the decay of the task's own squares taken off their sum.
        const own =
          last === undefined ? at(sum, i) : at(sum, i) - decay * (at(sum, i) - at(last, i));
        G[i] = keep * at(G, i) + own + zeta ** 2 * fade;
      }
    }
    t += 1;
  };

  const refresh = (): void => {
    if (trainWithSgd) {
      return;
    }
    const common = Math.sqrt(total(b) / total(gsq));
    for (const path of paths) {
      const [B, G, eta] = [dataOf(b, path), dataOf(gsq, path), dataOf(rates, path)];
      for (let i = 0; i < eta.length; i++) {
        eta[i] = mode === "isotropic" ? common : Math.sqrt(at(B, i) / at(G, i));
      }
    }
  };

  return {
    options: { ...settings, eps },
    get tasks() {
      return t - 1;
    },
    b,
    gsq,
    rates,
    observe,
    refresh,
    preset: (phi, coef = 0) => {
      requireLike("preset", "`phi`", shapes, phi);
      const compiled = compileOptimizer(arubaSgd({ mode, coef }), {
        params: phi,
        learningRate: 1,
        dtype: kept,
        backend,
      });
      writeLeaves(compiled.views("b"), b);
      writeLeaves(compiled.views("gsq"), gsq);
      return compiled.save();
    },
    save: () => ({
      format: "adastra-aruba/1",
      mode,
      tasks: t - 1,
      b: arraysOf(copyLeaves(b, kept)),
      gsq: arraysOf(copyLeaves(gsq, kept)),
      rates: arraysOf(copyLeaves(rates, kept)),
    }),
    load: (state) => {
      const parts = [b, gsq, rates];
      const saved = checkState(state, shapes, mode);
      parts.forEach((leaves, i) => {
        writeLeaves(leaves, saved[i] as Leaves);
      });
      t = state.tasks + 1;
    },
  };
}

const defaults = {
  eps: 1,
  zeta: 1,
  p: 1,
  decay: 0,
  decayMode: "clean",
  mode: "coordinate",
  refreshEvery: "task",
  trainWithSgd: false,
} as const satisfies Required<Omit<ArubaOptions, "learningRate">>;

/** B, G and η of a state as leaves. @throws TypeError for what `save` did not return, or of another model. */
function checkState(state: ArubaState, shapes: Leaves, mode: RateMode): readonly Leaves[] {
  if (state?.format !== "adastra-aruba/1" || !Number.isSafeInteger(state.tasks)) {
    throw new TypeError(
      `load: ARUBA's state must have format "adastra-aruba/1", got ${String(state?.format)}; pass what \`save\` returned`,
    );
  }
  if (state.mode !== mode) {
    throw new TypeError(
      `load: ARUBA's state must be of mode "${mode}", got "${state.mode}"; make the learner with the mode it was saved with`,
    );
  }
  return (["b", "gsq", "rates"] as const).map((key) => {
    const leaves = Object.fromEntries(
      Object.entries(state[key] ?? {}).map(([path, data]) => [
        path,
        { shape: [data.length], data },
      ]),
    );
    requireLike("load", `ARUBA's \`${key}\``, shapes, leaves);
    if (!Object.values(leaves).every(({ data }) => data.every((x) => x > 0 && x < 1 / 0))) {
      throw new TypeError(
        `load: ARUBA's \`${key}\` must be finite and greater than 0, got other numbers; pass what \`save\` returned`,
      );
    }
    return leaves;
  });
}

function arraysOf(leaves: Leaves): ArubaState["b"] {
  return Object.fromEntries(Object.entries(leaves).map(([path, { data }]) => [path, data]));
}

function total(leaves: Leaves): number {
  let sum = 0;
  for (const { data } of Object.values(leaves)) {
    for (const value of data) {
      sum += value;
    }
  }
  return sum;
}

/** An element that the loop's bounds say is there. */
function at(data: Float32Array | Float64Array, i: number): number {
  return data[i] as number;
}
