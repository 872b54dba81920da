import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { damsgrad } from "../methods/dAmsgrad.ts";
import { dpsgd } from "../methods/dPsgd.ts";
import type { Method } from "../methods/framework.ts";
import { METHODS } from "../simulator/testRuns.ts";
import { createMixer } from "./mixer.ts";
import { createTrainer, type Trainer } from "./trainer.ts";

/** Of ½ Σ (x − 1)², in two leaves. */
function trainerOf(method: Method, localSteps = 1, batches: number[] = []): Trainer {
  return createTrainer({
    method,
    params: {
      a: { shape: [2], data: Float64Array.of(0, 3) },
      b: { shape: [], data: Float64Array.of(-1) },
    },
    learningRate: 0.1,
    dtype: "float64",
    localSteps,
    gradient: (params, gradients, step) => {
      batches.push(step);
      for (const [path, { data }] of Object.entries(gradients)) {
        data.forEach((_, i) => {
          data[i] = (params[path]!.data[i] as number) - 1;
        });
      }
      return step;
    },
  });
}

const valuesOf = (trainer: Trainer): Float64Array => {
  const values = new Float64Array(trainer.vectors * trainer.parameters);
  trainer.read(values);
  return values;
};

/** At once: the gradient takes no time. */
const round = (trainer: Trainer): void => {
  void trainer.prepare();
  void trainer.advance();
};

describe.each(METHODS)("%s", (_name, make) => {
  test("goes on from what was saved between rounds, to the bit", () => {
    const [one, other] = [trainerOf(make()), trainerOf(make())];
    for (let i = 0; i < 5; i++) {
      round(one);
    }
    other.load(one.save());
    for (let i = 0; i < 5; i++) {
      round(one);
      round(other);
    }
    expect(valuesOf(other)).toEqual(valuesOf(one));
  });

  test("goes on from what was saved within a round: with the move where it was due, else with the gradient", () => {
    const [one, other] = [trainerOf(make()), trainerOf(make())];
    round(one);
    void one.prepare();
    other.load(one.save());
    // A delayed method has changed nothing yet; the other has taken its gradient in.
    if (one.delayed) {
      void other.prepare();
    }
    void one.advance();
    if (one.delayed) {
      void other.advance();
    }
    expect(valuesOf(other)).toEqual(valuesOf(one));
    round(one);
    round(other);
    expect(valuesOf(other)).toEqual(valuesOf(one));
  });
});

test("reads x and ũ leaf by leaf, and adopts them with v̂ at ũ", () => {
  const trainer = trainerOf(damsgrad({ eps: 0.25 }));
  expect([...valuesOf(trainer)]).toEqual([0, 3, -1, 0.25, 0.25, 0.25]);
  trainer.adopt(Float64Array.of(1, 2, 3, 4, 5, 6));
  expect([...valuesOf(trainer)]).toEqual([1, 2, 3, 4, 5, 6]);
  expect([...trainer.optimizer.views("vhat")["a"]!.data]).toEqual([4, 5]);
});

test("mixes one, two or three neighbours' differences into one vector", () => {
  const pull = (share: number, by: number) => ({
    share,
    mine: new Float64Array(6),
    theirs: new Float64Array(6).fill(by),
  });
  for (const pulls of [
    [pull(0.5, 2)],
    [pull(0.5, 2), pull(0.25, 4)],
    [pull(0.5, 2), pull(0.25, 4), pull(1, -1)],
  ]) {
    const trainer = trainerOf(damsgrad({ eps: 0.25 }));
    trainer.mix(pulls, 1);
    const sum = pulls.reduce(
      (total, { share, theirs }) => total + share * (theirs[0] as number),
      0,
    );
    expect([...valuesOf(trainer)]).toEqual([0, 3, -1, 0.25 + sum, 0.25 + sum, 0.25 + sum]);
  }
});

test("local steps take gradients of their own after the mixed one", async () => {
  const batches: number[] = [];
  const trainer = trainerOf(dpsgd(), 3, batches);
  void trainer.prepare();
  await trainer.advance();
  expect(batches).toEqual([0, 1, 2]);
  // x − 1 shrinks by 0.9 three times; rounding of a few operations.
  expect(valuesOf(trainer)[0]).toBeCloseTo(1 - 0.9 ** 3, 14);
});

test("what lies in several leaves is mixed whole and in pieces, alike for float32 and on every backend", () => {
  const count = 70_000; // more than two pieces
  const random = mulberry32(1);
  const draw = (length: number) => Float32Array.from({ length }, () => random.normal());
  const [start, mine, theirs, others] = [draw(count), draw(count), draw(count), draw(count)];
  const pulls = [
    { share: 0.25, mine, theirs },
    { share: 0.125, mine, theirs: others },
    { share: 0.5, mine: start, theirs: others },
  ];
  const held = [
    { share: 0.25, mine: start, theirs, isHeld: true },
    { share: 0.125, mine: start, theirs: others, isHeld: true },
  ];
  const fromStart = start.map((x, i) => {
    const pulled = (share: number, to: Float32Array) =>
      Math.fround(share * Math.fround(to[i]! - x));
    return Math.fround(x + Math.fround(pulled(0.25, theirs) + pulled(0.125, others)));
  });
  const expected = start.map((x, i) => {
    const pulled = (share: number, to: Float32Array) =>
      Math.fround(share * Math.fround(to[i]! - mine[i]!));
    const twice = Math.fround(x + Math.fround(pulled(0.25, theirs) + pulled(0.125, others)));
    return Math.fround(twice + Math.fround(0.5 * Math.fround(others[i]! - start[i]!)));
  });
  for (const backend of ["wasm", "js"] as const) {
    for (const split of [count, 1, 32_768, 40_001]) {
      const x = start.slice();
      const parts = [x.subarray(0, split), x.subarray(split)];
      createMixer(count, "float32", backend)(parts, pulls, 0);
      expect(x).toEqual(expected);
      const y = start.slice();
      createMixer(count, "float32", backend)([y.subarray(0, split), y.subarray(split)], held, 0);
      expect(y).toEqual(fromStart);
    }
  }
});

test("an epoch begins with ũ at v̂, so that their means are equal whoever the peers are", async () => {
  const trainer = trainerOf(damsgrad({ eps: 0.25 }));
  void trainer.prepare();
  await trainer.advance();
  trainer.mix([{ share: 0.5, mine: new Float64Array(6), theirs: new Float64Array(6).fill(2) }]);
  const { optimizer } = trainer;
  const arrays = (key: string) => Object.values(optimizer.views(key)).map(({ data }) => [...data]);
  expect(arrays("utilde")).not.toEqual(arrays("vhat"));
  const before = arrays("vhat");
  trainer.beginEpoch();
  expect(arrays("utilde")).toEqual(before);
  expect(arrays("vhat")).toEqual(before);
  const plain = trainerOf(dpsgd());
  plain.beginEpoch();
  expect([...valuesOf(plain)]).toEqual([0, 3, -1]);
});
