import { adam, compileOptimizer, mulberry32, type Random } from "@adastra/core";
import { decodeCheckpoint, encodeCheckpoint } from "@adastra/core/checkpoint";
import { describe, expect, it } from "vitest";
import { fedavg } from "./fedavg.ts";
import { fomaml } from "./fomaml.ts";
import { localTraining } from "./localTraining.ts";
import { metaLearner } from "./metaLearner.ts";
import type { MetaTraining } from "./metaTraining.ts";
import { reptile } from "./reptile.ts";
import { type Client, tasksOf } from "./task.ts";
import { bowl, bowls, list, manyBowls, vector } from "./testTasks.ts";
import { arubaSgd, collectingSgd } from "./withinTask.ts";

const float64 = { dtype: "float64" } as const;

const bowlReptile = (options: object, seed = 1): MetaTraining =>
  reptile({
    params: vector(0, 0, 0),
    source: manyBowls(3),
    gradients: bowls(),
    random: mulberry32(seed),
    rounds: 8,
    innerSteps: 3,
    batchSize: 1,
    ...float64,
    ...options,
  });

const methods: Readonly<Record<string, () => MetaTraining>> = {
  "reptile with ARUBA": () => bowlReptile({ aruba: { eps: 0.1 } }),
  "reptile with an Adam that is carried": () =>
    bowlReptile({ optimizer: adam({ b1: 0 }), learningRate: 0.1, carryOptimizer: true }),
  "fedavg with ARUBA": () =>
    fedavg({
      params: vector(0, 0),
      source: tasksOf([bowl([1, 0], 7), bowl([0, 1], 23), bowl([2, 2], 11)]),
      gradients: bowls(),
      random: mulberry32(3),
      clientsPerRound: 2,
      aruba: { eps: 0.1 },
      ...float64,
    }),
  "first-order MAML with Adam outside": () =>
    fomaml({
      params: vector(0, 0),
      source: manyBowls(2),
      gradients: bowls(),
      random: mulberry32(4),
      outer: adam(),
      metaStep: 0.1,
      innerSteps: 2,
      batchSize: 1,
      learningRate: 0.3,
      ...float64,
    }),
};

describe.each(Object.entries(methods))("%s", (_, make) => {
  it("resumes from a file to the bits of an unbroken run", async () => {
    const [whole, first] = [make(), make()];
    for (let round = 0; round < 6; round++) {
      await whole.next();
    }
    for (let round = 0; round < 3; round++) {
      await first.next();
    }
    const resumed = make();
    resumed.load(decodeCheckpoint(encodeCheckpoint(first.save())));
    while (resumed.round < 6) {
      await resumed.next();
    }
    expect(resumed.save()).toEqual(whole.save());
  });

  it("refuses the checkpoint of another method, and stays as it was", async () => {
    const training = make();
    await training.next();
    const before = training.save();
    const others = Object.values(methods).filter((other) => other !== make);
    for (const other of others) {
      const foreign = other();
      await foreign.next();
      expect(() => training.load(foreign.save())).toThrow(/load: /);
      expect(training.save()).toEqual(before);
    }
  });
});

it("clients behind a boundary that copies, as a worker's, give the same bits", async () => {
  const options = {
    params: vector(0, 0, 0),
    gradients: bowls(),
    optimizer: collectingSgd(),
    batches: { batchSize: 1, steps: 3 },
    ...float64,
  };
  const far = localTraining(options);
  const [near, remote] = [
    bowlReptile({ aruba: true }),
    bowlReptile({
      aruba: true,
      client:
        (task: ReturnType<typeof bowl>, random: Random): Client =>
        async (start) =>
          structuredClone(await far.client(task, random)(structuredClone(start))),
    }),
  ];
  for (let round = 0; round < 3; round++) {
    await near.next();
    await remote.next();
  }
  expect(remote.save()).toEqual(near.save());
});

