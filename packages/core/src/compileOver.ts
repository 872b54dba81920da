/**
 * An optimizer over arrays in a WebAssembly memory that belongs to somebody else, who may grow it: parameters and
 * gradients are read and written where they lie.
 *
 *     block = frames | warm-up | working memory | class | class | …      allocated from the owner: state and rings, no p and no g
 *     p, g  = addresses, given anew for each call
 *
 * Plans, kernels and places of state are those of `compileOptimizer`; each leaf is driven as a class of its own, whose
 * bases of p and g are moved so that its elements meet the addresses. So a leaf costs a run of each kernel, and every
 * number is, bit for bit, that of `compileOptimizer`.
 */

import { bytesOf, type ClassLayout, layOut, numbersAt } from "./arena.ts";
import { contentsOf, GUARD, kernelsOf } from "./binding.ts";
import { chooseBackend } from "./codegen/backends.ts";
import {
  type BackendMemory,
  frameAddresses,
  frameAt,
  frameBytes,
  type Kernel,
  type LoadedKernel,
} from "./codegen/kernel.ts";
import { GRADIENT, PARAMS } from "./codegen/passes.ts";
import { plan } from "./codegen/plan.ts";
import { specialise } from "./codegen/specialise.ts";
import type { Changes, CompileOptions, StepResult } from "./compiledOptimizer.ts";
import type { Leaf, Leaves } from "./contracts.ts";
import { NonFiniteError, requireNonFinite, requireThat } from "./errors.ts";
import type { LeafInfo } from "./expr/node.ts";
import { drawsAnything, matrixStagesOf, roundsToFewerBits, verifyProgram } from "./expr/verify.ts";
import { withStatistics } from "./inspect.ts";
import { type Optimizer, requireOptimizer, toProgram } from "./optimizer.ts";
import { evaluate } from "./runtime/evaluate.ts";
import { Executor } from "./runtime/executor.ts";
import { gradientSlot } from "./runtime/gradients.ts";
import { hostMemory } from "./runtime/hostState.ts";
import { Numbers } from "./runtime/numbers.ts";
import type { MatrixStages } from "./runtime/parts.ts";
import { RUNTIME } from "./runtime/runtime.ts";
import { commit, type Part, sequence } from "./runtime/sequence.ts";
import { type HostMemory, type Tensor, TensorClass } from "./runtime/tensor.ts";
import {
  checkState,
  encodeBf16,
  loadLeaf,
  type OptimizerState,
  saveLeaf,
  startLeaf,
} from "./state.ts";

/** Byte address in the memory, a multiple of 4; unsigned, also above 2 GiB. */
export type Address = number;

/** A memory with an owner who hands out parts of it. */
export interface OwnedMemory {
  /** Not shared between threads. */
  readonly wasm: WebAssembly.Memory;
  /** Takes bytes of it, at a multiple of 16; may grow the memory. */
  allocate(bytes: number): Address;
  release(address: Address): void;
}

/** A leaf and where its parameters lie when the optimizer is compiled. */
export interface PlacedLeaf extends LeafInfo {
  readonly params: Address;
}

export interface CompileOverOptions
  extends Pick<CompileOptions, "learningRate" | "hyperparameters" | "nonFinite"> {
  readonly leaves: readonly PlacedLeaf[];
  readonly memory: OwnedMemory;
}

/** Where a leaf's float32 arrays lie during one step. They overlap nothing else. */
export interface LeafAddresses {
  readonly params: Address;
  readonly gradient: Address;
}

/** An optimizer bound to leaves whose arrays lie elsewhere. */
export interface OverOptimizer {
  readonly name: string;
  /** Steps taken. */
  readonly count: number;
  /** Calls taken of those that make up a step. */
  readonly phase: number;
  /** Hyperparameters of the next step by key, the learning rate as `learningRate`. */
  readonly hyperparameters: Readonly<Record<string, number>>;
  /**
   * Takes one step of the leaves named and leaves out the others, state and step number included.
   *
   * @throws RangeError for a path that no leaf has or a number out of range, NonFiniteError under
   * `nonFinite: "throw"`. Nothing has changed then.
   */
  step(leaves: ReadonlyMap<string, LeafAddresses>): StepResult;
  /** Changes hyperparameters, and `learningRate`, from the next step on. */
  set(changes: Changes): void;
  /** The parameters to evaluate the model with, copied; `params` are the addresses of all leaves. */
  evaluationParams(params: ReadonlyMap<string, Address>): Leaves<Float32Array>;
  /** Parameters and state by name, copied, in the format of `compileOptimizer`. */
  save(params: ReadonlyMap<string, Address>): OptimizerState;
  /** Continues from `save`, and writes the parameters. @throws TypeError for another state. Nothing has changed then. */
  load(state: OptimizerState, params: ReadonlyMap<string, Address>): void;
  /** Gives the block back; nothing else may be called afterwards. */
  dispose(): void;
}

