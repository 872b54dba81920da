import {
  accumulate,
  adam,
  adashift,
  type CompiledOptimizer,
  compileOptimizer,
  mulberry32,
  sam,
  scheduleFreeAdamW,
  sgd,
} from "@adastra/core";
import { CheckpointDirectory, memoryFiles } from "@adastra/core/checkpoint";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  at,
  common,
  data,
  descend,
  held,
  loss,
  model,
  type Rows,
  type Slope,
  slope,
  started,
  valueOf,
} from "../../testing/fitting.ts";
import {
  compile,
  type DataSource,
  type EpochReport,
  type FitOptions,
  fit,
  type LossFunction,
  nn,
  type StepReport,
} from "../index.ts";
import { inOrder, shuffled } from "./data.ts";
import { openEvaluation } from "./metrics.ts";

describe("fit", () => {
  test("learns: y = sin 3x from noisy samples, on data it has not seen", async () => {
    const random = mulberry32(1);
    const samples = (count: number) => {
      const x = Float32Array.from({ length: count }, () => 2 * random.next() - 1);
      const y = x.map((value) => Math.sin(3 * value) + 0.05 * random.normal());
      return { x: { shape: [count, 1], data: x }, y: { shape: [count, 1], data: y } };
    };
    const network = nn.sequential(nn.dense(16), nn.tanh(), nn.dense(1));
    const { history, status } = await fit<ReturnType<typeof samples>>(
      (p, { x, y }) => nn.meanSquaredError(network.apply(p, x), y),
      {
        optimizer: compileOptimizer(adam(), {
          params: network.init(random, [1]),
          learningRate: 0.02,
        }),
        data: samples(256),
        batchSize: 32,
        epochs: 40,
        random,
        validation: { data: samples(100) },
      },
    );
    expect(status).toBe("finished");
    expect(history).toHaveLength(40);
    expect(history[0]?.validation?.["loss"]).toBeGreaterThan(0.1);
    // The noise alone is 0.05² = 0.0025.
    expect(history.at(-1)?.validation?.["loss"]).toBeLessThan(0.01);
    expect(history.at(-1)?.train["loss"]).toBeLessThan(0.01);
  });

  test("is the loop over compile and step, bit for bit", async () => {
    const [ours, theirs] = [started(adashift({ n: 3 })), started(adashift({ n: 3 }))];
    await fit(loss, { ...common, ...ours, epochs: 2, shuffle: false });
    const rows = (from: number) => ({
      x: { shape: [6, 5], data: data.x.data.slice(from * 5, (from + 6) * 5) },
      y: { shape: [6], data: data.y.data.slice(from, from + 6) },
    });
    const { optimizer, state } = theirs;
    const gradient = await compile(loss, { params: optimizer.params, state, example: rows(0) });
    for (const from of [0, 6, 12, 18, 0, 6, 12, 18]) {
      await gradient.run(rows(from), optimizer.params, optimizer.gradients);
      optimizer.step();
    }
    await gradient.dispose();
    expect(ours.optimizer.save()).toEqual(optimizer.save());
    expect(ours.state).toEqual(state);
  });

  test("takes every row at most once an epoch, in an order of its own, by the seed", async () => {
    const orders = async (seed: number, shuffle = true) => {
      const seen: number[] = [];
      const source: DataSource<Slope> = {
        count: 7,
        batch: (rows) => {
          seen.push(...rows);
          return { x: { shape: [2, 1], data: Float32Array.from(rows) } };
        },
      };
      const random = mulberry32(seed);
      await fit(descend, { ...slope, optimizer: at(0), data: source, epochs: 2, shuffle, random });
      // The first is the example that the graph is compiled for.
      return [seen.slice(2, 8), seen.slice(8)];
    };
    const [first, second] = await orders(1);
    expect(new Set(first).size).toBe(6);
    expect(new Set(second).size).toBe(6);
    expect(first).not.toEqual(second);
    expect(await orders(1)).toEqual([first, second]);
    expect(await orders(2)).not.toEqual([first, second]);
    expect(await orders(1, false)).toEqual([
      [0, 1, 2, 3, 4, 5],
      [0, 1, 2, 3, 4, 5],
    ]);
  });

  test("a shuffled order is a permutation", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.nat(), (count, seed) => {
        expect(shuffled(count, mulberry32(seed)).toSorted()).toEqual(inOrder(count));
      }),
    );
  });

  test("random numbers for augmentation are those of the place, in a resumed run too", async () => {
    const drawn = async (stopAt?: number) => {
      const numbers: number[] = [];
      const source: DataSource<Slope> = {
        count: 4,
        batch: (rows, random) => {
          numbers.push(random.next());
          return { x: { shape: [2, 1], data: Float32Array.from(rows) } };
        },
      };
      const directory = new CheckpointDirectory(memoryFiles());
      const options = { ...slope, data: source, epochs: 2, checkpoint: { directory } };
      for (const stop of stopAt === undefined ? [undefined] : [stopAt, undefined]) {
        await fit(descend, {
          ...options,
          optimizer: at(0),
          onStep: ({ step }, control) => step === stop && control.stop(),
        });
      }
      return numbers;
    };
    const [example, ...whole] = await drawn();
    expect(new Set(whole).size).toBe(4);
    // A resumed run compiles again.
    expect(await drawn(3)).toEqual([example, ...whole.slice(0, 3), example, ...whole.slice(3)]);
  });

  test("accumulates by the optimizer: two batches a step are one of both", async () => {
    const whole = started(sgd());
    const halves = started(accumulate(2, sgd()));
    const linear: LossFunction<Rows> = (p, { x, y }) =>
      nn.softmaxCrossEntropy(x.matmul(p["dense1/kernel"]!.slice(1, 0, 3)), y);
    const a = await fit(linear, { ...common, ...whole, batchSize: 12 });
    const b = await fit(linear, { ...common, ...halves, batchSize: 6 });
    expect(b.step).toBe(a.step);
    const expected = whole.optimizer.params["dense1/kernel"]!.data;
    halves.optimizer.params["dense1/kernel"]!.data.forEach((value, i) => {
      // Sums of 12 terms, and a mean of two sums of 6, in float32, over six steps.
      expect(value).toBeCloseTo(expected[i]!, 5);
    });
    // The loss is reported for all rows of a step.
    expect(b.history[0]?.train["loss"]).toBeCloseTo(a.history[0]!.train["loss"]!, 5);
  });

  test("SAM sees each batch twice, and its loss is that before the ascent", async () => {
    const batches: string[] = [];
    const source: DataSource<Slope> = {
      count: 8,
      batch: (rows) => {
        batches.push(rows.join());
        return { x: { shape: [2, 1], data: Float32Array.from(rows) } };
      },
    };
    const losses: number[] = [];
    const optimizer = at(5, accumulate(2, sam(sgd(), { rho: 0.5 })));
    await fit(descend, {
      ...slope,
      data: source,
      optimizer,
      epochs: 1,
      shuffle: false,
      onStep: (report) => losses.push(report.loss),
    });
    expect(batches.slice(1)).toEqual(["0,1", "2,3", "0,1", "2,3", "4,5", "6,7", "4,5", "6,7"]);
    expect(losses).toEqual([5, 4]);
    expect(valueOf(optimizer)).toBe(3);
  });
});

