import { accumulate, adam } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { normal } from "../../testing/batches.ts";
import {
  at,
  common,
  data,
  descend,
  loss,
  ROWS,
  type Slope,
  slope,
  started,
  valueOf,
} from "../../testing/fitting.ts";
import { DivergedError, fit, type LossFunction } from "../index.ts";

describe("numbers that are not finite", () => {
  async function divergence(promise: Promise<unknown>): Promise<DivergedError> {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(DivergedError);
    return error as DivergedError;
  }

  test("in the data are named by their row; everything is as before that step", async () => {
    const x = normal(1, [ROWS, 5]);
    x.data[5 * 17 + 3] = Number.NaN;
    const states: string[] = [];
    const { optimizer, state } = started(accumulate(2, adam()));
    const everything = () => JSON.stringify([optimizer.save(), state]);
    states.push(everything());
    const error = await divergence(
      fit(loss, {
        ...common,
        data: { ...data, x },
        optimizer,
        state,
        // The second batch of the second step.
        shuffle: false,
        batchSize: 5,
        onStep: () => states.push(everything()),
      }),
    );
    expect(error.message).toBe(
      'fit: loss must be finite at step 2, got NaN, since batch "x" holds NaN at index 13 (row 17 of the data); check the data',
    );
    expect(error).toMatchObject({ step: 2, code: "DIVERGED", origin: { where: "batch", row: 17 } });
    expect(states).toHaveLength(2);
    expect(everything()).toBe(states[1]);
  });

  test("are traced to the operation and the parameter before it", async () => {
    const optimizer = at(-0.5);
    const logarithm: LossFunction<Slope> = ({ w }, { x }) => x.mul(w!).log().mean().exp();
    const error = await divergence(
      fit(logarithm, { ...slope, optimizer, epochs: 1, shuffle: false }),
    );
    expect(error.message).toBe(
      'fit: loss must be finite at step 1, got NaN, first as NaN at index 0 of "log" [2, 1] after "w"; lower the learning rate or clip gradients',
    );
    expect([valueOf(optimizer), optimizer.count]).toEqual([-0.5, 0]);
  });

  test("are found in a gradient whose loss is finite, whatever the optimizer was told to do", async () => {
    const optimizer = at(0);
    const root: LossFunction<Slope> = ({ w }) => w!.sqrt();
    const error = await divergence(fit(root, { ...slope, optimizer, epochs: 1 }));
    expect(error.message).toMatch(
      /^fit: gradient of leaf "w" must be finite at step 1, got NaN or infinity, first as Infinity at index 0 of "reciprocal" \[\] after "w"; lower the learning rate or clip gradients$/,
    );
    expect(error.origin?.of).toBe("w");
    expect(error.cause).toMatchObject({ name: "NonFiniteError" });
    expect([valueOf(optimizer), optimizer.count]).toEqual([0, 0]);
  });

  test("that an earlier step made are called the parameter's", async () => {
    const optimizer = at(1);
    optimizer.params["w"]?.data.fill(Number.POSITIVE_INFINITY);
    const error = await divergence(fit(descend, { ...slope, optimizer, epochs: 1 }));
    expect(error.message).toContain(
      'got Infinity, since parameter "w" holds Infinity at index 0; lower',
    );
  });
});
