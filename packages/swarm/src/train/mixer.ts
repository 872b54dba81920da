/**
 * Mixing as a program of core: kernels as fast as an optimizer's, with the same bits on every backend.
 *
 *     x ← x + s (x̃ⱼ − x̃ᵢ)                           one neighbour
 *     x ← x + (s (x̃ⱼ − x̃ᵢ) + s′ (x̃ₖ − x̃ᵢ))            two that were sent the same x̃ᵢ: x is read and written once
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
}

/** Adds Σ share · (theirs − mine), elements `at` and after of those, to `parts`, which lie end to end. */
export type Mixer = (parts: readonly NumericArray[], pulls: readonly Pull[], at: number) => void;

/** Numbers of a piece: with those of three other arrays 512 kB in float32. */
const PIECE = 32_768;

/** Inputs that stay as they are; states that start alike and stay alike would be planned as one. */
const given = { mine: perElement(1), theirs: perElement(2) };
type Given = NamedInputs & Readonly<Record<"mine" | "theirs" | "share", Expr>>;

const PULL: Optimizer = defineOptimizer("pull", given, { share: share(0) }, (inputs) => {
  const { mine, theirs, share: s } = inputs as Given;
  return { update: mul(s, sub(theirs, mine)), next: { mine, theirs } };
});

const PULL_TWICE: Optimizer = defineOptimizer(
  "pullTwice",
  { ...given, others: perElement(3) },
  { share: share(0), othersShare: share(0) },
  (inputs) => {
    const {
      mine,
      theirs,
      others,
      share: s,
      othersShare,
    } = inputs as Given & Readonly<Record<"others" | "othersShare", Expr>>;
    const update = add(mul(s, sub(theirs, mine)), mul(othersShare, sub(others, mine)));
    return { update, next: { mine, theirs, others } };
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
  const kernels: { pull?: Kernel; pullTwice?: Kernel } = {};
  return (parts, pulls, at) => {
    for (let k = 0; k < pulls.length; ) {
      const [first, second] = [pulls[k] as Pull, pulls[k + 1]];
      if (second !== undefined && second.mine === first.mine) {
        kernels.pullTwice ??= compile(PULL_TWICE);
        kernels.pullTwice.set({ share: first.share, othersShare: second.share });
        kernels.pullTwice.run(parts, [first.mine, first.theirs, second.theirs], at);
        k += 2;
      } else {
        kernels.pull ??= compile(PULL);
        kernels.pull.set({ share: first.share });
        kernels.pull.run(parts, [first.mine, first.theirs], at);
        k += 1;
      }
    }
  };
}

class Kernel {
  private readonly program: CompiledOptimizer;
  private readonly size: number;
  private readonly piece: NumericArray;
  private readonly inputs: readonly NumericArray[];

  constructor(
    program: Optimizer,
    size: number,
    dtype: DType,
    backend: NonNullable<CompileOptions["backend"]>,
  ) {
    const params = { x: { shape: [size], data: new Float64Array(size) } };
    this.program = compileOptimizer(program, { params, learningRate: 1, dtype, backend });
    this.size = size;
    const arrayOf = (leaves: CompiledOptimizer["params"]): NumericArray =>
      (leaves["x"] as { readonly data: NumericArray }).data;
    this.piece = arrayOf(this.program.params);
    this.inputs = Object.keys(program.state).map((key) => arrayOf(this.program.views(key)));
  }

  set(shares: Readonly<Record<string, number>>): void {
    this.program.set(shares);
  }

  /** What a last piece does not fill holds numbers of the one before: computed too, and not copied back. */
  run(parts: readonly NumericArray[], given: readonly Values[], at: number): void {
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