describe("validation", () => {
  const params = model.init(mulberry32(7), [5]);
  const state = model.initState(mulberry32(8), [5]);
  const metrics = (size: number) =>
    openEvaluation<Rows>(
      (p, { x, y }, mode) => {
        const logits = model.apply(p, x, mode);
        return {
          loss: nn.softmaxCrossEntropy(logits, y),
          accuracy: nn.accuracy(logits, y),
          correct: nn.correct(logits, y),
        };
      },
      { count: 10, batch: (rows) => rowsOf(rows) },
      size,
      mulberry32(1),
      { params, state },
    );
  const rowsOf = (rows: Uint32Array): Rows => ({
    x: {
      shape: [rows.length, 5],
      data: Float32Array.from(
        [...rows].flatMap((row) => [...held.x.data.subarray(row * 5, row * 5 + 5)]),
      ),
    },
    y: { shape: [rows.length], data: Int32Array.from(rows, (row) => held.y.data[row]!) },
  });

  test("counts every row once, whatever the size of the batches", async () => {
    const whole = await metrics(10);
    const expected = await whole.run(params);
    await whole.dispose();
    expect(expected["accuracy"]).toBeCloseTo(expected["correct"]!, 6);
    expect((expected["correct"]! * 10) % 1).toBe(0);
    for (const size of [1, 3, 4, 5, 9]) {
      const evaluation = await metrics(size);
      const found = await evaluation.run(params);
      await evaluation.dispose();
      for (const [name, value] of Object.entries(expected)) {
        // A mean of ten rows in float32, and one of means.
        expect(found[name], `${name} by ${size}`).toBeCloseTo(value, 6);
      }
    }
  });

  test("looks at the parameters that the method says to evaluate", async () => {
    const optimizer = compileOptimizer(scheduleFreeAdamW(), {
      params: { w: { shape: [], data: Float32Array.of(1) } },
      learningRate: 0.1,
    });
    const { history, params: answer } = await fit(descend, {
      ...slope,
      optimizer,
      epochs: 2,
      validation: { data: slope.data, metrics: ({ w }) => ({ w: w!.sum() }) },
    });
    expect(history.at(-1)?.validation?.["w"]).toBe(answer["w"]?.data[0]);
    expect(answer["w"]?.data[0]).not.toBe(optimizer.params["w"]?.data[0]);
  });
});

