/** What several packages need from each other, without knowing each other. */

/** A parameter, gradient or state array: flat, row-major. */
export type NumericArray = Float32Array | Float64Array;

/** One named array of a model; `shape: []` is a scalar of one element. */
export interface Leaf<A extends NumericArray = NumericArray> {
  readonly shape: readonly number[];
  readonly data: A;
}

/** Leaves by path (`"dense1/kernel"`), in a fixed order. */
export type Leaves<A extends NumericArray = NumericArray> = Readonly<Record<string, Leaf<A>>>;

/**
 * Whatever turns parameters and a batch into a loss and gradients: an engine, a formula, a peer.
 *
 * `run` reads `params` and writes every gradient it knows into `gradients` (same paths, same shapes);
 * it keeps no reference to either after it resolves, except as a cache keyed by the array itself.
 */
export interface GradientSource<Batch> {
  run(batch: Batch, params: Leaves, gradients: Leaves): Promise<GradientResult>;
}

/** `loss` is the mean over the batch; `aux` holds what the loss function returned beside it. */
export interface GradientResult {
  readonly loss: number;
  readonly aux: Readonly<Record<string, NumericArray>>;
}

/** Milliseconds since an arbitrary, fixed moment; monotonic. Library code never reads a clock of its own. */
export interface Clock {
  now(): number;
}

/** Seeded randomness: same seed, same numbers, on every machine. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, bound). */
  integer(bound: number): number;
  /** Standard normal. */
  normal(): number;
  /** An independent generator, determined by this one's seed and `label`. */
  fork(label: string): Random;
  /** State that `restore` takes back; JSON-serialisable. */
  save(): number;
  restore(state: number): void;
}