/**
 * Compiles an optimizer over leaves in a memory of somebody else; float32, by WebAssembly.
 *
 * State: that of the optimizer, in one block of the memory; nothing for parameters, and for gradients only the ring of
 * an optimizer that keeps past ones, into which the newest is copied.
 *
 * @throws RangeError where WebAssembly with SIMD does not run or for an option out of range; TypeError without leaves,
 * and for a shared memory.
 */
export function compileOver(optimizer: Optimizer, options: CompileOverOptions): OverOptimizer {
  return new Over(optimizer, options);
}

/** One leaf: its tensor, and the bases of its arrays, which move. */
interface Placed {
  readonly tensor: Tensor;
  readonly bases: number[];
}

class Over implements OverOptimizer {
  readonly name: string;
  private readonly numbers: Numbers;
  private readonly nonFinite: "propagate" | "skip" | "throw";
  private readonly owner: OwnedMemory;
  private readonly memory: BackendMemory;
  private readonly block: Address;
  private readonly work: Address;
  private readonly matrixStages: MatrixStages | undefined;
  private readonly kernels: readonly Kernel[];
  private readonly frames: readonly Address[];
  private readonly loaded: readonly LoadedKernel[];
  /** Runs kernels by their frames in `buffer`. */
  private executor: Executor;
  private buffer: ArrayBuffer;
  private readonly placed: ReadonlyMap<string, Placed>;
  private readonly memoryOnHost: HostMemory;
  private steps = 0;
  private calls = 0;

  constructor(
    optimizer: Optimizer,
    {
      leaves,
      memory,
      learningRate,
      hyperparameters = {},
      nonFinite = "propagate",
    }: CompileOverOptions,
  ) {
    requireOptimizer("compileOver", "`optimizer`", optimizer);
    requireNonFinite("compileOver", nonFinite);
    requireLeaves(leaves);
    requireUnshared(memory.wasm);
    const program = withStatistics(toProgram(optimizer), false);
    const given = { ...hyperparameters, learningRate };
    this.numbers = new Numbers("compileOver", program.hyperparameters, given);
    verifyProgram(program);
    requireThat(
      !roundsToFewerBits(program) && !drawsAnything(program),
      "compileOver",
      "the optimizer must neither draw nor round to fewer bits",
      optimizer.name,
      "use compileOptimizer",
    );
    const backend = chooseBackend("wasm");
    this.name = optimizer.name;
    this.nonFinite = nonFinite;
    this.owner = memory;
    const { wasm } = memory;
    this.memory = {
      wasm,
      get buffer() {
        return wasm.buffer;
      },
    };

    const { classes, sites } = specialise(program, leaves);
    const planned = classes.map((each) => ({
      plan: plan(each.program, "float32", sites),
      leaves: each.leaves.map((index) => leaves[index] as PlacedLeaf),
    }));
    const plans = planned.map((each) => each.plan);
    this.matrixStages = matrixStagesOf(program);
    this.kernels = [...(this.matrixStages?.kernels ?? []), ...kernelsOf(plans)];
    const contents = planned.map((each) => ({
      ...contentsOf(each.plan, each.leaves, this.matrixStages?.workElements),
      // What lies elsewhere takes no place.
      arrays: each.plan.arrays.map((spec, array) =>
        isElsewhere(array, spec.slots) ? { ...spec, slots: 0 } : spec,
      ),
    }));
    const bytesFrom = (origin: Address): number =>
      layOut(contents, "float32", frameBytes(this.kernels), origin).bytes - origin;
    // The layout starts at the first multiple of 64 from what was allocated.
    const bytes = bytesFrom(0) + 64;
    this.block = memory.allocate(bytes);
    const layout = layOut(contents, "float32", frameBytes(this.kernels), this.block);
    this.work = layout.work;
    this.buffer = wasm.buffer;
    new Uint8Array(this.buffer, this.block, bytes).fill(0);
    this.loaded = backend.load(this.kernels, "float32", this.memory, layout.scratch);
    this.frames = frameAddresses(this.kernels, layout.scratch);
    this.executor = this.executorOver(this.buffer);
    for (const kernel of this.kernels) {
      this.executor.warmUp(kernel, layout.warmup);
    }

    this.memoryOnHost = hostMemory(plans);
    this.placed = new Map(
      planned.flatMap((each, i) =>
        each.leaves.map((leaf, index): [string, Placed] => {
          const own = layout.classes[i] as ClassLayout;
          const bases = [...own.bases];
          const extents = own.extents.slice(index, index + 1);
          const place = { ...own, extents, bases };
          const alone = new TensorClass(
            each.plan,
            place,
            [leaf],
            "float32",
            this.memory,
            this.memoryOnHost,
            RUNTIME.inFewerBits,
          );
          return [leaf.path, { tensor: alone.tensors[0] as Tensor, bases }];
        }),
      ),
    );
    for (const { path, params } of leaves) {
      const leaf = this.placed.get(path) as Placed;
      locate(leaf, PARAMS, params);
      startState(leaf.tensor);
    }
  }