describe("early stopping", () => {
  /** w falls by 2 an epoch from 7; the metric is w's distance from 2: 3, 1, 1, 3, 5, ... */
  const run = (options: Partial<FitOptions<Slope>> & { optimizer: CompiledOptimizer }) =>
    fit(descend, {
      ...slope,
      epochs: 9,
      validation: {
        data: slope.data,
        metrics: ({ w }) => ({ away: w!.sub(2).abs(), near: w!.sub(2).abs().neg() }),
      },
      ...options,
    });

  test("ends after `patience` epochs that bring nothing, and goes back to the best", async () => {
    const optimizer = at(7);
    const result = await run({ optimizer, earlyStopping: { metric: "away", patience: 3 } });
    expect(result).toMatchObject({
      status: "stoppedEarly",
      epochs: 5,
      step: 10,
      best: { epoch: 2, metric: 1 },
    });
    expect(result.history.map(({ validation }) => validation?.["away"])).toEqual([3, 1, 1, 3, 5]);
    expect(result.history.map(({ improved }) => improved)).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(result.params["w"]?.data[0]).toBe(3);
    expect([valueOf(optimizer), optimizer.count]).toEqual([3, 4]);
  });

  test("higher may be better, a small gain may not count, the last parameters may stay", async () => {
    const [higher, strict, last] = [at(7), at(7), at(7)];
    const max = { metric: "near", mode: "max", patience: 1 } as const;
    expect(await run({ optimizer: higher, earlyStopping: max })).toMatchObject({ epochs: 3 });
    expect(valueOf(higher)).toBe(3);
    const picky = { metric: "away", patience: 1, minDelta: 2 };
    expect(await run({ optimizer: strict, earlyStopping: picky })).toMatchObject({
      epochs: 2,
      best: { epoch: 1, metric: 3 },
    });
    const lasting = { metric: "away", patience: 2, restoreBest: false };
    expect(await run({ optimizer: last, earlyStopping: lasting })).toMatchObject({ epochs: 4 });
    expect(valueOf(last)).toBe(-1);
  });

  test("all epochs end with the best too", async () => {
    const optimizer = at(7);
    const earlyStopping = { metric: "away", patience: 9 };
    expect(await run({ optimizer, epochs: 4, earlyStopping })).toMatchObject({
      status: "finished",
    });
    expect(valueOf(optimizer)).toBe(3);
  });
});

describe("reports", () => {
  test("tell the place, the loss, the rate and the time left, as plain data", async () => {
    let now = 100;
    const steps: StepReport[] = [];
    const epochs: EpochReport[] = [];
    await fit(descend, {
      ...slope,
      optimizer: at(3),
      epochs: 2,
      clock: { now: () => now },
      onStep: (report) => {
        steps.push(report);
      },
      onEpoch: (report) => {
        epochs.push(report);
        now += 30;
      },
    });
    expect(steps.map(({ step, epoch }) => [step, epoch])).toEqual([
      [1, 1],
      [2, 1],
      [3, 2],
      [4, 2],
    ]);
    expect(steps.map(({ loss }) => loss)).toEqual([3, 2, 1, 0]);
    expect(steps[2]).toEqual({
      step: 3,
      totalSteps: 4,
      epoch: 2,
      epochs: 2,
      loss: 1,
      aux: {},
      learningRate: 1,
      elapsedMs: 30,
      remainingMs: 10,
    });
    expect(epochs).toEqual([
      { epoch: 1, step: 2, train: { loss: 2.5 } },
      { epoch: 2, step: 4, train: { loss: 0.5 } },
    ]);
    expect(structuredClone(steps)).toEqual(steps);
  });

  test("a callback or a signal ends training between two steps", async () => {
    const stopped = await fit(descend, {
      ...slope,
      optimizer: at(3),
      epochs: 5,
      onEpoch: ({ epoch }, control) => epoch === 2 && control.stop(),
    });
    expect(stopped).toMatchObject({ status: "stopped", step: 4, epochs: 2 });
    const controller = new AbortController();
    const aborted = await fit(descend, {
      ...slope,
      optimizer: at(3),
      epochs: 5,
      signal: controller.signal,
      onStep: ({ step }) => step === 3 && controller.abort(),
    });
    expect(aborted).toMatchObject({ status: "aborted", step: 3, epochs: 1 });
  });
});

