import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { GradientBenchResult } from "../bench/gradient/result.ts";
import type { StepResult } from "../bench/step/result.ts";
import { parseSize } from "../bench/step/sizes.ts";
import { type BenchWorld, benchCommand } from "./benchCommand.ts";
import { createBenchProgress } from "./benchProgress.ts";
import { UsageError } from "./terminal.ts";

const folder = mkdtempSync(join(tmpdir(), "adastra-bench-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = {
  sizes: [parseSize("test", "64"), parseSize("test", "65")],
  rounds: 2,
  optimizers: ["adam"],
  peers: ["plain"],
} as const;

function createWorld(interruptAfter = Number.POSITIVE_INFINITY) {
  const printed = { out: "", err: "" };
  let interrupt: (() => void) | undefined;
  let readings = 0;
  const world: BenchWorld = {
    terminal: {
      out: (text) => {
        printed.out += text;
      },
      err: (text) => {
        printed.err += text;
      },
      isTty: false,
    },
    clock: {
      now: () => {
        readings += 1;
        if (readings === interruptAfter) {
          interrupt?.();
        }
        return performance.now();
      },
    },
    now: () => new Date("2026-01-02T03:04:05Z"),
    onInterrupt: (handler) => {
      interrupt = handler;
      return () => {
        interrupt = undefined;
      };
    },
    python: undefined,
  };
  return { world, printed, released: () => interrupt === undefined };
}

describe("adastra bench step", () => {
  test("prints a table, with progress on standard error", async () => {
    const { world, printed, released } = createWorld();
    expect(await benchCommand("step", options, world)).toBe(0);
    expect(printed.out).toContain("64: 64 parameters, one tensor");
    expect(printed.out).toContain("bytes alone of Adam");
    expect(printed.out).toContain("date: 2026-01-02");
    expect(printed.err).toContain("0 %, 64: preparing, starting");
    expect(released()).toBe(true);
  });

  test("prints JSON, and writes the same to a file", async () => {
    const { world, printed } = createWorld();
    const out = join(folder, "step.json");
    expect(await benchCommand("step", { ...options, json: true, out }, world)).toBe(0);
    const result = JSON.parse(printed.out) as StepResult;
    expect(result.sizes.map(({ name }) => name)).toEqual(["64", "65"]);
    expect(readFileSync(out, "utf8")).toBe(printed.out);
    expect(printed.err).toContain(`wrote ${out}`);
  });

  test("Ctrl-C prints what is finished, and the exit code says that it was stopped", async () => {
    const { world, printed } = createWorld(100);
    expect(await benchCommand("step", options, world)).toBe(130);
    expect(printed.err).toContain("stopping after this step");
    expect(printed.out).toContain("interrupted: the tables hold what was finished");
  });

  test("a file that cannot be written costs the file: the table is printed, the exit code is 1", async () => {
    const { world, printed } = createWorld();
    const writeFile = () => {
      throw Object.assign(new Error("read-only"), { code: "EROFS" });
    };
    const out = join(folder, "no.json");
    expect(await benchCommand("step", { ...options, out }, { ...world, writeFile })).toBe(1);
    expect(printed.out).toContain("targets, by medians");
    expect(printed.err).toContain(
      `bench: "${out}" must be writable, got EROFS; pass another --out`,
    );
  });

  test.each([
    ["speed", {}, 'bench: question must be one of step, gradient, swarm, got "speed"'],
    [
      "gradient",
      { sizes: options.sizes },
      "bench: gradient must do without --sizes, got it; leave it out",
    ],
    ["step", { threads: [2] }, "bench: step must do without --threads, got it; leave it out"],
    [
      "gradient",
      { peers: ["plain"] },
      'bench: --peers of gradient must be among torch, jax-js, tfjs, got "plain"',
    ],
    [
      "step",
      { out: join(folder, "none", "step.json") },
      `bench: --out must be a file in a folder that exists, got "${join(folder, "none", "step.json")}"; make the folder first`,
    ],
    [
      "step",
      { out: folder },
      `bench: --out must be a file in a folder that exists, got "${folder}"; make the folder first`,
    ],
  ])("%s %j is refused before anything runs", async (question, wrong, message) => {
    const { world, printed } = createWorld();
    const base = question === "gradient" ? {} : options;
    const failure = benchCommand(question, { ...base, ...wrong }, world);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(UsageError);
    expect(printed.out).toBe("");
  });
});

test("where there is no terminal a line comes every five seconds, with the time left", () => {
  let now = 1000;
  let printed = "";
  const terminal = {
    out: () => undefined,
    err: (text: string) => {
      printed += text;
    },
    isTty: false,
  };
  const progress = createBenchProgress(terminal, { now: () => now });
  progress.update(0, "1k: preparing");
  now += 4000;
  progress.update(0.1, "1k: warming up");
  now += 6000;
  progress.update(0.25, "1k: round 3 of 31");
  progress.stop();
  expect(printed).toBe("0 %, 1k: preparing, starting\n25 %, 1k: round 3 of 31, about 30 s left\n");
});

describe("adastra bench gradient", () => {
  test("prints JSON of the models and threads asked for", async () => {
    const { world, printed } = createWorld();
    const asked = { models: ["mlp"], threads: [1], peers: [], rounds: 1, json: true } as const;
    expect(await benchCommand("gradient", asked, world)).toBe(0);
    const result = JSON.parse(printed.out) as GradientBenchResult;
    expect(result.models.map(({ name, threads }) => [name, threads])).toEqual([["mlp", 1]]);
    expect(printed.err).toContain("0 %, mlp, 1 thread(s): compiling, starting");
  });
});
