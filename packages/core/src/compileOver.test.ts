import { describe, expect, it } from "vitest";
import { compileOptimizer } from "./compileOptimizer.ts";
import {
  type CompileOverOptions,
  compileOver,
  type LeafAddresses,
  type OverOptimizer,
  type OwnedMemory,
} from "./compileOver.ts";
import type { Leaves } from "./contracts.ts";
import { div, mean, mul, neg, sqrt, square, sub } from "./expr/build.ts";
import {
  defineOptimizer,
  type Optimizer,
  perColumn,
  perElement,
  perRow,
  perStep,
} from "./optimizer.ts";
import { adai } from "./optimizers/adai.ts";
import { adam } from "./optimizers/adam.ts";
import { adashift } from "./optimizers/adashift.ts";
import { cpropAdam } from "./optimizers/cprop.ts";
import { muon } from "./optimizers/muon.ts";
import { sgd } from "./optimizers/sgd.ts";
import { mulberry32 } from "./random.ts";
import { chain } from "./transforms/chain.ts";
import { clipByGlobalNorm } from "./transforms/clip.ts";
import { sizeOf } from "./tree.ts";

const SHAPES = { a: [], b: [7], c: [30, 40], d: [0], e: [300] } as const;
type Path = keyof typeof SHAPES;
const PATHS = Object.keys(SHAPES) as Path[];

/** Rows, columns, a copy of the start and one number for all tensors. */
const everyScope = defineOptimizer(
  "everyScope",
  { row: perRow(1), column: perColumn(1), start: perElement("params"), total: perStep(1) },
  ({ g, p, row, column, start, total, lr }) => {
    const next = {
      row: mean(square(g), "row"),
      column: mean(square(g), "column"),
      start,
      total: mean(square(g), "all"),
    };
    const scale = sqrt(mul(total, mul(row, column)));
    return { update: neg(mul(lr, div(sub(g, mul(0.1, sub(p, start))), scale))), next };
  },
);

/** A call that climbs, then the step. */
const climbing: Optimizer = {
  ...adam(),
  name: "climbing",
  before: [{ status: "ascended", step: ({ g }) => ({ update: mul(0.1, g), next: {} }) }],
};

const OPTIMIZERS: readonly (readonly [string, Optimizer])[] = [
  ["sgd", sgd({ momentum: 0.9 })],
  ["adam", adam()],
  ["adashift max", adashift()],
  ["muon", muon()],
  ["adashift none", adashift({ phi: "none", n: 3 })],
  ["adai", adai()],
  ["cprop", cpropAdam()],
  ["clip+adam", chain(clipByGlobalNorm(1), adam())],
  ["every scope", everyScope],
  ["calls before the step", climbing],
];

describe.each(OPTIMIZERS)("%s over a memory of somebody else", (_, optimizer) => {
  it("takes the steps of compileOptimizer, bit for bit, while the memory grows and arrays move", () => {
    const heap = new Heap();
    const run = new Run(optimizer, heap);
    const compiled = compileOptimizer(optimizer, {
      params: starts(),
      learningRate: 0.02,
      backend: "wasm",
    });
    const random = mulberry32(4);
    for (let t = 0; t < 24; t++) {
      const given = PATHS.filter((_path, i) => t === 0 || (t + i) % 4 !== 0);
      const gradients = Object.fromEntries(given.map((path) => [path, normal(path, random)]));
      expect(run.step(gradients)).toEqual(compiled.step(gradients));
      if (t % 5 === 2) {
        heap.grow();
        run.move(PATHS[t % PATHS.length] as Path);
      }
    }
    expect(run.params()).toEqual(dataOf(compiled.params));
    const saved = run.over.save(run.addresses());
    expect(saved).toEqual(compiled.save());
  });

  it("continues from a saved state, bit for bit", () => {
    const [first, second] = [new Run(optimizer, new Heap()), new Run(optimizer, new Heap())];
    const random = mulberry32(6);
    const gradients = Array.from({ length: 30 }, () =>
      Object.fromEntries(PATHS.map((path) => [path, normal(path, random)])),
    );
    gradients.slice(0, 13).forEach((each) => first.step(each));
    second.over.load(first.over.save(first.addresses()), second.addresses());
    for (const each of gradients.slice(13)) {
      first.step(each);
      second.step(each);
    }
    expect(second.params()).toEqual(first.params());
    expect(second.over.save(second.addresses())).toEqual(first.over.save(first.addresses()));
  });
});

