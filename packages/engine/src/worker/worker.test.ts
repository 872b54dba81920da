import { Worker } from "node:worker_threads";
import { adam, compileOptimizer } from "@adastra/core";
import { beforeAll, describe, expect, test } from "vitest";
import { labels, normal } from "../../testing/batches.ts";
import { bundledWorker } from "../../testing/bundledWorker.ts";
import { type ServedData, train } from "../../testing/servedTraining.ts";
import type { EpochReport, FitResult, StepReport } from "../index.ts";
import { serveTraining, startTraining, type TrainingOptions } from "./index.ts";
import { fromSent, toSent } from "./messages.ts";
import { pack } from "./transfer.ts";

let script: URL;

beforeAll(async () => {
  script = await bundledWorker("packages/engine/testing/servedTrainingEntry.ts");
});

const rows = { x: normal(1, [22, 5]), y: labels(2, 22, 3) };

const start = (data: Partial<ServedData>, options: Partial<TrainingOptions<ServedData>> = {}) =>
  startTraining<ServedData, FitResult>(new Worker(script), {
    data: { rows, epochs: 3, ...data },
    ...options,
  });

/** Training on this thread. */
async function here(epochs: number) {
  const steps: StepReport[] = [];
  const result = await train({
    data: { rows, epochs },
    onStep: async (report) => {
      steps.push(report);
    },
    onEpoch: () => undefined,
    signal: new AbortController().signal,
  });
  return { steps, result };
}

describe("training in a worker", () => {
  test("gives what it gives here, and every report in order", async () => {
    const steps: StepReport[] = [];
    const epochs: EpochReport[] = [];
    const training = start(
      {},
      { onStep: (each) => steps.push(each), onEpoch: (each) => epochs.push(each) },
    );
    const result = await training.result;
    const expected = await here(3);
    expect(result).toEqual(expected.result);
    expect(steps).toEqual(expected.steps);
    expect(epochs).toEqual(result.history);
    for (const { data } of Object.values(result.params)) {
      expect(data.byteLength).toBe(data.buffer.byteLength); // moved, with nothing around it
    }
  });

  test("leaves the event loop free while a step blocks the worker", async () => {
    const ticks = new Int32Array(new SharedArrayBuffer(4));
    let turning = true;
    const tick = (): void => {
      Atomics.add(ticks, 0, 1);
      Atomics.notify(ticks, 0);
      if (turning) {
        setTimeout(tick, 0);
      }
    };
    tick();
    // A batch is not read before this thread's timers have fired ten times: if a step kept them from it, there would be no end.
    const { step } = await start({ ticks }).result;
    turning = false;
    expect(step).toBe(15);
    expect(Atomics.load(ticks, 0)).toBeGreaterThanOrEqual(10 * step);
  });

  test("stops after a step, and tells what it has", async () => {
    const training = start(
      { epochs: 1e6 },
      { onStep: ({ step }) => step === 4 && training.stop() },
    );
    const result = await training.result;
    expect(result.status).toBe("aborted");
    expect(result.step).toBeGreaterThanOrEqual(4);
  });

  test("pauses between steps, and goes on with the same numbers", async () => {
    let last = 0;
    let paused: Promise<void> | undefined;
    const training = start(
      {},
      {
        onStep: ({ step }) => {
          last = step;
          if (step >= 3) {
            paused ??= training.pause();
          }
        },
      },
    );
    while (paused === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    await paused;
    const before = last;
    for (let turn = 0; turn < 50; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
    expect(last).toBe(before);
    await training.pause(); // it stands already
    training.resume();
    expect(await training.result).toEqual((await here(3)).result);
    await training.pause(); // nothing left to halt
  });

  test("a paused training can be stopped", async () => {
    const training = start({ epochs: 1e6 });
    await training.pause();
    training.stop();
    expect(await training.result).toMatchObject({ status: "aborted", step: 1 });
  });

  test("moves the data when asked, copies it otherwise", async () => {
    const copied = { x: normal(1, [22, 5]), y: labels(2, 22, 3) };
    await start({ rows: copied, epochs: 1 }).result;
    expect(copied.x.data).toHaveLength(110);
    await start({ rows: copied, epochs: 1 }, { transfer: true }).result;
    expect(copied.x.data).toHaveLength(0);
  });

  test("an error comes back with its text and fields", async () => {
    const training = start({ fails: "diverges" });
    await expect(training.result).rejects.toThrow(/^fit: loss must be finite at step 2, got NaN, /);
    await expect(training.result).rejects.toMatchObject({
      name: "DivergedError",
      code: "DIVERGED",
      step: 2,
      origin: { of: "loss", where: "operation" },
    });
  });

  test("a worker that dies, fails to load or sends no result is told in one sentence", async () => {
    await expect(start({ fails: "exits" }).result).rejects.toThrow(
      "startTraining: the worker must return a result, got exit code 3",
    );
    const worker = new Worker(new URL('data:text/javascript,throw new Error("no such model")'));
    await expect(startTraining(worker, { data: null }).result).rejects.toThrow(
      'startTraining: the worker must load and run, got "no such model"',
    );
    await expect(start({ fails: "returns a function" }).result).rejects.toThrow(
      "could not be cloned",
    );
    const training = start({ epochs: 1e6 });
    training.terminate();
    await expect(training.result).rejects.toThrow("startTraining: the worker was terminated");
  });

  test("serving needs a worker", () => {
    // The tests may run in a thread of their own, which has an owner.
    const { process } = globalThis;
    Object.defineProperty(globalThis, "process", {
      configurable: true,
      value: { getBuiltinModule: () => ({ parentPort: null }) },
    });
    try {
      expect(() => serveTraining(() => undefined)).toThrow(
        "serveTraining: must be called in a worker, got the main thread; start its module with new Worker(...)",
      );
    } finally {
      Object.defineProperty(globalThis, "process", { configurable: true, value: process });
    }
  });
});

describe("a parcel", () => {
  test("moves arrays that fill their buffer, copies views, shares what is shared", () => {
    const { params } = compileOptimizer(adam(), {
      params: { w: { shape: [3], data: Float32Array.of(1, 2, 3) } },
      learningRate: 1,
    });
    const whole = Float32Array.of(1, 2);
    const part = new Float64Array(4).subarray(1, 3);
    const shared = new Int32Array(new SharedArrayBuffer(8));
    const memory = new Float32Array(new WebAssembly.Memory({ initial: 1 }).buffer);
    const sent = {
      whole,
      again: whole,
      list: [part, { params, memory }],
      shared,
      text: "a",
      none: null,
    };
    const { value, buffers } = pack(sent);
    expect(value).toEqual(sent);
    const received = structuredClone(value, { transfer: buffers }) as typeof sent;
    expect(received.again).toEqual(Float32Array.of(1, 2));
    expect(whole).toHaveLength(0);
    expect(part).toHaveLength(2);
    expect(params["w"]?.data).toHaveLength(3);
    expect(received.shared.buffer).toBeInstanceOf(SharedArrayBuffer);
    // Four arrays: one twice, the shared one stays.
    expect(buffers).toHaveLength(4);
  });

  test("errors keep what can be sent", () => {
    const error = Object.assign(new RangeError("too far"), { code: "FAR", look: () => 1, at: [2] });
    const back = fromSent(structuredClone(toSent(error)));
    expect(back).toMatchObject({ name: "RangeError", message: "too far", code: "FAR", at: [2] });
    expect(back.stack).toBe(error.stack);
    expect("look" in back).toBe(false);
    expect(fromSent(toSent("just text")).message).toBe("just text");
  });
});