describe("bad input is refused in one sentence, before anything is trained", () => {
  const refused = async (options: Partial<FitOptions<Slope>>, message: string) => {
    const optimizer = at(3);
    const run = fit(descend, { ...slope, optimizer, epochs: 1, ...options });
    await expect(run).rejects.toThrow(message);
    expect([valueOf(optimizer), optimizer.count]).toEqual([3, 0]);
  };
  const four = slope.data.x;

  test.each<[string, Partial<FitOptions<Slope>>]>([
    ["fit: `epochs` must be an integer of at least 1, got 0", { epochs: 0 }],
    ["fit: `batchSize` must be an integer of at least 1, got 1.5", { batchSize: 1.5 }],
    [
      "fit: `data` must hold the rows of one step at least, 5, got 4; take a smaller batchSize",
      { batchSize: 5 },
    ],
    [
      "fit: `data` must hold the rows of one step at least, 3 batches of 2, got 4; take a smaller batchSize",
      { optimizer: at(3, accumulate(3, sgd())) },
    ],
    [
      "fit: `data` must hold at least one row, got 0",
      { data: { x: { shape: [0, 1], data: new Float32Array(0) } } },
    ],
    ["fit: `data` must hold at least one array, got none", { data: {} as Slope }],
    [
      'fit: arrays of `data` must have one number of rows, got 4 in "x" and 3 in "y"',
      { data: { x: four, y: { shape: [3], data: new Int32Array(3) } } as Slope },
    ],
    [
      'fit: arrays of `data` must hold as many numbers as their shape, "x" 8, got 4',
      { data: { x: { shape: [4, 2], data: four.data } } },
    ],
    [
      "fit: `validation.data` must hold at least one row, got 0",
      { validation: { data: { x: { shape: [0, 1], data: new Float32Array(0) } } } },
    ],
    [
      'fit: metric "wide" must be one number, or one a row, [2], got [2, 1]; reduce it with .mean()',
      { validation: { data: { x: four }, metrics: ({ w }, { x }) => ({ wide: x.mul(w!) }) } },
    ],
    ["fit: `earlyStopping` needs `validation`, got none", { earlyStopping: { patience: 1 } }],
    [
      "fit: `earlyStopping.patience` must be an integer of at least 1, got 0",
      { validation: { data: { x: four } }, earlyStopping: { patience: 0 } },
    ],
    [
      "fit: `earlyStopping.minDelta` must be finite and at least 0, got -1",
      { validation: { data: { x: four } }, earlyStopping: { patience: 1, minDelta: -1 } },
    ],
    [
      'fit: `earlyStopping.metric` must be one of "loss", got "f1"',
      { validation: { data: { x: four } }, earlyStopping: { patience: 1, metric: "f1" } },
    ],
  ])("%s", (message, options) => refused(options, message));

  test("a batch of another shape is refused by name, parameters as before that step", async () => {
    const optimizer = at(3);
    const source: DataSource<Slope> = {
      count: 4,
      batch: (rows) => {
        const width = rows[0] === 2 ? 3 : 1;
        return { x: { shape: [2, width], data: new Float32Array(2 * width) } };
      },
    };
    await expect(
      fit(descend, { ...slope, data: source, optimizer, epochs: 1, shuffle: false }),
    ).rejects.toThrow('run: batch "x" must have shape [2, 1], got [2, 3]');
    expect([valueOf(optimizer), optimizer.count]).toEqual([2, 1]);
  });

  test("an optimizer in the middle of a step is refused", async () => {
    const optimizer = at(3, accumulate(2, sgd()));
    optimizer.step({ w: Float32Array.of(1) });
    await expect(fit(descend, { ...slope, optimizer, epochs: 1 })).rejects.toThrow(
      "fit: `optimizer` must stand between steps, got phase 1; complete the step it accumulates",
    );
  });
});
