import { Worker } from "node:worker_threads";
import { type Leaves, mulberry32 } from "@adastra/core";
import { numpy as np } from "@jax-js/jax";
import { describe, expect, test } from "vitest";
import {
  expectBackendsAgree,
  expectClose,
  type Float32Leaves,
  gradientsOn,
  zerosLike,
} from "../testing/arrays.ts";
import { labels, normal, oneHot } from "../testing/batches.ts";
import { bundledWorker } from "../testing/bundledWorker.ts";
import * as float64 from "../testing/float64.ts";
import { train } from "../testing/trainingWorker.ts";
import { print } from "./graph/ir.ts";
import { lower } from "./graph/lower.ts";
import { optimize } from "./graph/passes/optimize.ts";
import { compile, compileForward, nn, type Value } from "./index.ts";
import { signatureOf } from "./signature.ts";
import { gradientFunction, trace } from "./trace/trace.ts";
import { Value as TracedValue } from "./trace/value.ts";

const model = nn.sequential(nn.dense(7), nn.relu(), nn.dense(6), nn.relu(), nn.dense(4));
const params = model.init(mulberry32(5), [5]);
const batch = { x: normal(1, [8, 5]), y: labels(2, 8, 4) };
const crossEntropy = (p: nn.ParamValues, { x, y }: { x: Value; y: Value }): Value =>
  nn.softmaxCrossEntropy(model.apply(p, x), y);

