import {
  adai,
  adam,
  adashift,
  chain,
  clipByGlobalNorm,
  cosine,
  cpropAdam,
  mul,
  mulberry32,
  type NamedInputs,
  NonFiniteError,
  type Optimizer,
  sgd,
} from "@adastra/core";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import "@tensorflow/tfjs-backend-wasm";
import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { REPRESENTATIVE } from "../../testing/catalogue.ts";
import {
  bits,
  compile,
  compiledSteps,
  expectClose,
  gradientsFor,
  gradientsOf,
  Run,
  SHAPES,
  skip,
  valuesOf,
  wasmBackend,
} from "../../testing/tfjsRuns.ts";
import { type NamedTensor, toTf } from "./index.ts";

afterEach(() => {
  tf.disposeVariables();
});

describe.each(["cpu", "wasm"])("on backend %s", (backend) => {
  beforeAll(async () => {
    expect(await tf.setBackend(backend)).toBe(true);
  });

  describe.each(REPRESENTATIVE)("%s", (name, optimizer, learningRate) => {
    it("takes core's steps by kernels, bit for bit", () => {
      const run = new Run(optimizer, { learningRate, execution: "kernels" });
      run.steps(30);
      expect(run.optimizer.execution).toBe("kernels");
      expect(run.values()).toEqual(compiledSteps(optimizer, learningRate, 30));
    });

    it("takes core's steps by operations", () => {
      const run = new Run(optimizer, { learningRate, execution: "operations" });
      run.steps(30);
      expect(run.optimizer.execution).toBe("operations");
      expectClose(run.values(), compiledSteps(optimizer, learningRate, 30));
    });

    it.each(["kernels", "operations"] as const)(
      "continues from saved state by %s",
      async (execution) => {
        const options = { learningRate, execution };
        const whole = new Run(optimizer, options);
        whole.steps(17);
        const state = await whole.optimizer.save();
        whole.steps(14);
        const expected = whole.values();
        tf.disposeVariables();

        const second = new Run(optimizer, options);
        second.optimizer.load(state);
        second.random.restore(skip(17));
        second.steps(14);
        expect(bits(second.values())).toBe(bits(expected));
        expect(second.optimizer.iterations).toBe(31);
      },
    );

    it("hands its state to core, and takes core's", async () => {
      const run = new Run(optimizer, { learningRate, execution: "operations" });
      run.steps(17);
      const state = await run.optimizer.save();
      const compiled = compile(optimizer, learningRate);
      compiled.load(state);
      const back = compiled.save();
      expect(back.leaves).toEqual(state.leaves);
      run.optimizer.load(back);
      expect((await run.optimizer.save()).leaves).toEqual(state.leaves);
    });
  });
});