  get count(): number {
    return this.steps;
  }

  get phase(): number {
    return this.calls;
  }

  get hyperparameters(): Readonly<Record<string, number>> {
    const { lr, ...others } = this.numbers.at(this.steps);
    return { learningRate: lr as number, ...others };
  }

  step(leaves: ReadonlyMap<string, LeafAddresses>): StepResult {
    const numbers = this.numbers.at(this.steps);
    for (const path of leaves.keys()) {
      this.requirePath("step", path);
    }
    this.meetBuffer();
    const active = new Set<Tensor>();
    for (const [path, { params, gradient }] of leaves) {
      const leaf = this.placed.get(path) as Placed;
      locate(leaf, PARAMS, params);
      this.takeGradient(leaf, gradient);
      active.add(leaf.tensor);
    }
    for (const tensor of this.nonFinite === "propagate" ? [] : active) {
      const largest = this.executor.largest(GUARD, tensor, GRADIENT, gradientSlot(tensor));
      if (!Number.isFinite(largest)) {
        if (this.nonFinite === "throw") {
          throw new NonFiniteError("step", this.steps + 1, tensor.leaf.path);
        }
        return { status: "skipped" };
      }
    }
    const parts = Array.from(this.placed.values(), ({ tensor }): Part => {
      const { before, step } = tensor.owner.plan;
      return {
        owner: tensor.owner,
        phase: before[this.calls] ?? step,
        active: active.has(tensor) ? [tensor] : [],
      };
    });
    for (const call of sequence(parts, numbers, RUNTIME)) {
      this.executor.run(call);
    }
    const status = parts[0]?.phase.status ?? "stepped";
    commit(parts, status === "stepped");
    this.calls = status === "stepped" ? 0 : this.calls + 1;
    this.steps += status === "stepped" ? 1 : 0;
    return { status };
  }

  set(changes: Changes): void {
    this.numbers.set("set", changes, this.steps);
  }

  evaluationParams(params: ReadonlyMap<string, Address>): Leaves<Float32Array> {
    const numbers = this.numbers.at(this.steps);
    this.locateAll("evaluationParams", params);
    const tensors = Array.from(this.placed.values(), ({ tensor }) => tensor);
    const classes = tensors.map(({ owner }) => owner);
    const evaluated = evaluate(this.executor, classes, numbers, RUNTIME, this.work);
    const leaves = tensors.map((tensor) => {
      const data = evaluated.get(tensor) ?? tensor.view(PARAMS, 0).slice();
      // The arrays of a float32 optimizer.
      return [tensor.leaf.path, { shape: tensor.leaf.shape, data } as Leaf<Float32Array>] as const;
    });
    return Object.fromEntries(leaves);
  }

  save(params: ReadonlyMap<string, Address>): OptimizerState {
    this.locateAll("save", params);
    const { learningRate: _, ...hyperparameters } = this.hyperparameters;
    return {
      format: "adastra-optimizer/2",
      optimizer: this.name,
      dtype: "float32",
      count: this.steps,
      phase: this.calls,
      hyperparameters,
      global: this.memoryOnHost.save(),
      leaves: Object.fromEntries(
        Array.from(this.placed, ([path, { tensor }]) => [path, saveLeaf(tensor)]),
      ),
    };
  }