describe("compile", () => {
  test("an MLP's gradients agree with jax-js and with float64 differences", async () => {
    const { loss, gradients } = await expectBackendsAgree(
      (p, b) => crossEntropy(p, b).add(nn.l2(p, 0.01)),
      params,
      batch,
    );
    const hot = oneHot(batch.y, 4);
    const reference = (w: float64.Weights): number => {
      const layer = (x: float64.Rows, n: number) =>
        float64.dense(x, w[`dense${n}/kernel`]!, w[`dense${n}/bias`]!);
      const hidden = [1, 2].reduce<float64.Rows>(
        (x, n) => float64.map(layer(x, n), float64.relu),
        float64.rows(batch.x.shape, batch.x.data),
      );
      const squares = Object.values(w).flatMap((values) => [...values].map((value) => value ** 2));
      return (
        float64.crossEntropy(layer(hidden, 3), float64.rows(hot.shape, hot.data)) +
        0.005 * squares.reduce((sum, square) => sum + square, 0)
      );
    };
    const weights = Object.fromEntries(
      Object.entries(params).map(([path, { data }]) => [path, Float64Array.from(data)]),
    );
    // Three float32 layers with sums of at most 7 terms.
    expectClose([loss], [reference(weights)], 1e-6);
    float64.expectMatchesDifferences(reference, params, gradients);
  });

  test("the graph of the MNIST MLP stays as it is", async () => {
    const mlp = nn.sequential(nn.dense(256), nn.relu(), nn.dense(256), nn.relu(), nn.dense(10));
    const tree = mlp.init(mulberry32(1), [784]);
    const example = { x: normal(1, [64, 784]), y: labels(2, 64, 10) };
    const signature = signatureOf("compile", tree, example);
    const { program } = trace(signature, (notes) =>
      gradientFunction<typeof tree, typeof example>(
        (p, { x, y }) => nn.softmaxCrossEntropy(mlp.apply(p, x), y),
        tree,
        signature,
        notes,
      ),
    );
    const graph = optimize(lower(program));
    expect(graph.nodes).toHaveLength(33);
    await expect(print(graph)).toMatchFileSnapshot("./graph/snapshots/mnist-mlp.txt");
  });

  test("values may be used many times, or not at all", async () => {
    const scattered = { w: normal(1, [4]), idle: normal(2, [3]) };
    const { gradients, loss } = await expectBackendsAgree(
      ({ w }, { x }) => w!.mul(w!).add(w!.exp()).add(w!).sum().add(x.mul(x).sum()),
      scattered,
      { x: normal(3, [2]), unused: normal(4, [2]) },
    );
    const { data } = scattered.w;
    // One exponential and three additions an element.
    const tolerance = 1e-6;
    expectClose(
      gradients["w"]!.data,
      data.map((w) => 2 * w + Math.exp(w) + 1),
      tolerance,
    );
    expect([...gradients["idle"]!.data]).toEqual([0, 0, 0]);
    expect(loss).toBeGreaterThan(0);
  });

  test("aux values come back beside the loss, integers and truth values as float32", async () => {
    for (const backend of ["cpu", "jax"] as const) {
      const { loss, aux } = await gradientsOn(
        backend,
        ({ w }, { y }) => {
          const value = w!.sum();
          return [value, { again: value, y, small: w!.lessEqual(2) }];
        },
        { w: { shape: [3], data: Float32Array.of(1, 2, 3) } },
        { y: { shape: [2], data: Int32Array.of(7, -7) } },
      );
      expect(loss, backend).toBe(6);
      expect({ ...aux }, backend).toEqual({
        again: Float32Array.of(6),
        y: Float32Array.of(7, -7),
        small: Float32Array.of(1, 1, 0),
      });
    }
  });

  test("parameters and rotating gradients may lie on a WebAssembly.Memory", async () => {
    const expected = await gradientsOn("cpu", crossEntropy, params, batch);
    const memory = new WebAssembly.Memory({ initial: 1 });
    let offset = 4; // not aligned to a vector
    const place = (leaves: Leaves): Float32Leaves =>
      Object.fromEntries(
        Object.entries(leaves).map(([path, { shape, data }]) => {
          const view = new Float32Array(memory.buffer, offset, data.length);
          offset += view.byteLength;
          view.set(data);
          return [path, { shape, data: view }];
        }),
      );
    const placed = place(params);
    const ring = [place(zerosLike(params)), place(zerosLike(params))];
    const compiled = await compile(crossEntropy, { params: placed, example: batch });
    for (let step = 0; step < 5; step++) {
      const gradients = ring[step % 2]!;
      for (const { data } of Object.values(gradients)) {
        data.fill(Number.NaN);
      }
      const { loss } = await compiled.run(batch, placed, gradients);
      expect(loss).toBe(expected.loss);
      expect(gradients).toEqual(expected.gradients);
    }
    placed["dense1/bias"]!.data.fill(1);
    const moved = await compiled.run(batch, placed, ring[0]!);
    expect(moved.loss).not.toBe(expected.loss);
  });

  test("runs in flight at once keep their results apart", async () => {
    const compiled = await compile(crossEntropy, { params, example: batch });
    const other = { ...batch, x: normal(9, [8, 5]) };
    const [first, second] = [zerosLike(params), zerosLike(params)];
    const results = await Promise.all([
      compiled.run(batch, params, first),
      compiled.run(other, params, second),
    ]);
    const alone = await gradientsOn("cpu", crossEntropy, params, batch);
    expect(results[0]!.loss).toBe(alone.loss);
    expect(first).toEqual(alone.gradients);
    expect(results[1]!.loss).not.toBe(alone.loss);
  });

  test("two threads compute what one does", async () => {
    const single = await gradientsOn("cpu", crossEntropy, params, batch);
    const compiled = await compile(crossEntropy, { params, example: batch, threads: 2 });
    const gradients = zerosLike(params);
    await compiled.run(batch, params, gradients);
    for (const [path, { data }] of Object.entries(single.gradients)) {
      expectClose(gradients[path]!.data, data, 1e-6, path); // sums may be split differently
    }
  });

  test("training in a worker thread gives the losses of the main thread", async () => {
    const worker = new Worker(await bundledWorker("packages/engine/testing/trainingWorker.ts"));
    const losses = await new Promise((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
    await worker.terminate();
    expect(losses).toEqual(await train());
  });
});

describe("compileForward", () => {
  test("returns named results of their own shapes", async () => {
    for (const backend of ["cpu", "jax"] as const) {
      const evaluate = await compileForward(
        (p, { x, y }) => {
          const logits = model.apply(p, x);
          return { logits, correct: nn.correct(logits, y).sum() };
        },
        { params, example: batch, backend },
      );
      const { logits, correct } = await evaluate.run(batch, params);
      expect(logits!.shape).toEqual([8, 4]);
      const right = [...batch.y.data].filter((label, row) => {
        const scores = [...logits!.data.subarray(row * 4, row * 4 + 4)];
        return scores.indexOf(Math.max(...scores)) === label;
      });
      expect([...correct!.data], backend).toEqual([right.length]);
      await evaluate.dispose();
    }
  });
});

describe("reports", () => {
  test("count nodes, and time stages only with a clock", async () => {
    let now = 0;
    const clock = { now: () => now++ };
    const timed = await compile(crossEntropy, { params, example: batch, clock });
    expect(timed.report).toEqual({
      backend: "cpu",
      nodes: 33,
      traceMs: 1,
      lowerMs: 1,
      sessionMs: 1,
    });
    const plain = await compile(crossEntropy, { params, example: batch, backend: "jax" });
    expect(plain.report).toEqual({ backend: "jax" });
  });
});

describe("a primitive without a lowering rule", () => {
  // The Cholesky factor of [[w]] is √w.
  const tree = { w: { shape: [1, 1], data: Float32Array.of(4) } };
  const example = { x: { shape: [1], data: Float32Array.of(3) } };
  const loss = ({ w }: { w: Value }, { x }: { x: Value }): Value =>
    TracedValue.own(np.linalg.cholesky(TracedValue.lend(w)))
      .mul(x)
      .sum();

  test("is an error that names it, without fallback", async () => {
    await expect(compile(loss, { params: tree, example, fallback: false })).rejects.toMatchObject({
      name: "UnsupportedOpError",
      code: "UNSUPPORTED_OP",
      primitive: "cholesky",
      message:
        'compile: backend "cpu" must have a lowering rule for every primitive, got "cholesky"; pass backend: "jax" or leave out fallback: false',
    });
  });

  test("moves the whole graph to jax-js and says so once", async () => {
    const messages: string[] = [];
    const compiled = await compile(loss, {
      params: tree,
      example,
      warn: (message) => messages.push(message),
    });
    expect(compiled.report).toEqual({ backend: "jax", unsupported: "cholesky" });
    expect(messages).toEqual([
      'compile: backend "cpu" has no rule for "cholesky", so all of it runs on jax-js, which is slower; pass fallback: false to refuse that',
    ]);
    const gradients = zerosLike(tree);
    await compiled.run(example, tree, gradients);
    // 3 / (2 √4)
    expect(gradients["w"]!.data[0]).toBe(0.75);
  });
});

describe("error texts", () => {
  const refused = (run: () => Promise<unknown>, message: string) =>
    expect(run()).rejects.toThrow(message);
  const options = { params, example: batch };

  test("of compile", async () => {
    await refused(
      () => compile(crossEntropy, { ...options, params: {} }),
      "compile: `params` must hold at least one leaf, got none",
    );
    await refused(
      () => compile(crossEntropy, { ...options, threads: 0 }),
      "compile: `threads` must be an integer of at least 1, got 0",
    );
    await refused(
      () => compile(crossEntropy, { ...options, backend: "gpu" as never }),
      'compile: `backend` must be one of "cpu", "wasm", "webgpu", "jax", "auto", got "gpu"',
    );
    await refused(
      () => compile(({ w }) => w, { params: { w: normal(1, [3]) }, example: {} }),
      "compile: loss must be a float32 scalar, got float32 of shape [3]; reduce it with .mean() or .sum()",
    );
    await refused(
      () => compile((() => 3) as never, options),
      "compile: loss must return a Value or [Value, aux], got 3",
    );
    await refused(
      () => compile((async () => 3) as never, options),
      "compile: loss must return a Value or [Value, aux], got a Promise",
    );
    await refused(
      () => compile((p, b) => [crossEntropy(p, b), { three: 3 as never }], options),
      'compile: aux "three" must be a Value, got 3',
    );
    await refused(
      () =>
        compile(crossEntropy, {
          params: { w: { shape: [2], data: new Float64Array(2) } },
          example: batch,
        }),
      'compile: leaf "w" must hold a Float32Array, got Float64Array',
    );
    await refused(
      () =>
        compile(crossEntropy, {
          params,
          example: { ...batch, x: { shape: [2], data: new Float32Array(3) } },
        }),
      'compile: example "x" of shape [2] must hold 2 elements, got 3',
    );
    await refused(
      () =>
        compile(crossEntropy, {
          params,
          example: { ...batch, x: { shape: [0, 5], data: new Float32Array(0) } },
        }),
      'compile: example "x" must have extents that are integers of at least 1, got [0, 5]',
    );
    await refused(
      () =>
        compile(crossEntropy, {
          params,
          example: { ...batch, x: { shape: [2], data: [1, 2] as never } },
        }),
      'compile: example "x" must hold a Float32Array or Int32Array, got Array',
    );
  });

  test("of run", async () => {
    const compiled = await compile(crossEntropy, options);
    const gradients = zerosLike(params);
    const { x, y } = batch;
    const run = (
      data: Parameters<typeof compiled.run>[0],
      p: Leaves = params,
      g: Leaves = gradients,
    ) => compiled.run(data, p, g);
    await refused(
      () => run({ x: normal(1, [3, 5]), y }),
      'run: batch "x" must have shape [8, 5], got [3, 5]; drop or pad the last batch, or compile for that shape',
    );
    await refused(() => run({ x } as never), 'run: batch must hold "y", got "x"');
    await refused(
      () => run({ x, y: { shape: [8], data: new Float32Array(8) as never } }),
      'run: batch "y" must hold an Int32Array, got Float32Array',
    );
    const outside = Int32Array.from(y.data).with(5, 4);
    await refused(
      () => run({ x, y: { shape: [8], data: outside } }),
      'run: labels "y" must be in [0, 4), got 4 at index 5',
    );
    const shared = { shape: [7], data: new Float32Array(new SharedArrayBuffer(28)) };
    await refused(
      () => run(batch, params, { ...gradients, "dense1/bias": shared }),
      'run: leaf "dense1/bias" must not lie on shared memory, got a SharedArrayBuffer; use one thread for the arena, or copy',
    );
    const { "dense1/bias": bias, ...rest } = params;
    await refused(
      () => run(batch, { ...rest }),
      'run: `params` must hold leaf "dense1/bias", got "dense1/kernel", "dense2/kernel", "dense2/bias", "dense3/kernel", "dense3/bias"',
    );
    await refused(
      () => run(batch, params, { ...gradients, "dense1/bias": normal(1, [6]) }),
      'run: leaf "dense1/bias" has shape [7], got [6]; pass an array of the leaf\'s shape',
    );
    expect(bias).toBeDefined();
  });
});
