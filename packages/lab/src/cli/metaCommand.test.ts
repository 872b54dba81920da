import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compileOptimizer } from "@adastra/core";
import { decodeCheckpoint } from "@adastra/core/checkpoint";
import { arubaSgd } from "@adastra/meta";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { metaCommand } from "./metaCommand.ts";
import type { MetaWorld } from "./metaWorld.ts";
import type { CommandOptions } from "./options.ts";
import { UsageError } from "./terminal.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "adastra-meta-"));
});
afterEach(() => rmSync(root, { recursive: true }));

async function run(
  words: readonly string[],
  options: CommandOptions["meta"],
  onInterrupt: MetaWorld["onInterrupt"] = () => () => undefined,
) {
  let printed = "";
  let said = "";
  const exitCode = await metaCommand(words, options, {
    terminal: {
      out: (text) => {
        printed += text;
      },
      err: (text) => {
        said += text;
      },
      isTty: false,
    },
    clock: { now: () => 0 },
    now: () => new Date(0),
    randomBytes: (count) => new Uint8Array(count).fill(count),
    onInterrupt,
  });
  return { exitCode, printed, said };
}

/** Presses Ctrl-C before the first round ends. */
const interrupted: MetaWorld["onInterrupt"] = (handler) => {
  handler();
  return () => undefined;
};

const filesOf = (folder: string): [string, Buffer][] =>
  readdirSync(folder).map((name) => [name, readFileSync(join(folder, name))]);

describe("adastra meta", () => {
  test.each(["sgd", "aruba"] as const)(
    "clients of %s in processes of their own leave the bytes of those in this one",
    async (method) => {
      const options = { method, rounds: 3, seed: 2 } as const;
      const [here, there] = [join(root, "here"), join(root, "there")];
      expect((await run(["train", "sinusoid"], { ...options, out: here })).exitCode).toBe(0);
      const elsewhere = await run(["train", "sinusoid"], { ...options, out: there, workers: 2 });
      expect(elsewhere.exitCode).toBe(0);
      const [a, b] = [here, there].map((folder) => filesOf(join(folder, "checkpoints")));
      expect(b).toEqual(a);
    },
  );

  test("a run stopped by Ctrl-C and resumed leaves the bytes of an unbroken one", async () => {
    const options = { method: "aruba", rounds: 6, seed: 3 } as const;
    const [whole, broken] = [join(root, "whole"), join(root, "broken")];
    expect((await run(["train", "sinusoid"], { ...options, out: whole })).exitCode).toBe(0);
    const stopped = await run(
      ["train", "sinusoid"],
      { ...options, out: broken, json: true },
      interrupted,
    );
    expect(stopped.exitCode).toBe(130);
    expect(JSON.parse(stopped.printed)).toMatchObject({ interrupted: true, rounds: 6 });
    const resumed = await run(["train", "sinusoid"], { ...options, out: broken, resume: true });
    expect(resumed.exitCode).toBe(0);
    const [a, b] = [whole, broken].map((folder) => filesOf(join(folder, "checkpoints")).at(-1));
    expect(b).toEqual(a);
    expect(readFileSync(join(broken, "preset.safetensors"))).toEqual(
      readFileSync(join(whole, "preset.safetensors")),
    );
  });

  test("judges a run on tasks of its own, the same each time", async () => {
    const out = join(root, "run");
    await run(["train", "sinusoid"], { rounds: 3, out });
    const options = { tasks: 4, json: true } as const;
    const [one, two] = [
      await run(["evaluate", out], options),
      await run(["evaluate", out], options),
    ];
    expect(two.printed).toBe(one.printed);
    const { result, metric, round } = JSON.parse(one.printed);
    expect([metric.name, round]).toEqual(["mean squared error", 3]);
    expect(result.low <= result.mean && result.mean <= result.high).toBe(true);
    const plusPlus = await run(["evaluate", out], { ...options, coef: 100 });
    expect(JSON.parse(plusPlus.printed).result.mean).not.toBe(result.mean);
  });

  test("writes a preset that core loads", async () => {
    const out = join(root, "run");
    await run(["train", "sinusoid"], { rounds: 2, out });
    const { optimizer } = decodeCheckpoint(readFileSync(join(out, "preset.safetensors")));
    const params = Object.fromEntries(
      Object.entries(optimizer.leaves).map(([path, { shape }]) => [
        path,
        { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) },
      ]),
    );
    const compiled = compileOptimizer(arubaSgd(), { params, learningRate: 1 });
    compiled.load(optimizer);
    for (const [path, { data }] of Object.entries(compiled.params)) {
      expect(data).toEqual(optimizer.leaves[path]?.params);
    }
  });

  test("refuses a folder of another run, and a broken one", async () => {
    const out = join(root, "run");
    const options = { rounds: 1, out };
    await run(["train", "sinusoid"], options);
    await expect(run(["train", "sinusoid"], options)).rejects.toThrow(
      "meta train: --out must be a new folder, or with --resume that of the same run, got that of sinusoid, aruba at",
    );
    await expect(
      run(["train", "sinusoid"], { ...options, rounds: 2, resume: true }),
    ).rejects.toThrow("pass its options");
    writeFileSync(join(out, "run.json"), "{");
    await expect(run(["evaluate", out], {})).rejects.toThrow(/run\.json" must describe a run/);
    const empty = join(root, "empty");
    mkdirSync(empty);
    await expect(run(["evaluate", empty], {})).rejects.toThrow(
      `meta evaluate: must be given the folder of a run, got "${empty}", which holds no run.json`,
    );
  });

  test.each([
    [
      ["learn", "sinusoid"],
      {},
      'meta: action must be one of train, evaluate, invite, serve, join, got "learn"',
    ],
    [["train"], {}, "meta train: must be given a problem and nothing else, got 0 words"],
    [["train", "sinusiod"], {}, 'got "sinusiod"; did you mean "sinusoid"?'],
    [["train", "sinusoid"], { coef: 1 }, "meta train: takes no --coef"],
    [["evaluate", "x"], { rounds: 1 }, "meta evaluate: takes no --rounds"],
    [["train", "sinusoid"], { resume: true }, "meta train: --resume needs --out"],
    [["train", "mnist-skew"], { method: "fomaml" }, 'for mnist-skew, got "fomaml"'],
  ] as const)("%j with %j is refused", async (words, options, message) => {
    const attempt = run(words, options);
    await expect(attempt).rejects.toThrow(UsageError);
    await expect(attempt).rejects.toThrow(message);
  });
});
