/** `compile`: from a loss in TypeScript to a function that writes gradients; `compileForward` for evaluation. */

import {
  type Clock,
  flatten,
  type GradientResult,
  type GradientSource,
  type Leaf,
  type Leaves,
  sizeOf,
  type Tree,
} from "@adastra/core";
import type { InputData } from "./backends/executable.ts";
import { findOrigin } from "./diagnose.ts";
import { type BackendName, type CompileReport, prepare } from "./prepare.ts";
import {
  inParts,
  partOfRows,
  requireMeanOfRows,
  requireReplicas,
  requireScalars,
} from "./replicas.ts";
import {
  type BatchArrays,
  type InputSlot,
  readBatch,
  readLeaves,
  type Signature,
  signatureOf,
} from "./signature.ts";
import type { Mode } from "./trace/mode.ts";
import type { Origin } from "./trace/origin.ts";
import {
  forwardFunction,
  gradientFunction,
  type LossResult,
  type Traced,
  trace,
} from "./trace/trace.ts";
import type { Value } from "./trace/value.ts";

export interface CompileOptions<P, B> {
  /** Parameters; only paths and shapes are read. */
  readonly params: P;
  /** A batch; only names, shapes and kinds are read. Every later batch has the same. */
  readonly example: B;
  /**
   * What the model's layers keep beside parameters, from `model.initState`: read by every `run`, and written
   * in place by a training `run` that succeeded. Pass the same leaves to `compile` and `compileForward`,
   * and save them with the parameters.
   */
  readonly state?: Leaves<Float32Array>;
  /** Default `"cpu"`; `"auto"` takes what is fastest here on the example, and the report says so. */
  readonly backend?: BackendName | "auto";
  /** Threads of `"cpu"` and `"wasm"`, at least 1; default 1. In a page more need cross-origin isolation. */
  readonly threads?: number;
  /**
   * Copies of the graph, each on its part of a batch's rows: one on the calling thread, the others in worker threads; default
   * 1, above it on `"cpu"` in Node. Loss, aux scalars, gradients and state are the means of the copies', so the loss must be a
   * mean over rows, which the first run checks. Batch norm sees the rows of its copy, as data-parallel training has it;
   * dropout draws the same mask in each. Where cores are free, copies scale and `threads` hardly do.
   */
  readonly replicas?: number;
  /** URL of the folder with onnxruntime-web's files, where its modules do not find them. */
  readonly assets?: string;
  /** Run all of it on `"jax"` if it uses a primitive `"cpu"` has no rule for; default true, false throws. */
  readonly fallback?: boolean;
  /** Told in one sentence when that happens, naming the primitive; default `console.warn`. */
  readonly warn?: (message: string) => void;
  /** Times the stages of compilation in the report; `"auto"` needs one. */
  readonly clock?: Clock;
}

export interface CompiledGradient<B = BatchArrays> extends GradientSource<B> {
  readonly report: CompileReport;
  /**
   * Where the loss or a gradient of a batch first holds NaN or infinity, with parameters and state as they stand;
   * undefined if all are finite. Changes nothing. Builds a session that keeps every value of the computation, so it is
   * for when something went wrong; it runs on `"cpu"`, in a page on `"wasm"`.
   *
   * @throws UnsupportedOpError on backend `"jax"`, if there is a primitive that the others have no rule for.
   */
  diagnose(batch: B, params: Leaves): Promise<Origin | undefined>;
  /** Frees the session; `run` may not be called afterwards. */
  dispose(): Promise<void>;
}

export interface CompiledForward<B = BatchArrays> {
  readonly report: CompileReport;
  /** The named results for one batch, in arrays of their own. */
  run(batch: B, params: Leaves): Promise<Readonly<Record<string, Leaf<Float32Array>>>>;
  dispose(): Promise<void>;
}

/**
 * Compiles a loss to a gradient source: jax-js traces and differentiates it once, the backend runs it.
 *
 * Shapes are static: `run` takes batches of the example's shape only. Gradients are written into the
 * arrays passed to `run` without a copy in between; parameters are read where they lie, which may be a
 * (not shared) WebAssembly.Memory. Backend `"cpu"` computes on the calling thread: train in a worker.
 *
 * @param loss - `(params, batch, mode) => loss` or `=> [loss, aux]`: values in the form of `params` and
 *   `example`, and the mode for `model.apply(params, x, mode)`; the loss is a float32 scalar, aux values
 *   come back as float32 arrays by name.
 * @throws UnsupportedOpError naming the primitive without lowering rule, if `fallback` is false.
 * @throws TypeError or RangeError if an option, a leaf or the loss is not as described.
 * @example
 * const gradient = await compile((p, { x, y }) => nn.softmaxCrossEntropy(model.apply(p, x), y), { params, example });
 * const { loss } = await gradient.run(batch, optimizer.params, optimizer.gradients);
 */