describe.each([
  ["cpu", "kernels"],
  ["cpu", "operations"],
  ["wasm", "kernels"],
  ["wasm", "operations"],
] as const)("on backend %s by %s", (backend, execution) => {
  beforeAll(async () => {
    await tf.setBackend(backend);
  });

  it("leaves out variables without a gradient, state and step number included", () => {
    const learningRate = 0.05;
    const optimizer = chain(clipByGlobalNorm(1), adashift({ n: 2 }));
    const run = new Run(optimizer, { learningRate, execution });
    const compiled = compile(optimizer, learningRate);
    const random = mulberry32(2);
    for (let t = 0; t < 24; t++) {
      const all = gradientsOf(run.variables, random);
      const given = all.filter((_, i) => t === 0 || (t + i) % 3 !== 0);
      compiled.step(
        Object.fromEntries(
          given.map(({ name, tensor }) => [name, tensor.dataSync().slice() as Float32Array]),
        ),
      );
      const form = t % 2 === 0;
      run.optimizer.applyGradients(
        form
          ? all.map((each) => (given.includes(each) ? each : { ...each, tensor: null as never }))
          : Object.fromEntries(given.map(({ name, tensor }) => [name, tensor])),
      );
      tf.dispose(all.map(({ tensor }) => tensor));
    }
    expectClose(run.values(), valuesOf(compiled));
  });

  it("keeps no tensor of 10,000 steps", () => {
    const run = new Run(
      chain(clipByGlobalNorm(1), adashift({ n: 2 })),
      {
        learningRate: 0.01,
        execution,
      },
      [[], [2]],
    );
    run.steps(5);
    const { numTensors, numDataBuffers } = tf.memory();
    run.steps(10_000);
    expect(tf.memory()).toMatchObject({ numTensors, numDataBuffers });
    run.optimizer.dispose();
    tf.disposeVariables();
  });

  it("gives back every tensor when it is disposed of", async () => {
    const before = tf.memory().numTensors;
    const run = new Run(cpropAdam(), { learningRate: 0.01, execution });
    run.steps(3);
    await run.optimizer.getWeights();
    const held = tf.memory().numTensors;
    await run.optimizer.getWeights();
    await run.optimizer.save();
    expect(tf.memory().numTensors).toBe(held);
    run.optimizer.dispose();
    expect(tf.memory().numTensors).toBe(before + SHAPES.length);
  });

  it("continues bit for bit from its weights", async () => {
    const options = { learningRate: cosine(0.1, 40), execution };
    const optimizer = adashift({ n: 3 });
    const whole = new Run(optimizer, options);
    whole.steps(11);
    const weights = (await whole.optimizer.getWeights()).map(({ name, tensor }) => ({
      name,
      tensor: tf.clone(tensor),
    }));
    const params = whole.variables.map((variable) => variable.dataSync().slice());
    whole.steps(9);
    const expected = whole.values();
    tf.disposeVariables();

    const second = new Run(optimizer, options);
    second.variables.forEach((variable, i) => {
      variable.assign(tf.tensor(params[i] as Float32Array, variable.shape));
    });
    await second.optimizer.setWeights(weights);
    second.random.restore(skip(11));
    second.steps(9);
    expect(bits(second.values())).toBe(bits(expected));
    expect(second.optimizer.iterations).toBe(20);
  });

  it("takes hyperparameters as numbers and schedules, changes, saves and loads them", async () => {
    const b1 = (count: number): number => 0.5 + 0.01 * count;
    const run = new Run(adam(), { learningRate: 0.05, execution, hyperparameters: { b1 } });
    const compiled = compile(adam(), 0.05, { b1 });
    const random = mulberry32(3);
    for (let t = 0; t < 20; t++) {
      if (t === 8) {
        run.optimizer.set({ b2: 0.9, learningRate: 0.02 });
        compiled.set({ b2: 0.9, learningRate: 0.02 });
      }
      run.steps(1);
      compiled.step(gradientsFor(compiled, random));
    }
    expectClose(run.values(), valuesOf(compiled));
    const state = await run.optimizer.save();
    expect(state.hyperparameters).toEqual({ b1: b1(20), b2: 0.9, eps: 1e-8 });
    const next = toTf(adam(), { learningRate: 0.02, execution });
    next.load(state);
    expect(next.hyperparameters).toEqual({ learningRate: 0.02, ...state.hyperparameters });
    expect(() => next.set({ b1: 2 })).toThrow("set: `b1` must be in [0, 1), got 2");
    expect(() => next.set({ beta: 0.5 })).toThrow(
      'set: hyperparameters must be among b1, b2, eps, got "beta"',
    );
    expect(() => next.set({ b1: "0.9" as never })).toThrow(
      "set: `b1` must be a number or a schedule, got 0.9",
    );
  });

  describe.each([
    ["NaN", Number.NaN],
    ["infinity", Number.POSITIVE_INFINITY],
    ["negative infinity", Number.NEGATIVE_INFINITY],
  ])("with %s in the last number of a gradient", (_, value) => {
    const optimizer = chain(clipByGlobalNorm(1), adashift({ n: 2 }));
    const bad = (run: Run): NamedTensor[] =>
      gradientsOf(run.variables, mulberry32(5)).map(({ name, tensor }) => {
        const data = tensor.dataSync().slice();
        data[data.length - 1] = name === "w2" ? value : 0;
        return { name, tensor: tf.tensor(data, tensor.shape) };
      });

    it("skips the step, as if it had never been asked for", async () => {
      const run = new Run(optimizer, { learningRate: 0.05, execution, nonFinite: "skip" });
      run.steps(3);
      const before = [await run.optimizer.save(), run.values()];
      const { numTensors } = tf.memory();
      tf.tidy(() => run.optimizer.applyGradients(bad(run)));
      expect(tf.memory().numTensors).toBe(numTensors);
      expect(run.optimizer.iterations).toBe(3);
      expect([await run.optimizer.save(), run.values()]).toEqual(before);
      run.steps(4);
      const other = new Run(optimizer, { learningRate: 0.05, execution }, SHAPES, "other");
      other.steps(7);
      expect(bits(run.values())).toBe(bits(other.values()));
    });

    it("throws and changes nothing, also in the first step", async () => {
      const run = new Run(optimizer, { learningRate: 0.05, execution, nonFinite: "throw" });
      const refused = (step: number): void => {
        expect(() => tf.tidy(() => run.optimizer.applyGradients(bad(run)))).toThrow(
          new NonFiniteError("applyGradients", step, "w2"),
        );
      };
      refused(1);
      run.steps(3);
      const before = [await run.optimizer.save(), run.values()];
      refused(4);
      expect(run.optimizer.iterations).toBe(3);
      expect([await run.optimizer.save(), run.values()]).toEqual(before);
    });

    it("follows the formula unless told otherwise", () => {
      const run = new Run(sgd(), { learningRate: 0.5, execution });
      tf.tidy(() => run.optimizer.applyGradients(bad(run)));
      expect(run.optimizer.iterations).toBe(1);
      expect(run.values()[2]?.at(-1)).toBe(-value);
      expect(run.values().flat().filter(Number.isFinite)).toHaveLength(31);
    });
  });

  it("takes finite gradients whose squares overflow for what they are", () => {
    const variable = tf.variable(tf.tensor1d([1, 2]), true, "large");
    const optimizer = toTf(sgd(), { learningRate: 1, execution, nonFinite: "throw" });
    tf.tidy(() => optimizer.applyGradients({ large: tf.tensor1d([3e38, -3e38]) }));
    optimizer.applyGradients({});
    expect(Array.from(variable.dataSync())).toEqual([-3e38, 3e38].map(Math.fround));
    expect(optimizer.iterations).toBe(2);
  });

  it("names the parameters to evaluate with", () => {
    const averaging = { ...sgd(), evaluation: ({ p }: NamedInputs) => mul(0.5, p) };
    const run = new Run(averaging, { learningRate: 0.1, execution });
    run.steps(2);
    const evaluated = run.optimizer.evaluationParams();
    const halves = run.values().map((leaf) => leaf.map((x) => x / 2));
    expect(Object.values(evaluated).map((x) => Array.from(x.dataSync()))).toEqual(halves);
    tf.dispose(evaluated);
  });

  it("asks the schedule for each step, and takes another rate in between", () => {
    const schedule = cosine(0.1, 20);
    const run = new Run(adam(), { learningRate: schedule, execution });
    run.steps(10);
    expect(run.optimizer.learningRate).toBe(schedule(10));
    run.optimizer.setLearningRate(0.03);
    run.steps(10);
    const expected = compiledSteps(adam(), (count) => (count < 10 ? schedule(count) : 0.03), 20);
    expectClose(run.values(), expected);
  });

  it("leaves alone what shares data with a variable", () => {
    const given = Float32Array.of(1, 2);
    const start = tf.tensor1d(given);
    const variable = tf.variable(start, true, "shared");
    const [clone, read] = [tf.clone(variable), variable.dataSync()];
    const optimizer = toTf(sgd(), { learningRate: 1, execution });
    for (let t = 0; t < 2; t++) {
      tf.tidy(() => optimizer.applyGradients({ shared: tf.tensor1d([0.25, 0.5]) }));
    }
    expect(Array.from(variable.dataSync())).toEqual([0.5, 1]);
    for (const before of [given, start.dataSync(), clone.dataSync(), read]) {
      expect(Array.from(before)).toEqual([1, 2]);
    }
    tf.dispose([start, clone]);
  });

  it("is seen by products that ran with the weights before", () => {
    const weights = tf.variable(tf.ones([4, 3]), true, "weights");
    const x = tf.ones([2, 4]) as tf.Tensor2D;
    const product = () => tf.tidy(() => tf.matMul(x, weights as tf.Tensor2D).dataSync()[0]);
    expect([product(), product()]).toEqual([4, 4]);
    const optimizer = toTf(sgd(), { learningRate: 1, execution });
    tf.tidy(() => optimizer.applyGradients({ weights: tf.fill([4, 3], -1) }));
    expect(product()).toBe(8);
    x.dispose();
  });

  it("sees what its user assigns between steps", () => {
    const variable = tf.variable(tf.tensor1d([1, 2]), true, "assigned");
    const optimizer = toTf(sgd(), { learningRate: 1, execution });
    const g = tf.tensor1d([1, 1]);
    optimizer.applyGradients({ assigned: g });
    tf.tidy(() => variable.assign(tf.tensor1d([10, 20])));
    optimizer.applyGradients({ assigned: g });
    expect(Array.from(variable.dataSync())).toEqual([9, 19]);
    g.dispose();
  });
});

