/**
 * Parameters and optimizer state under PyTorch's names, to go on there or to come from there.
 *
 *     model.<name>                                      a parameter
 *     optimizer.state.<name>.step                       steps it took part in, a scalar; not for SGD, which has none
 *     optimizer.state.<name>.exp_avg, .exp_avg_sq       Adam and AdamW: `mu`, `nu`
 *     optimizer.state.<name>.max_exp_avg_sq             AMSGrad: `nuMax`
 *     optimizer.state.<name>.momentum_buffer            SGD with momentum: `trace`
 *
 * <name> is that of `model.named_parameters()`. docs/checkpoints.md has the Python that writes and reads such files.
 * Rates, decays and ε are not in the file: both sides construct the optimizer with them. Tensors are taken as they
 * are: a kernel that is [in, out] here and [out, in] there is the caller's to transpose, together with its state.
 */

import type { NumericArray } from "../contracts.ts";
import type { LeafState, OptimizerState } from "../state.ts";
import { isNumericArray, sameShape } from "../tree.ts";
import { brief, requireFile, sentence } from "./error.ts";
import { isNatural } from "./json.ts";
import { checkOptimizerState } from "./optimizerState.ts";
import { dtypeOf, type Tensor } from "./safetensors.ts";

export interface TorchOptions {
  /** PyTorch's name of a leaf; default its path with dots for slashes. */
  readonly name?: (path: string) => string;
}

export interface FromTorchOptions extends TorchOptions {
  /** Steps taken, for the schedule. Default the largest `step`; to be given for SGD, whose state has none. */
  readonly count?: number;
}

type Names = readonly (readonly [ours: string, theirs: string])[];

const AVERAGES: Names = [
  ["mu", "exp_avg"],
  ["nu", "exp_avg_sq"],
];

interface Method {
  readonly names: Names;
  readonly hasStep: boolean;
}

const METHODS: Readonly<Record<string, Method>> = {
  adam: { names: AVERAGES, hasStep: true },
  adamw: { names: AVERAGES, hasStep: true },
  amsgrad: { names: [...AVERAGES, ["nuMax", "max_exp_avg_sq"]], hasStep: true },
  sgd: { names: [["trace", "momentum_buffer"]], hasStep: false },
};

/**
 * The tensors of a state under PyTorch's names; leaves that took no step have parameters alone, as there.
 *
 * @param state - of adam, adamw, sgd, amsgrad with its default convention (`"optax"` keeps another maximum under the
 * same key), or of one of these in a chain with transforms that keep nothing.
 * @throws TypeError for the state of another optimizer, for state that is not float32 or float64, and for two leaves
 * of one name.
 * @example writeSafetensors(toTorch(optimizer.save()), { format: "pt" })
 */
export function toTorch(
  state: OptimizerState,
  options: TorchOptions = {},
): Readonly<Record<string, Tensor>> {
  const where = "toTorch";
  const { hasStep, leaves } = bind(where, state, options);
  const tensors: Record<string, Tensor> = {};
  for (const { name, leaf, names } of leaves) {
    const { shape, count, params, arrays } = leaf;
    tensors[`model.${name}`] = { shape, data: params };
    if (count === 0) {
      continue;
    }
    for (const [ours, theirs] of names) {
      tensors[stateOf(name) + theirs] = { shape, data: arrays[ours]?.[0] as NumericArray };
    }
    if (hasStep) {
      // Float32, as torch keeps it, as far as that counts exactly.
      const step = count <= 2 ** 24 ? Float32Array.of(count) : Float64Array.of(count);
      tensors[`${stateOf(name)}step`] = { shape: [], data: step };
    }
  }
  return tensors;
}

/**
 * The state of an optimizer with parameters, averages and step counts from PyTorch, for `load`.
 *
 * Numbers are rounded to the state's dtype. A leaf without optimizer state in the file starts anew, as in PyTorch.
 *
 * @param state - what `save()` returns for the optimizer that will go on: the same method, the same leaves.
 * @throws TypeError as `toTorch`, and for SGD without `count`; RangeError for a `count` below the steps of a leaf;
 * CheckpointError `MISSING_TENSOR`, `EXTRA_TENSOR`, `SHAPE`, `DTYPE` or `STATE` naming the tensor. `state` stays as it is.
 * @example optimizer.load(fromTorch(readSafetensors(bytes).tensors, optimizer.save()))
 */
