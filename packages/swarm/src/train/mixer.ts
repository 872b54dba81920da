/**
 * Mixing as a program of core: kernels as fast as an optimizer's, with the same bits on every backend.
 *
 *     x ← x + s (x̃ⱼ − x̃ᵢ)                           one neighbour
 *     x ← x + (s (x̃ⱼ − x̃ᵢ) + s′ (x̃ₖ − x̃ᵢ))            two that were sent the same x̃ᵢ: x is read and written once
 *
 * Where x is still what was sent, as it is unless a late exchange was mixed since, x̃ᵢ need not be read: with two neighbours
 * that is a fifth of the bytes.
 *
 * A kernel sees its own memory only, so numbers pass through it in pieces, small enough to stay in the cache of a core.
 * What two ends of an edge do is s times a difference and s times its negative, each rounded alike: the mean stays.
 */

import {
  add,
  type CompiledOptimizer,
  type CompileOptions,
  compileOptimizer,
  type DType,
  defineOptimizer,
  type Expr,
  mul,
  type NamedInputs,
  type NumericArray,
  type Optimizer,
  perElement,
  share,
  sub,
} from "@adastra/core";
import type { Values } from "./values.ts";

/** What a neighbour's values do to one's own. */
export interface Pull {
  readonly share: number;
  readonly mine: Values;
  readonly theirs: Values;
  /** Whether `mine` is what is mixed into, bit for bit, before any of the pulls; default false. */
  readonly isHeld?: boolean;
}

/** Adds Σ share · (theirs − mine), elements `at` and after of those, to `parts`, which lie end to end. */
export type Mixer = (parts: readonly NumericArray[], pulls: readonly Pull[], at: number) => void;

/** Numbers of a piece: with those of three other arrays 512 kB in float32. */
const PIECE = 32_768;

const [mine, theirs, others] = [perElement(1), perElement(2), perElement(3)];
const shares = { share: share(0), othersShare: share(0) };

/** Inputs stay as they are; states that start alike and stay alike would be planned as one. */
type Given = NamedInputs &
  Readonly<Record<"mine" | "theirs" | "others" | keyof typeof shares, Expr>>;

const towards = ({ share: s, theirs }: Given, from: Expr): Expr => mul(s, sub(theirs, from));
const towardsBoth = (given: Given, from: Expr): Expr =>
  add(towards(given, from), mul(given.othersShare, sub(given.others, from)));

const PULL: Optimizer = defineOptimizer(
  "pull",
  { mine, theirs },
  { share: shares.share },
  (inputs) => {
    const given = inputs as Given;
    return { update: towards(given, given.mine), next: { mine: given.mine, theirs: given.theirs } };
  },
);

const PULL_TWICE: Optimizer = defineOptimizer(
  "pullTwice",
  { mine, theirs, others },
  shares,
  (inputs) => {
    const given = inputs as Given;
    const next = { mine: given.mine, theirs: given.theirs, others: given.others };
    return { update: towardsBoth(given, given.mine), next };
  },
);

const PULL_HELD_TWICE: Optimizer = defineOptimizer(
  "pullHeldTwice",
  { theirs, others },
  shares,
  (inputs) => {
    const given = inputs as Given;
    return {
      update: towardsBoth(given, given.p),
      next: { theirs: given.theirs, others: given.others },
    };
  },
);

/**
 * Compiles a mixer for up to `length` numbers at a time; peers of one process may share it.
 *
 * @throws what `compileOptimizer` throws.
 */
export function createMixer(
  length: number,
  dtype: DType,
  backend: NonNullable<CompileOptions["backend"]> = "auto",
): Mixer {
  const size = Math.min(length, PIECE);
  const compile = (program: Optimizer): Kernel => new Kernel(program, size, dtype, backend);
  const kernels: { pull?: Kernel; pullTwice?: Kernel; pullHeldTwice?: Kernel } = {};
  return (parts, pulls, at) => {
    for (let k = 0; k < pulls.length; ) {
      const [first, second] = [pulls[k] as Pull, pulls[k + 1]];
      const { share, mine, theirs } = first;
      if (second?.mine !== mine) {
        kernels.pull ??= compile(PULL);
        kernels.pull.run(parts, [mine, theirs], at, share, 0);
        k += 1;
        continue;
      }
      if (k === 0 && first.isHeld) {
        kernels.pullHeldTwice ??= compile(PULL_HELD_TWICE);
        kernels.pullHeldTwice.run(parts, [theirs, second.theirs], at, share, second.share);
      } else {
        kernels.pullTwice ??= compile(PULL_TWICE);
        kernels.pullTwice.run(parts, [mine, theirs, second.theirs], at, share, second.share);
      }
      k += 2;
    }
  };
}

class Kernel {
  private readonly program: CompiledOptimizer;
  private readonly size: number;
  private readonly piece: NumericArray;
  private readonly inputs: readonly NumericArray[];
  private readonly isDouble: boolean;
  private share = 0;
  private othersShare = 0;

  constructor(
    program: Optimizer,
    size: number,
    dtype: DType,
    backend: NonNullable<CompileOptions["backend"]>,
  ) {
    const params = { x: { shape: [size], data: new Float64Array(size) } };
    this.program = compileOptimizer(program, { params, learningRate: 1, dtype, backend });
    this.size = size;
    this.isDouble = "othersShare" in (program.hyperparameters ?? {});
    const arrayOf = (leaves: CompiledOptimizer["params"]): NumericArray =>
      (leaves["x"] as { readonly data: NumericArray }).data;
    this.piece = arrayOf(this.program.params);
    this.inputs = Object.keys(program.state).map((key) => arrayOf(this.program.views(key)));
  }

  private setShares(share: number, othersShare: number): void {
    if (share !== this.share || othersShare !== this.othersShare) {
      [this.share, this.othersShare] = [share, othersShare];
      this.program.set(this.isDouble ? { share, othersShare } : { share });
    }
  }

  /** What a last piece does not fill holds numbers of the one before: computed too, and not copied back. */
  run(
    parts: readonly NumericArray[],
    given: readonly Values[],
    at: number,
    share: number,
    othersShare: number,
  ): void {
    this.setShares(share, othersShare);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    for (let from = 0; from < length; from += this.size) {
      const count = Math.min(this.size, length - from);
      eachOverlap(parts, from, count, (part, offset) => this.piece.set(part, offset));
      this.inputs.forEach((input, k) => {
        input.set(stretch(given[k] as Values, at + from, at + from + count));
      });
      this.program.step();
      eachOverlap(parts, from, count, (part, offset) => {
        part.set(stretch(this.piece, offset, offset + part.length));
      });
    }
  }
}

/** Views are dear where there are thousands of peers. */
function stretch(array: NumericArray, from: number, to: number): NumericArray {
  return from === 0 && to === array.length ? array : array.subarray(from, to);
}

/** Calls `visit` with the stretches of `parts`, laid end to end, that lie in `count` numbers after `from`. */
function eachOverlap(
  parts: readonly NumericArray[],
  from: number,
  count: number,
  visit: (stretch: NumericArray, offset: number) => void,
): void {
  let start = 0;
  for (const part of parts) {
    const [low, high] = [Math.max(start, from), Math.min(start + part.length, from + count)];
    if (low < high) {
      visit(stretch(part, low - start, high - start), low - from);
    }
    start += part.length;
  }
}