  load(state: OptimizerState, params: ReadonlyMap<string, Address>): void {
    const tensors = Array.from(this.placed.values(), ({ tensor }) => tensor);
    checkState("load", state, {
      optimizer: this.name,
      dtype: "float32",
      phases: 1 + (tensors[0]?.owner.plan.before.length ?? 0),
      hyperparameters: this.numbers.keys,
      global: Object.keys(this.memoryOnHost.save()),
      tensors,
      draws: false,
    });
    this.locateAll("load", params);
    this.numbers.restore("load", state.hyperparameters);
    this.steps = state.count;
    this.calls = state.phase;
    this.memoryOnHost.load(state.global);
    for (const tensor of tensors) {
      loadLeaf(tensor, state.leaves[tensor.leaf.path] as OptimizerState["leaves"][string]);
    }
  }

  dispose(): void {
    this.owner.release(this.block);
  }

  /** The newest gradient where it lies, or in its place in the ring of those that are kept. */
  private takeGradient({ tensor, bases }: Placed, gradient: Address): void {
    if (isElsewhere(GRADIENT, tensor.owner.plan.arrays[GRADIENT]?.slots ?? 1)) {
      locate({ tensor, bases }, GRADIENT, gradient);
    } else {
      const given = numbersAt(this.memory, "float32", gradient, tensor.extent.size);
      tensor.view(GRADIENT, gradientSlot(tensor)).set(given);
    }
  }

  private locateAll(where: string, params: ReadonlyMap<string, Address>): void {
    for (const path of params.keys()) {
      this.requirePath(where, path);
    }
    this.meetBuffer();
    for (const [path, leaf] of this.placed) {
      const address = params.get(path);
      if (address === undefined) {
        throw new RangeError(
          `${where}: \`params\` must hold the address of every leaf, got none for "${path}"`,
        );
      }
      locate(leaf, PARAMS, address);
    }
  }

  private requirePath(where: string, path: string): void {
    if (!this.placed.has(path)) {
      const paths = [...this.placed.keys()];
      const shown = paths.slice(0, 8).join(", ") + (paths.length > 8 ? ", ..." : "");
      throw new RangeError(
        `${where}: addresses must belong to leaves, got "${path}"; leaves are ${shown}`,
      );
    }
  }

  /** A memory that has grown since has another buffer, and views on the old one are gone. */
  private meetBuffer(): void {
    const { buffer } = this.memory;
    if (buffer !== this.buffer) {
      this.buffer = buffer;
      this.executor = this.executorOver(buffer);
    }
  }

  private executorOver(buffer: ArrayBuffer): Executor {
    const framed = this.kernels.map((kernel, i): [Kernel, LoadedKernel] => {
      const loaded = this.loaded[i] as LoadedKernel;
      const frame = frameAt(kernel, buffer, this.frames[i] as Address);
      return [kernel, { frame, run: () => loaded.run() }];
    });
    const kernels = new Map(framed);
    const runStage = this.matrixStages?.bind(this.memory, "float32", kernels, this.work);
    return new Executor(this.memory, "float32", kernels, RUNTIME, runStage);
  }
}

/** Whether an array lies where the owner of the memory says: p, and g unless its past is kept. */
function isElsewhere(array: number, slots: number): boolean {
  return array === PARAMS || (array === GRADIENT && slots === 1);
}

/** Moves the base of an array such that the leaf's first element lies at the address. */
function locate({ tensor, bases }: Placed, array: number, address: Address): void {
  bases[array] = address - tensor.extent.start * bytesOf("float32");
}

/** State at its start; the parameters stay as they are. */
function startState(tensor: Tensor): void {
  startLeaf(tensor, tensor.view(PARAMS, 0).slice(), encodeBf16);
}

function requireLeaves(leaves: readonly PlacedLeaf[]): void {
  if (leaves.length === 0) {
    throw new TypeError("compileOver: `leaves` must hold at least one leaf, got none");
  }
  const paths = leaves.map(({ path }) => path);
  const twice = paths.find((path, i) => paths.indexOf(path) !== i);
  if (twice !== undefined) {
    throw new TypeError(
      `compileOver: \`leaves\` must have paths of their own, got "${twice}" twice`,
    );
  }
}

function requireUnshared({ buffer }: WebAssembly.Memory): void {
  if (!(buffer instanceof ArrayBuffer)) {
    throw new TypeError(
      "compileOver: `memory.wasm` must belong to one thread, got a shared memory; copy the arrays and use compileOptimizer",
    );
  }
}