it("reptile moves φ by metaStep of the way to the mean, less each round", async () => {
  const training = reptile({
    params: vector(0),
    source: tasksOf([bowl([4])]),
    gradients: bowls(),
    random: mulberry32(1),
    rounds: 2,
    metaBatch: 1,
    innerSteps: 2,
    batchSize: 1,
    learningRate: 0.5,
    metaStep: 1,
    ...float64,
  });
  // θ = 3 after two halvings of the distance 4, all the way there; then 3.75 after two more, half of the way there.
  await training.next();
  expect(list(training.params)).toEqual([3]);
  await training.next();
  expect(list(training.params)).toEqual([3.375]);
});

it("fedavg weighs clients by their examples", async () => {
  const training = fedavg({
    params: vector(0),
    source: tasksOf([bowl([1], 10), bowl([5], 30)]),
    gradients: bowls(),
    random: mulberry32(1),
    clientsPerRound: 2,
    batchSize: 1000,
    learningRate: 1,
    ...float64,
  });
  await training.next();
  expect(list(training.params)).toEqual([4]);
});

it("first-order MAML descends the loss after adaptation", async () => {
  const training = fomaml({
    params: vector(0),
    source: tasksOf([bowl([8])]),
    gradients: bowls(),
    random: mulberry32(1),
    metaBatch: 1,
    innerSteps: 1,
    batchSize: 1,
    learningRate: 0.5,
    metaStep: 0.25,
    ...float64,
  });
  await training.next();
  // θ = 4, its gradient −4, a quarter of which is taken off φ = 0.
  expect(list(training.params)).toEqual([1]);
});

describe("a task that is not finite", () => {
  const [good, bad] = [bowl([1, 1]), bowl([1, Number.NaN])];
  const clientsOf = (tasks: readonly ReturnType<typeof bowl>[]): Client[] => {
    const training = localTraining({
      params: vector(0, 0),
      gradients: bowls(),
      optimizer: collectingSgd(),
      batches: { batchSize: 1, steps: 2 },
      ...float64,
    });
    return tasks.map((task) => training.client(task, mulberry32(0)));
  };
  const learner = (nonFinite: "throw" | "skip", refreshEvery: "task" | "round") =>
    metaLearner({
      name: "test",
      params: vector(0, 0),
      aruba: { eps: 0.1, refreshEvery },
      nonFinite,
      ...float64,
    });

  it.each(["task", "round"] as const)("is dropped whole, rates by %s", async (every) => {
    const [skipping, without] = [learner("skip", every), learner("skip", every)];
    const result = await skipping.run(clientsOf([good, bad, good]));
    await without.run(clientsOf([good, good]));
    expect(result).toMatchObject({ dropped: 1, round: 1 });
    expect(skipping.save()).toEqual(without.save());
  });

  it("leaves all as it was where every task is dropped, but for the round", async () => {
    const skipping = learner("skip", "task");
    const before = skipping.save();
    expect(await skipping.run(clientsOf([bad]))).toMatchObject({ dropped: 1, round: 1, tasks: [] });
    expect(skipping.save().extra).toEqual(before.extra);
    expect(list(skipping.params)).toEqual([0, 0]);
  });

  it.each(["task", "round"] as const)(
    "changes nothing when it throws, rates by %s",
    async (every) => {
      const throwing = learner("throw", every);
      await throwing.run(clientsOf([good]));
      const before = throwing.save();
      await expect(throwing.run(clientsOf([good, bad]))).rejects.toThrow(
        "test: a task must end in finite parameters and gradients at round 2, got NaN or infinity",
      );
      expect(throwing.save()).toEqual(before);
    },
  );
});

