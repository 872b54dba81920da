import { afterEach, describe, expect, test } from "vitest";
import { onlineSequential } from "../problems/online.ts";
import type { Problem } from "../problems/problem.ts";
import type { TrialEvent, TrialSpec } from "../protocol.ts";
import { createPool, type TrialPool } from "./pool.ts";

/** A thread that speaks the pool's protocol: the optimizer's name says what becomes of the trial. */
const script = new URL(
  `data:text/javascript,${encodeURIComponent(`
    import { parentPort, threadId, workerData } from "node:worker_threads";
    const flag = new Int32Array(workerData.stop);
    const point = { step: 1, epoch: 0.5, seconds: 0.25, trainLoss: 1 };
    parentPort.on("message", async (spec) => {
      parentPort.postMessage({ kind: "started", spec, totalSteps: 2, optimizerBackend: "wasm" });
      parentPort.postMessage({ kind: "point", id: spec.id, point });
      if (spec.optimizer === "crash") throw new Error("out of luck");
      if (spec.optimizer === "exit") process.exit(7);
      if (spec.optimizer === "throw") return parentPort.postMessage({ kind: "failed", reason: "no such thing" });
      if (spec.optimizer === "wait") while (Atomics.load(flag, 0) === 0) await new Promise((r) => setTimeout(r, 1));
      const status = spec.optimizer === "wait" ? "interrupted" : "finished";
      parentPort.postMessage({ kind: "finished", result: { spec, status, points: [point], lastMetric: threadId,
        bestMetric: null, trainSeconds: 0, evaluateSeconds: 0 } });
    });
  `)}`,
);

const problem = onlineSequential as Problem;
const spec = (optimizer: string, id = optimizer): TrialSpec => ({
  id,
  problem: problem.info.name,
  optimizer,
  learningRate: 1,
  seed: 1,
  epochs: 1,
  phase: "seed",
});

let pool: TrialPool;
afterEach(() => pool.close());

describe("a pool of threads", () => {
  test("runs every trial and passes on its events", async () => {
    pool = createPool({ problem, workers: 2, script });
    const events: TrialEvent[] = [];
    const results = await Promise.all(
      ["a", "b", "c", "d", "e"].map((id) => pool.run(spec("fine", id), (e) => events.push(e))),
    );
    expect(results.map((result) => [result.spec.id, result.status])).toEqual(
      ["a", "b", "c", "d", "e"].map((id) => [id, "finished"]),
    );
    expect(new Set(results.map(({ lastMetric }) => lastMetric)).size).toBe(2); // threads used
    expect(events.filter(({ kind }) => kind === "point").length).toBe(5);
    expect(events.filter(({ kind }) => kind === "finished").length).toBe(5);
  });

  test("a crashed thread fails its trial only, keeps its points and is replaced", async () => {
    pool = createPool({ problem, workers: 1, script });
    const results = await Promise.all(
      ["crash", "fine", "exit", "throw", "fine"].map((name) =>
        pool.run(spec(name), () => undefined),
      ),
    );
    expect(results.map(({ status, reason }) => [status, reason])).toEqual([
      ["failed", 'worker of "crash" ended: out of luck'],
      ["finished", undefined],
      ["failed", 'worker of "exit" ended: exit code 7'],
      ["failed", "no such thing"],
      ["finished", undefined],
    ]);
    expect(results[0]?.points.length).toBe(1);
  });

  test("an interrupt stops what runs and what waits", async () => {
    pool = createPool({ problem, workers: 1, script });
    const started = new Promise<void>((resolve) => {
      void pool.run(spec("wait"), ({ kind }) => kind === "point" && resolve());
    });
    const waiting = pool.run(spec("fine"), () => undefined);
    await started;
    pool.interrupt();
    expect((await waiting).status).toBe("interrupted");
    expect((await pool.run(spec("fine"), () => undefined)).status).toBe("interrupted");
  });
});