describe("compileOver", () => {
  it("writes nothing but its block and the parameters", () => {
    const heap = new Heap();
    const fence = heap.allocate(4096);
    heap.bytes(fence, 4096).fill(0xa5);
    const run = new Run(adashift(), heap);
    const after = heap.allocate(4096);
    heap.bytes(after, 4096).fill(0x5a);
    run.step(Object.fromEntries(PATHS.map((path) => [path, normal(path, mulberry32(1))])));
    expect(heap.bytes(fence, 4096).every((x) => x === 0xa5)).toBe(true);
    expect(heap.bytes(after, 4096).every((x) => x === 0x5a)).toBe(true);
  });

  it("takes a block of the state's size, and gives it back", () => {
    const heap = new Heap();
    const size = sizeOf([1000, 100]);
    const params = heap.allocate(4 * size);
    const before = heap.used;
    const leaves = [{ path: "x", shape: [size], params }];
    const over = compileOver(adam(), { leaves, learningRate: 1, memory: heap });
    // Two moments, and at most 16 KiB of frames and warm-up.
    expect(heap.used - before).toBeGreaterThan(8 * size);
    expect(heap.used - before).toBeLessThan(8 * size + 16_384);
    over.dispose();
    expect(heap.used).toBe(before);
  });

  it("leaves everything as it was for a gradient that is not finite, or throws", () => {
    for (const nonFinite of ["skip", "throw"] as const) {
      const run = new Run(adam(), new Heap(), { nonFinite });
      const before = run.over.save(run.addresses());
      const gradients = { b: new Float32Array(7).fill(Number.NaN) };
      if (nonFinite === "skip") {
        expect(run.step(gradients)).toEqual({ status: "skipped" });
      } else {
        expect(() => run.step(gradients)).toThrow(
          'step: gradient of leaf "b" must be finite at step 1, got NaN or infinity; lower the learning rate, clip, or pass nonFinite: "skip"',
        );
      }
      expect(run.over.save(run.addresses())).toEqual(before);
    }
  });

  it("changes hyperparameters, and gives the parameters to evaluate with", () => {
    const averaging: Optimizer = { ...sgd(), evaluation: ({ p }) => mul(0.5, p) };
    const run = new Run(averaging, new Heap());
    run.over.set({ learningRate: 0.5 });
    expect(run.over.hyperparameters.learningRate).toBe(0.5);
    run.step({ c: new Float32Array(1200).fill(1) });
    const evaluated = run.over.evaluationParams(run.addresses());
    const half = run.params().c?.map((x) => x / 2);
    expect(Array.from(evaluated.c?.data ?? [])).toEqual(half);
  });

  it("refuses what it cannot run over, in one sentence", () => {
    const heap = new Heap();
    const options = (more: Partial<CompileOverOptions>): CompileOverOptions => ({
      leaves: [{ path: "x", shape: [1], params: heap.allocate(16) }],
      learningRate: 1,
      memory: heap,
      ...more,
    });
    expect(() => compileOver(adam(), options({ leaves: [] }))).toThrow(
      "compileOver: `leaves` must hold at least one leaf, got none",
    );
    expect(() => compileOver(adam(), options({ hyperparameters: { rho: 1 } }))).toThrow(
      'compileOver: hyperparameters must be among learningRate, b1, b2, eps, got "rho"',
    );
    const twice = [1, 2].map(() => ({ path: "x", shape: [1], params: 0 }));
    expect(() => compileOver(adam(), options({ leaves: twice }))).toThrow(
      'compileOver: `leaves` must have paths of their own, got "x" twice',
    );
    const shared = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const memory: OwnedMemory = { wasm: shared, allocate: () => 0, release: () => undefined };
    expect(() => compileOver(adam(), options({ memory }))).toThrow(
      "compileOver: `memory.wasm` must belong to one thread, got a shared memory; copy the arrays and use compileOptimizer",
    );
    const over = compileOver(adam(), options({}));
    expect(() => over.step(new Map([["y", { params: 0, gradient: 0 }]]))).toThrow(
      'step: addresses must belong to leaves, got "y"; leaves are x',
    );
    expect(() => over.save(new Map())).toThrow(
      'save: `params` must hold the address of every leaf, got none for "x"',
    );
  });
});