describe("execution", () => {
  beforeAll(async () => {
    const registry = tf as typeof tf & { copyRegisteredKernels(from: string, to: string): void };
    await tf.setBackend("cpu");
    const cpu = tf.engine().registryFactory.cpu?.factory;
    tf.registerBackend("elsewhere", cpu as () => tf.KernelBackend);
    registry.copyRegisteredKernels("cpu", "elsewhere");
  });

  it("is by kernels on wasm and cpu, by operations elsewhere", async () => {
    for (const [backend, execution] of [
      ["cpu", "kernels"],
      ["wasm", "kernels"],
      ["elsewhere", "operations"],
    ] as const) {
      await tf.setBackend(backend);
      const run = new Run(adam(), { learningRate: 0.1 });
      expect(run.optimizer.execution).toBeUndefined();
      run.steps(2);
      expect(run.optimizer.execution).toBe(execution);
      tf.disposeVariables();
    }
  });

  it("by kernels copies from a heap that threads share", async () => {
    await tf.setBackend("wasm");
    const backend = wasmBackend();
    const plain = backend.typedArrayFromHeap.bind(backend);
    const { asm } = backend.wasm;
    backend.wasm.asm = { ...asm, memory: { buffer: new SharedArrayBuffer(8) } };
    const run = new Run(adam(), { learningRate: 0.05 });
    const shared = vi.spyOn(backend, "typedArrayFromHeap").mockImplementation((tensor) => {
      const data = plain(tensor);
      const copy = new Float32Array(new SharedArrayBuffer(data.byteLength));
      copy.set(data);
      return copy;
    });
    try {
      run.steps(10);
      expect(shared).toHaveBeenCalled();
      expect(run.optimizer.inPlace).toBe(false);
    } finally {
      shared.mockRestore();
      backend.wasm.asm = asm;
    }
    expect(run.values()).toEqual(compiledSteps(adam(), 0.05, 10));
  });

  it("by kernels takes calls before the step, by operations refuses them", async () => {
    await tf.setBackend("cpu");
    const twice: Optimizer = {
      ...sgd(),
      name: "twice",
      before: [{ status: "ascended", step: ({ g }) => ({ update: mul(0.25, g), next: {} }) }],
    };
    const run = new Run(twice, { learningRate: 0.1 });
    run.steps(7);
    expect(run.optimizer.iterations).toBe(3);
    expect(run.values()).toEqual(compiledSteps(twice, 0.1, 7));
    expect((await run.optimizer.save()).phase).toBe(1);
    const other = toTf(twice, { learningRate: 0.1, execution: "operations" });
    expect(() => other.applyGradients(gradientsOf(run.variables, mulberry32(1)))).toThrow(
      'toTf: the optimizer must take its steps in one call, got "twice" with calls before them (ascended); use core\'s kernels',
    );
  });

  it("by kernels is refused where there is no memory to reach", async () => {
    await tf.setBackend("elsewhere");
    const run = new Run(adam(), { learningRate: 0.1, execution: "kernels" });
    expect(() => run.steps(1)).toThrow(
      'applyGradients: execution "kernels" needs backend "wasm" or "cpu", got "elsewhere"; pass execution: "auto"',
    );
  });

  it("moves with saved state from kernels to operations and back", async () => {
    await tf.setBackend("cpu");
    const [first, second] = ["kernels", "operations"] as const;
    const expected = compiledSteps(adai(), 0.1, 30);
    const run = new Run(adai(), { learningRate: 0.1, execution: first });
    run.steps(10);
    const next = toTf(adai(), { learningRate: 0.1, execution: second });
    next.load(await run.optimizer.save());
    run.optimizer = next;
    run.steps(10);
    const last = toTf(adai(), { learningRate: 0.1, execution: first });
    last.load(await run.optimizer.save());
    run.optimizer = last;
    run.steps(10);
    expectClose(run.values(), expected);
  });
});
