import { expect, test } from "vitest";
import { createKeeper } from "./stateKeeper.ts";

const state = (value: number) => ({ mean: { shape: [1], data: Float32Array.of(value) } });

test("each trial finds its state as it left it", () => {
  const keeper = createKeeper(state(0));
  const [first, second] = [keeper.claim(state(1)), keeper.claim(state(2))];
  const live = keeper.live["mean"]!.data;
  first();
  expect(live[0]).toBe(1);
  live[0] = 10;
  first();
  expect(live[0]).toBe(10);
  second();
  expect(live[0]).toBe(2);
  live[0] = 20;
  first();
  expect(live[0]).toBe(10);
  second();
  expect(live[0]).toBe(20);
});
