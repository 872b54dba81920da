import type { Leaves } from "@adastra/core";
import { expect, test } from "vitest";
import { swarmProblems } from "./problems.ts";

test("a peer's batches are a function of the step, over epochs, wherever it was before", async () => {
  const problem = swarmProblems.find(({ name }) => name === "mnist-softmax");
  const peers = 200; // 300 examples each: an epoch is a few steps
  const opened = await problem?.open();
  const task = opened?.start({ seed: 1, phase: "seed", peers, skew: { kind: "none" } });
  const { params } = task as { readonly params: Leaves };
  const gradients: Leaves = Object.fromEntries(
    Object.entries(params).map(([path, { shape, data }]) => [
      path,
      { shape, data: new Float32Array(data.length) },
    ]),
  );
  const lossAt = async (peer: number, step: number) =>
    task?.gradient(peer, params, gradients, step);
  const steps = 3 * (problem?.stepsPerEpoch(peers) ?? 0) + 1;
  const losses: unknown[] = [];
  for (let step = 0; step < steps; step++) {
    losses.push(await lossAt(3, step));
  }
  expect(new Set(losses).size).toBe(steps);
  for (const step of [0, steps - 1, 2, 2, steps - 2]) {
    expect(await lossAt(3, step)).toBe(losses[step]);
  }
  expect(losses).not.toContain(await lossAt(4, 0));
});