export async function compile<P extends Tree, B extends BatchArrays>(
  loss: (params: Traced<P>, batch: Traced<B>, mode: Mode) => LossResult,
  options: CompileOptions<P, B>,
): Promise<CompiledGradient<B>> {
  const { params: tree, example, state = {}, replicas = 1 } = options;
  requireReplicas(replicas, options.backend);
  const whole = signatureOf("compile", tree, example, state);
  const part =
    replicas === 1 ? whole : signatureOf("compile", tree, partOfRows(example, replicas), state);
  const { executable, program, outputs, kept, bounds, report } = await prepare(
    "compile",
    options,
    part,
    () => trace(part, (notes) => gradientFunction(loss, tree, part, notes)),
    () => readInputs(whole, NO_BOUNDS, example, flatten(tree), state),
  );
  const aux = outputs.slice(1);
  try {
    requireScalars(aux, replicas);
  } catch (error) {
    await executable.dispose();
    throw error;
  }
  let unchecked = replicas > 1;
  return {
    report,
    dispose: () => executable.dispose(),
    diagnose: (batch, params) =>
      inParts(part, readInputs(whole, bounds, batch, params, state), replicas, (inputs) =>
        findOrigin(part, program, inputs, aux.length, options.assets),
      ),
    run: async (batch, params, gradients): Promise<GradientResult> => {
      const inputs = readInputs(whole, bounds, batch, params, state);
      const targets = readLeaves("run", "gradients", whole.params, gradients);
      const value = new Float32Array(1);
      const auxData = aux.map(({ shape }) => new Float32Array(sizeOf(shape)));
      const after = kept.map((path) => new Float32Array(state[path]?.data.length ?? 0));
      await executable.run(inputs, [value, ...auxData, ...targets, ...after]);
      const mean = value[0] as number;
      if (unchecked && Number.isFinite(mean)) {
        requireMeanOfRows(mean, await lossOfWhole(loss, options, batch, params), replicas);
        unchecked = false;
      }
      kept.forEach((path, i) => {
        state[path]?.data.set(after[i] as Float32Array); // of the same length, just made
      });
      return {
        loss: mean,
        aux: Object.fromEntries(aux.map(({ name }, i) => [name, auxData[i] as Float32Array])),
      };
    },
  };
}

/** The loss of a whole batch, by one graph that is not kept; state and gradients are left alone. */
async function lossOfWhole<P extends Tree, B extends BatchArrays>(
  loss: (params: Traced<P>, batch: Traced<B>, mode: Mode) => LossResult,
  options: CompileOptions<P, B>,
  batch: B,
  params: Leaves,
): Promise<number> {
  const state = copyFloats(options.state ?? {});
  const single = await compile(loss, { ...options, state, replicas: 1 });
  try {
    return (await single.run(batch, params, copyFloats(flatten(options.params)))).loss;
  } finally {
    await single.dispose();
  }
}

function copyFloats(leaves: Leaves): Leaves<Float32Array> {
  return Object.fromEntries(
    Object.entries(leaves).map(([path, { shape, data }]) => [
      path,
      { shape, data: Float32Array.from(data) },
    ]),
  );
}

/**
 * Compiles a function without gradients: logits, or metrics of a test batch.
 *
 * @param forward - `(params, batch, mode) => ({ name: value, ... })`; results come back as float32.
 * @throws As `compile`.
 * @example
 * const evaluate = await compileForward((p, { x, y }) => ({ correct: nn.correct(model.apply(p, x), y).sum() }), { params, example });
 */
export async function compileForward<P extends Tree, B extends BatchArrays>(
  forward: (params: Traced<P>, batch: Traced<B>, mode: Mode) => Readonly<Record<string, Value>>,
  options: Omit<CompileOptions<P, B>, "replicas">,
): Promise<CompiledForward<B>> {
  const { params: tree, example, state = {} } = options;
  const signature = signatureOf("compileForward", tree, example, state);
  const { executable, outputs, bounds, report } = await prepare(
    "compileForward",
    options,
    signature,
    () => trace(signature, (notes) => forwardFunction(forward, tree, signature, notes)),
    () => readInputs(signature, NO_BOUNDS, example, flatten(tree), state),
  );
  return {
    report,
    dispose: () => executable.dispose(),
    run: async (batch, params) => {
      const inputs = readInputs(signature, bounds, batch, params, state);
      const leaves = outputs.map(({ shape }) => ({ shape, data: new Float32Array(sizeOf(shape)) }));
      await executable.run(
        inputs,
        leaves.map(({ data }) => data),
      );
      return Object.fromEntries(
        outputs.map(({ name }, i) => [name, leaves[i] as Leaf<Float32Array>]),
      );
    },
  };
}

/** Labels of an example only say shapes. */
const NO_BOUNDS: ReadonlyMap<string, number> = new Map();

function readInputs(
  signature: Signature,
  bounds: ReadonlyMap<string, number>,
  batch: BatchArrays,
  params: Leaves,
  state: Leaves,
): InputData[] {
  const arrays = readBatch("run", signature.batch, batch);
  signature.batch.forEach((slot, index) => {
    checkLabels(slot, arrays[index] as InputData, bounds.get(slot.name));
  });
  return [
    ...readLeaves("run", "params", signature.params, params),
    ...arrays,
    ...readLeaves("run", "state", signature.state, state),
  ];
}

/** A label without a class would add nothing to the loss, and hide. */
function checkLabels({ name }: InputSlot, data: InputData, bound: number | undefined): void {
  const index =
    bound === undefined ? -1 : data.findIndex((label) => !(label >= 0 && label < bound));
  if (index >= 0) {
    throw new RangeError(
      `run: labels "${name}" must be in [0, ${bound}), got ${data[index]} at index ${index}`,
    );
  }
}