/** A memory that hands out its bytes one after the other, dirty, and takes back the last. */
class Heap implements OwnedMemory {
  readonly wasm: WebAssembly.Memory & { grow(pages: number): number };
  used = 16;

  constructor() {
    // Node's memory can grow; core itself never asks for that.
    this.wasm = new WebAssembly.Memory({ initial: 4 }) as Heap["wasm"];
  }

  allocate(bytes: number): number {
    const at = this.used;
    this.used = Math.ceil((at + bytes) / 16) * 16;
    const missing = this.used - this.wasm.buffer.byteLength;
    if (missing > 0) {
      this.wasm.grow(Math.ceil(missing / 65536));
    }
    this.bytes(at, bytes).fill(0xff);
    return at;
  }

  release(address: number): void {
    this.used = address;
  }

  grow(): void {
    const before = this.wasm.buffer;
    this.wasm.grow(1);
    expect(before.byteLength).toBe(0);
  }

  bytes(at: number, size: number): Uint8Array {
    return new Uint8Array(this.wasm.buffer, at, size);
  }

  numbers(at: number, size: number): Float32Array {
    return new Float32Array(this.wasm.buffer, at, size);
  }

  put(data: ArrayLike<number>): number {
    const at = this.allocate(4 * data.length);
    this.numbers(at, data.length).set(data);
    return at;
  }
}

/** An optimizer over leaves in a heap. */
class Run {
  readonly over: OverOptimizer;
  private readonly heap: Heap;
  private readonly at: Map<Path, number>;

  constructor(optimizer: Optimizer, heap: Heap, more: Partial<CompileOverOptions> = {}) {
    this.heap = heap;
    this.at = new Map(PATHS.map((path) => [path, heap.put(starts()[path]?.data ?? [])]));
    const leaves = PATHS.map((path) => ({
      path,
      shape: SHAPES[path],
      params: this.at.get(path) as number,
    }));
    this.over = compileOver(optimizer, { leaves, learningRate: 0.02, memory: heap, ...more });
  }

  addresses(): Map<string, number> {
    return new Map(this.at);
  }

  /** Gradients lie elsewhere in each step. */
  step(gradients: Readonly<Record<string, Float32Array>>) {
    const leaves = Object.entries(gradients).map(([path, data]): [string, LeafAddresses] => [
      path,
      { params: this.at.get(path as Path) as number, gradient: this.heap.put(data) },
    ]);
    return this.over.step(new Map(leaves));
  }

  /** Gives a leaf's parameters another place. */
  move(path: Path): void {
    const data = this.heap.numbers(this.at.get(path) as number, sizeOf(SHAPES[path])).slice();
    this.at.set(path, this.heap.put(data));
  }

  params(): Record<string, number[]> {
    return Object.fromEntries(
      Array.from(this.at, ([path, at]) => [
        path,
        Array.from(this.heap.numbers(at, sizeOf(SHAPES[path]))),
      ]),
    );
  }
}

function normal(path: Path, random: ReturnType<typeof mulberry32>): Float32Array {
  return Float32Array.from({ length: sizeOf(SHAPES[path]) }, () => random.normal());
}

function starts(): Leaves<Float32Array> {
  const random = mulberry32(9);
  return Object.fromEntries(
    PATHS.map((path) => [path, { shape: SHAPES[path], data: normal(path, random) }]),
  );
}

function dataOf(leaves: Leaves): Record<string, number[]> {
  return Object.fromEntries(
    Object.entries(leaves).map(([path, { data }]) => [path, Array.from(data)]),
  );
}
