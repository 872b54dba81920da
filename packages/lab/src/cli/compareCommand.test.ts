import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Comparison, TrialResult, TrialSpec } from "../protocol.ts";
import { createInlinePool } from "../runner/inline.ts";
import { type TrialPool, unfinished } from "../runner/pool.ts";
import { type CompareWorld, compareCommand } from "./compareCommand.ts";
import { UsageError } from "./terminal.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "adastra-compare-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const clock = { now: () => performance.now() };

/** A world that remembers what was printed, and whose Ctrl-C is `interrupt`. */
function createWorld(overrides: Partial<CompareWorld> = {}) {
  const printed = { out: "", err: "" };
  const handlers = new Set<() => void>();
  const world: CompareWorld = {
    terminal: {
      out: (text) => {
        printed.out += text;
      },
      err: (text) => {
        printed.err += text;
      },
      isTty: false,
    },
    clock,
    now: () => new Date(0),
    environment: { adastra: "0", node: "20", platform: "test", cpu: "test", cores: 2 },
    createPool: (problem) => createInlinePool(problem, clock),
    onInterrupt: (handler) => {
      handlers.add(handler);
      return () => handlers.delete(handler);
    },
    ...overrides,
  };
  const interrupt = () => {
    for (const handler of handlers) {
      handler();
    }
  };
  return { world, printed, interrupt, handlers };
}

/** Answers every trial at once with a metric of 90. */
function instantPool(before: (spec: TrialSpec) => void = () => undefined): TrialPool {
  let stopped = false;
  return {
    run: (spec, onEvent) => {
      before(spec);
      const point = { step: 1, epoch: spec.epochs, seconds: 1, trainLoss: 1, metric: 90 };
      const result: TrialResult = stopped
        ? unfinished({ spec, points: [] }, "interrupted")
        : {
            spec,
            status: "finished",
            points: [point],
            lastMetric: 90,
            bestMetric: 90,
            trainSeconds: 1,
            evaluateSeconds: 1,
          };
      onEvent({ kind: "finished", result });
      return Promise.resolve(result);
    },
    interrupt: () => {
      stopped = true;
    },
    close: () => Promise.resolve(),
  };
}

const small = { optimizers: ["adam", "adashift"], trials: 1, seeds: 2, epochs: 1 };

describe("adastra compare", () => {
  test("compares on the online counterexample from end to end", async () => {
    const { world, printed, handlers } = createWorld();
    const { exitCode, comparison } = await compareCommand(
      "online-sequential",
      { ...small, out: folder },
      world,
    );
    expect(exitCode).toBe(0);
    expect(handlers.size).toBe(0);
    expect(readdirSync(folder).toSorted()).toEqual(["comparison.json", "report.html"]);
    expect(JSON.parse(readFileSync(join(folder, "comparison.json"), "utf8"))).toEqual(comparison);
    expect(printed.out).toContain(
      "Sequential counterexample on [-1, 1]: average regret after 1 epoch",
    );
    expect(printed.err).toContain("first curve point after");
    expect(comparison.trialsDone).toBe(6);
  });

  test("trains softmax regression on MNIST with an early first point, seeds paired", async () => {
    const { world } = createWorld();
    const { comparison, exitCode } = await compareCommand(
      "mnist-softmax",
      { optimizers: ["adashift", "momentum"], trials: 1, seeds: 1, epochs: 1, out: folder },
      world,
    );
    expect(exitCode).toBe(0);
    for (const { runs, summary } of comparison.entries) {
      expect(runs[0]?.points[0]?.step).toBe(25);
      // A linear model reaches about 92 % in an epoch or two whatever the optimizer; below 90 % something is broken.
      expect(summary?.lastMetric.mean).toBeGreaterThan(90);
    }
    expect(comparison.problem.data.length).toBe(4);
    expect(comparison.environment.optimizerBackend).toBe("wasm");
  }, 60_000);

  test("--json prints the comparison alone on standard output", async () => {
    const { world, printed } = createWorld({ createPool: () => instantPool() });
    const { comparison } = await compareCommand(
      "mnist-mlp",
      { ...small, out: folder, json: true },
      world,
    );
    expect(JSON.parse(printed.out) as Comparison).toEqual(comparison);
  });

  test("Ctrl-C shows and writes the finished trials and exits with 130", async () => {
    let asked = 0;
    const { world, printed, interrupt } = createWorld({
      createPool: () =>
        instantPool(() => {
          asked += 1;
          if (asked === 4) {
            interrupt();
          }
        }),
    });
    const { exitCode } = await compareCommand("mnist-mlp", { ...small, out: folder }, world);
    expect(exitCode).toBe(130);
    expect(printed.out).toContain("3 of 6 trials");
    expect(printed.out).toContain("interrupted: the table holds what was finished");
    expect(printed.out).toContain("tuning only: 90.00 % on held-out data, best of 1");
    const kept = JSON.parse(readFileSync(join(folder, "comparison.json"), "utf8")) as Comparison;
    expect(kept.interrupted).toBe(true);
    expect(kept.entries.flatMap(({ tuning, runs }) => [...tuning, ...runs]).length).toBe(3);
  });

  test("a full disk costs the files, not the table", async () => {
    const { world, printed } = createWorld({
      createPool: () => instantPool(),
      writeFile: () => {
        throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      },
    });
    const { exitCode } = await compareCommand("mnist-mlp", { ...small, out: folder }, world);
    expect(exitCode).toBe(1);
    expect(printed.out).toContain("adashift");
    expect(printed.err).toMatch(
      /^compare: writing ".*comparison\.json" needs \d+ kB of disk, got a full disk; free some space and run again, or pass --out on another disk$/m,
    );
  });

  test("a failed trial makes the exit code 1 and is named", async () => {
    const broken: TrialPool = {
      ...instantPool(),
      run: (spec, onEvent) => {
        const result = unfinished({ spec, points: [] }, "failed", "no engine");
        onEvent({ kind: "finished", result });
        return Promise.resolve(result);
      },
    };
    const { world, printed } = createWorld({ createPool: () => broken });
    const { exitCode } = await compareCommand("mnist-mlp", { ...small, out: folder }, world);
    expect(exitCode).toBe(1);
    expect(printed.out).toContain("failed: no engine (rate");
  });

  test.each([
    [
      "mnist-mpl",
      small,
      'compare: problem must be one of mnist-softmax, mnist-mlp, mnist-lenet, fashion-resnet, colour-mnist-densenet, brown-lstm, brown-gpt, online-sequential, online-stochastic, got "mnist-mpl"; did you mean "mnist-mlp"?',
    ],
    [
      "mnist-mlp",
      { optimizers: ["adam", "adahsift"] },
      /got "adahsift"; did you mean "adashift"\?$/,
    ],
    [
      "mnist-mlp",
      { optimizers: ["adam", "adam"] },
      'compare: --optimizers must be different, got "adam" twice',
    ],
  ])("%s with %o is refused before anything is made", async (problem, options, message) => {
    const { world } = createWorld();
    const failure = compareCommand(problem, { ...options, out: join(folder, "made") }, world);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(UsageError);
    expect(readdirSync(folder)).toEqual([]);
  });

  test("a folder that cannot be made is said before training", async () => {
    const file = join(folder, "file");
    writeFileSync(file, "");
    const { world } = createWorld();
    await expect(
      compareCommand("mnist-mlp", { ...small, out: join(file, "below") }, world),
    ).rejects.toThrow(
      `compare: --out must be a folder that can be made, got "${join(file, "below")}" (ENOTDIR); pass another`,
    );
  });
});
