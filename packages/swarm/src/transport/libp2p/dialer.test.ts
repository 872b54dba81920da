import { expect, it } from "vitest";
import { VirtualTime } from "../../simulator/virtualTime.ts";
import { Dialer } from "./dialer.ts";

it("a dialer waits twice as long after each dial that brings nothing, and little once it heard", async () => {
  const time = new VirtualTime();
  const dialled: number[] = [];
  const dialer = new Dialer({
    timers: time,
    timeoutMs: 1000,
    minMs: 100,
    maxMs: 500,
    dial: () => {
      dialled.push(time.now());
      return Promise.reject(new Error("away"));
    },
  });
  const run = async (count: number): Promise<void> => {
    while (dialled.length < count) {
      const before = dialled.length;
      await time.run(() => dialled.length > before);
      // A dial's failure is known a few turns later.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  dialer.dial();
  await new Promise((resolve) => setImmediate(resolve));
  await run(6);
  expect(dialled).toEqual([0, 100, 300, 700, 1200, 1700]);
  dialer.heard();
  await run(8);
  // The wait that was running, and then from the first again.
  expect(dialled.slice(6)).toEqual([2200, 2300]);
  dialer.stop();
  await time.run();
  expect(dialled).toHaveLength(8);
});

it("a dial that takes too long is given up, and dialled anew", async () => {
  const time = new VirtualTime();
  const dialled: number[] = [];
  const dialer = new Dialer({
    timers: time,
    timeoutMs: 1000,
    minMs: 100,
    maxMs: 500,
    dial: (signal) => {
      dialled.push(time.now());
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("too long")));
      });
    },
  });
  dialer.dial();
  dialer.dial();
  await time.run();
  await new Promise((resolve) => setImmediate(resolve));
  await time.run(() => dialled.length === 2);
  dialer.stop();
  expect(dialled).toEqual([0, 1100]);
});