export function fromTorch(
  tensors: Readonly<Record<string, Tensor>>,
  state: OptimizerState,
  options: FromTorchOptions = {},
): OptimizerState {
  const where = "fromTorch";
  const { hasStep, leaves } = bind(where, state, options);
  if (!hasStep && options.count === undefined) {
    throw new TypeError(
      sentence(where, "`count` must be given for SGD", undefined, "pass the steps it has taken"),
    );
  }
  if (options.count !== undefined && !isNatural(options.count)) {
    throw new RangeError(sentence(where, "`count` must be a natural number", options.count));
  }
  const used = new Set<string>();
  const take = (name: string, shape: readonly number[], like: NumericArray): NumericArray => {
    const tensor = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
    requireFile(tensor !== undefined, where, "MISSING_TENSOR", "the file must hold a tensor", name);
    used.add(name);
    return convert(where, name, tensor, shape, like);
  };
  const loaded: Record<string, LeafState> = {};
  for (const { path, name, leaf, names } of leaves) {
    const keys = names.map(([, theirs]) => theirs).concat(hasStep ? ["step"] : []);
    const isThere = keys.some((key) => Object.hasOwn(tensors, stateOf(name) + key));
    const arrays = names.map(([ours, theirs]) => {
      const like = leaf.arrays[ours]?.[0] as NumericArray;
      const tensor = stateOf(name) + theirs;
      return [ours, [isThere ? take(tensor, leaf.shape, like) : zerosLike(like)]] as const;
    });
    let count = 0;
    if (isThere && hasStep) {
      const tensor = `${stateOf(name)}step`;
      count = take(tensor, [], new Float64Array(1))[0] as number;
      const expected = `tensor ${brief(tensor)} must be a natural number`;
      requireFile(isNatural(count), where, "STATE", expected, count);
    } else if (isThere || keys.length === 0) {
      // SGD: a leaf with a buffer has taken a step; without momentum there is nothing to tell by.
      count = Math.max(options.count ?? 0, isThere ? 1 : 0);
    }
    const params = take(`model.${name}`, leaf.shape, leaf.params);
    loaded[path] = { ...leaf, count, params, arrays: Object.fromEntries(arrays) };
  }
  const extra = Object.keys(tensors).find((name) => !used.has(name));
  const expected = "the file must hold parameters and state of the leaves alone";
  requireFile(extra === undefined, where, "EXTRA_TENSOR", expected, extra, "leave others out");
  const most = Object.values(loaded).reduce((max, { count }) => Math.max(max, count), 0);
  const { count = most } = options;
  if (count < most) {
    throw new RangeError(
      sentence(where, `\`count\` must be at least ${most}, the steps of a leaf`, count),
    );
  }
  return { ...state, count, leaves: loaded };
}

interface BoundLeaf {
  readonly path: string;
  /** PyTorch's. */
  readonly name: string;
  readonly leaf: LeafState;
  /** Of the state it has. */
  readonly names: Names;
}

/** The leaves of a state that PyTorch has a counterpart of. */
function bind(
  where: string,
  state: OptimizerState,
  { name = (path) => path.replaceAll("/", ".") }: TorchOptions,
): { readonly hasStep: boolean; readonly leaves: readonly BoundLeaf[] } {
  checkOptimizerState(state, (ok, expected, got, hint) => {
    if (!ok) {
      throw new TypeError(sentence(where, expected, got, hint));
    }
  });
  const stages = state.optimizer.split("+").filter((stage) => Object.hasOwn(METHODS, stage));
  const method = stages.length === 1 ? METHODS[stages[0] as string] : undefined;
  if (method === undefined) {
    const expected = `the optimizer must be ${Object.keys(METHODS).join(", ")}`;
    throw new TypeError(sentence(where, expected, state.optimizer));
  }
  const seen = new Map<string, string>();
  const leaves = Object.entries(state.leaves).map(([path, leaf]) => {
    const theirs = name(path);
    const other = seen.get(theirs);
    if (typeof theirs !== "string" || other !== undefined) {
      const expected = `the name of leaf ${brief(path)} must be text that no other leaf has`;
      throw new TypeError(sentence(where, expected, theirs));
    }
    seen.set(theirs, path);
    return { path, name: theirs, leaf, names: namesOf(where, path, leaf, method) };
  });
  return { hasStep: method.hasStep, leaves };
}

function namesOf(
  where: string,
  path: string,
  { arrays, params }: LeafState,
  method: Method,
): Names {
  const keys = Object.keys(arrays);
  // SGD without momentum keeps nothing.
  const names = keys.length === 0 && !method.hasStep ? [] : method.names;
  const known = names.every(([ours]) => {
    const steps = arrays[ours];
    return steps?.length === 1 && isNumericArray(steps[0]) && steps[0].length === params.length;
  });
  if (!known || keys.length !== names.length) {
    const expected = `state of leaf ${brief(path)} must be ${names.map(([ours]) => ours).join(", ")} in float32 or float64`;
    throw new TypeError(sentence(where, expected, keys.join(", ")));
  }
  return names;
}

function stateOf(name: string): string {
  return `optimizer.state.${name}.`;
}

function convert(
  where: string,
  name: string,
  { shape, data }: Tensor,
  expected: readonly number[],
  like: NumericArray,
): NumericArray {
  const tensor = `tensor ${brief(name)}`;
  requireFile(
    isNumericArray(data),
    where,
    "DTYPE",
    `${tensor} must be F32 or F64`,
    dtypeOf(data),
    "convert it in PyTorch",
  );
  requireFile(
    sameShape(shape, expected),
    where,
    "SHAPE",
    `${tensor} must have shape ${brief(expected)}`,
    shape,
    "transpose or reshape it first",
  );
  if (data.BYTES_PER_ELEMENT === like.BYTES_PER_ELEMENT) {
    return data;
  }
  return like.BYTES_PER_ELEMENT === 4 ? new Float32Array(data) : new Float64Array(data);
}

function zerosLike({ BYTES_PER_ELEMENT, length }: NumericArray): NumericArray {
  return BYTES_PER_ELEMENT === 4 ? new Float32Array(length) : new Float64Array(length);
}