describe("a preset", () => {
  it("trains in core as ARUBA's rates say, and ARUBA++ lets them fall", async () => {
    const training = bowlReptile({ aruba: { eps: 0.1 } });
    await training.next();
    const rates = list(training.learner.aruba?.rates ?? {});
    const phi = list(training.params);
    for (const coef of [0, 10]) {
      const file = encodeCheckpoint(training.preset(coef));
      const optimizer = compileOptimizer(arubaSgd(), {
        params: vector(0, 0, 0),
        learningRate: 1,
        ...float64,
      });
      optimizer.load(decodeCheckpoint(file).optimizer);
      optimizer.step({ theta: Float64Array.of(1, 1, 1) });
      const moved = list(optimizer.params).map((value, i) => (phi[i] as number) - value);
      optimizer.step({ theta: Float64Array.of(1, 1, 1) });
      const again = list(optimizer.params).map((value, i) => (phi[i] as number) - value);
      // The difference of two numbers near 1.
      moved.forEach((step, i) => {
        expect(step).toBeCloseTo(rates[i] as number, 14);
      });
      again.forEach((steps, i) => {
        const second = steps - (moved[i] as number);
        if (coef === 0) {
          expect(second).toBeCloseTo(rates[i] as number, 14);
        } else {
          expect(second).toBeLessThan(0.9 * (rates[i] as number));
        }
      });
    }
  });

  it("of one model or one kind of rates is refused by another, nothing changed", async () => {
    const training = bowlReptile({ aruba: true });
    await training.next();
    const { optimizer: preset } = training.preset();
    const compile = (optimizer: ReturnType<typeof arubaSgd>, ...start: readonly number[]) =>
      compileOptimizer(optimizer, { params: vector(...start), learningRate: 1, ...float64 });
    for (const [other, start] of [
      [compile(arubaSgd(), 7, 7), [7, 7]],
      [compile(arubaSgd({ mode: "isotropic" }), 7, 7, 7), [7, 7, 7]],
    ] as const) {
      expect(() => other.load(preset)).toThrow(/load: state/);
      expect(list(other.params)).toEqual(start);
    }
  });

  it("of a carried optimizer starts at φ with its state", async () => {
    const training = bowlReptile({
      optimizer: adam({ b1: 0 }),
      learningRate: 0.1,
      carryOptimizer: true,
    });
    expect(() => training.preset()).toThrow('preset: "reptile" must have learned more');
    await training.next();
    const optimizer = compileOptimizer(adam({ b1: 0 }), {
      params: vector(0, 0, 0),
      learningRate: 0.1,
      ...float64,
    });
    optimizer.load(training.preset().optimizer);
    expect(list(optimizer.params)).toEqual(list(training.params));
    expect(optimizer.count).toBe(5 * 3);
  });
});

describe("what cannot be", () => {
  it("a task without examples is refused by name", async () => {
    const training = bowlReptile({
      source: tasksOf([bowl([1, 2, 3], 0)]),
      metaBatch: 1,
      aruba: true,
    });
    await expect(training.next()).rejects.toThrow(
      'train: task "bowl at 1, 2, 3" must have at least one example, got 0; leave it out',
    );
  });

  it.each([
    [
      { aruba: true, learningRate: 0.1 },
      "reptile: with ARUBA rates are learned for plain SGD, got `learningRate` too",
    ],
    [
      { aruba: true, optimizer: adam() },
      "reptile: with ARUBA rates are learned for plain SGD, got `optimizer` too",
    ],
    [{}, "reptile: `learningRate` must be given without ARUBA, got none"],
    [
      { aruba: true, innerSteps: 1 },
      "reptile: `innerSteps` must be an integer of at least 2, got 1",
    ],
    [
      { aruba: true, metaBatch: 0 },
      "reptile: `tasksPerRound` must be an integer of at least 1, got 0",
    ],
    [
      { aruba: true, batchSize: 0 },
      "localTraining: `batchSize` must be an integer of at least 1, got 0",
    ],
  ])("%j", (options, message) => {
    expect(() => bowlReptile(options)).toThrow(message);
  });

  it("a round without clients", async () => {
    await expect(bowlReptile({ aruba: true }).learner.run([])).rejects.toThrow(
      "reptile: a round must have at least one task, got none; pass some",
    );
  });
});
