import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { replayFiles } from "./command.ts";
import { replayCase } from "./replay.ts";
import { parseCases, parseProblems } from "./schema.ts";

const golden = (name: string): string =>
  fileURLToPath(new URL(`../../../../fixtures/golden/${name}`, import.meta.url));

/** Every trace file that the shipped methods cover in full, with its number of cases. */
const COMPLETE = [
  ["sgd.json", 10],
  ["adashift.json", 35],
  ["adashift_community.json", 9],
  ["adai.json", 18],
  ["fastadabelief.json", 11],
  ["cprop.json", 36],
] as const;

const silent = (): void => {};

describe.each(["evaluate", "js", "wasm"] as const)("golden traces on the %s backend", (backend) => {
  it.each(COMPLETE)("%s: all %i cases within their tolerance in float64", async (name, cases) => {
    const summary = await replayFiles({ files: [golden(name)], backend, dtype: "float64" }, silent);
    expect(failures(summary.results)).toEqual([]);
    expect(summary.passed).toBe(cases);
    expect(summary.unsupported).toBe(0);
  });

  it.each(COMPLETE)("%s: all %i cases within 1e-4 in float32", async (name, cases) => {
    const summary = await replayFiles({ files: [golden(name)], backend, dtype: "float32" }, silent);
    expect(failures(summary.results)).toEqual([]);
    expect(summary.passed).toBe(cases);
  });

  it.each([
    ["adaptive_torch.json", 8, 14],
    ["adaptive_optax.json", 8, 12],
  ])(
    "%s: %i cases of Adam, AdamW, AMSGrad and SGD pass, %i others are named as unsupported",
    async (name, passed, unsupported) => {
      const summary = await replayFiles(
        { files: [golden(name)], backend, dtype: "float64" },
        silent,
      );
      expect(failures(summary.results)).toEqual([]);
      expect([summary.passed, summary.unsupported]).toEqual([passed, unsupported]);
    },
  );
});

describe("replay", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "adastra-replay-"));
  });

  const write = async (name: string, value: unknown): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, typeof value === "string" ? value : JSON.stringify(value));
    return path;
  };

  it("fails a case whose recorded parameters are off by more than the tolerance", async () => {
    const problems = parseProblems(await readFile(golden("problems.json"), "utf8"), "problems");
    const [trace] = parseCases(await readFile(golden("sgd.json"), "utf8"), "sgd");
    if (trace?.params === undefined) {
      throw new TypeError("the first case of sgd.json must hold parameters");
    }
    const off = trace.params.map((step, t) =>
      step.map((row) => row.map((x) => (t === 3 ? x + 2e-10 : x))),
    );
    const result = replayCase({ ...trace, params: off }, problems, {
      backend: "js",
      dtype: "float64",
    });
    expect(result).toMatchObject({ status: "failed", step: 4 });
  });

  it("runs shapes, seeds and options that no shipped file holds", async () => {
    const problems = await write("own-problems.json", {
      schema: "optim-golden/1",
      problems: {
        odd: {
          kind: "fixed",
          shapes: [[], [2, 1, 3]],
          steps: 2,
          init: [[1], [0, 1, 2, 3, 4, 5]],
          grads: [
            [[1], [1, 1, 1, 1, 1, 1]],
            [[2], [0, 0, 0, 0, 0, 0]],
          ],
        },
      },
    });
    const file = await write("own.json", {
      schema: "optim-golden/1",
      dtype: "float64",
      cases: [
        {
          id: "mine",
          algorithm: "sgd",
          options: { lr: 0.5 },
          problem: "odd",
          params: [
            [[0.5], [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]],
            [[-0.5], [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]],
          ],
        },
      ],
    });
    const out = join(folder, "out.json");
    const lines: string[] = [];
    const summary = await replayFiles(
      { files: [file], problems, backend: "wasm", dtype: "float64", out },
      (line) => lines.push(line),
    );
    expect(lines.at(-1)).toBe("1 passed, 0 failed, 0 unsupported, largest difference 0.0e+0");
    expect(summary.failed).toBe(0);
    expect(JSON.parse(await readFile(out, "utf8"))).toEqual({
      cases: [
        {
          id: "mine",
          params: [
            [[0.5], [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]],
            [[-0.5], [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]],
          ],
        },
      ],
    });
  });

  it("names unsupported algorithms and options instead of passing them", async () => {
    const file = await write("unknown.json", {
      schema: "optim-golden/1",
      cases: [
        { id: "a", algorithm: "prodigy", options: { lr: 1 }, problem: "two_tensor", params: [] },
        {
          id: "b",
          algorithm: "sgd",
          options: { lr: 1, foreach: true },
          problem: "two_tensor",
          params: [],
        },
      ],
    });
    const lines: string[] = [];
    const summary = await replayFiles(
      { files: [file], problems: golden("problems.json"), backend: "js", dtype: "float64" },
      (line) => lines.push(line),
    );
    expect(summary.unsupported).toBe(2);
    expect(lines.join("\n")).toContain('algorithm "prodigy"');
    expect(lines.join("\n")).toContain('option foreach of "sgd"');
  });

  it.each([
    ["{", "must be JSON"],
    [{ schema: "other" }, '`schema` must be "optim-golden/1", got "other"'],
    [{ schema: "optim-golden/1" }, "`cases` must be a list, got nothing"],
    [
      { schema: "optim-golden/1", cases: [{ id: 1 }] },
      "case 0: `id` and `algorithm` must be texts, got 1",
    ],
    [
      { schema: "optim-golden/1", cases: [{ id: "x", algorithm: "sgd", params: [[["a"]]] }] },
      "case 0: `params` must be numbers by step, tensor and element",
    ],
  ])("refuses a broken file in one sentence: %j", async (content, message) => {
    const file = await write("broken.json", content);
    const replay = replayFiles(
      { files: [file], problems: golden("problems.json"), backend: "js", dtype: "float64" },
      silent,
    );
    await expect(replay).rejects.toThrow(message);
  });

  const one = (part: object): object => ({
    schema: "optim-golden/1",
    cases: [
      { id: "x", algorithm: "sgd", options: { lr: 0.1 }, problem: "two_tensor", ...part },
      { id: "fine", algorithm: "sgd", options: { lr: 0 }, problem: "two_tensor", params: null },
    ],
  });

  it.each([
    [{ problem: "nowhere" }, 'case "x" must name a known problem, got "nowhere"'],
    [{ algorithm: "adam", options: { lr: 1, beta1: 2 } }, "adam: `b1` must be in [0, 1), got 2"],
    [{ algorithm: "adashift", options: { lr: 1, phi: "median" } }, "`phi` must be one of"],
    [{ options: { lr: -1 } }, "learning rate"],
    [{ options: { lr: "x" } }, "option `lr` must be a number"],
    [{ params: [] }, 'case "x" must hold 30 steps, got 0'],
    [
      { params: Array.from({ length: 30 }, () => []) },
      "must hold 7, 12 numbers a tensor at step 1, got none",
    ],
    [{ params: Array.from({ length: 30 }, () => [[], []]) }, "got 0, 0"],
  ])(
    "fails a case that cannot be run as written, and runs the others: %j",
    async (part, reason) => {
      const file = await write("refused.json", one(part));
      const lines: string[] = [];
      const summary = await replayFiles(
        { files: [file], problems: golden("problems.json"), backend: "js", dtype: "float64" },
        (line) => lines.push(line),
      );
      expect([summary.failed, summary.computed]).toEqual([1, 1]);
      expect(lines[0]).toContain("refused.json");
      expect(lines[0]).toContain(reason);
    },
  );

  it.each([
    [{ options: { lr: 1, convention: "tf" } }, 'option convention: "tf"'],
    [
      { algorithm: "cprop", options: { base: "wrapper", inner: { type: "toString", lr: 1 } } },
      "toString",
    ],
    [
      {
        algorithm: "cprop",
        options: { base: "adam", inner: { type: "adam", lr: 1, amsgrad: "optax" } },
      },
      'option amsgrad: "optax"',
    ],
    [
      { algorithm: "cprop", options: { lr: 5, base: "sgd", inner: { type: "sgd", lr: 1 } } },
      "two rates",
    ],
    [
      {
        algorithm: "cprop",
        options: { base: "sgd", statsIncludeL2: true, inner: { type: "sgd", lr: 1 } },
      },
      "statsIncludeL2",
    ],
    [{ algorithm: "adam", options: { inner: { lr: 1 } } }, "without `lr`"],
  ])("names what would be ignored or mistaken as unsupported: %j", async (part, reason) => {
    const file = await write("unsupported.json", one(part));
    const lines: string[] = [];
    const summary = await replayFiles(
      { files: [file], problems: golden("problems.json"), backend: "js", dtype: "float64" },
      (line) => lines.push(line),
    );
    expect(summary.unsupported).toBe(1);
    expect(lines[0]).toContain(reason);
  });

  it("takes defaults that are spelled out", async () => {
    const options = { lr: 0.1, box: null, ball: null };
    const file = await write("defaults.json", one({ algorithm: "fastadabelief", options }));
    const command = { files: [file], problems: golden("problems.json"), backend: "js" } as const;
    const summary = await replayFiles({ ...command, dtype: "float64" }, silent);
    expect([summary.unsupported, summary.failed, summary.computed]).toEqual([0, 0, 2]);
  });

  it("lets a broken problem cost only the cases that use it", async () => {
    const problems = JSON.parse(await readFile(golden("problems.json"), "utf8")) as {
      problems: Record<string, unknown>;
    };
    problems.problems.odd = { kind: "quadratic" };
    const path = await write("odd-problems.json", problems);
    const file = await write("odd.json", one({ problem: "odd" }));
    const lines: string[] = [];
    const summary = await replayFiles(
      { files: [file], problems: path, backend: "js", dtype: "float64" },
      (line) => lines.push(line),
    );
    expect([summary.failed, summary.computed]).toEqual([1, 1]);
    expect(lines[0]).toContain('problem "odd"');
  });

  it("asks for a folder before it runs anything", async () => {
    const out = join(folder, "none", "out.json");
    const replay = replayFiles(
      { files: [golden("sgd.json")], backend: "js", dtype: "float64", out },
      silent,
    );
    await expect(replay).rejects.toThrow("`--out` must be a file in a folder that exists");
  });

  it("compares float32 parameters near zero against the size their tensor had", () => {
    const problem = {
      kind: "fixed",
      shapes: [[1]],
      steps: 1,
      init: [[0.3]],
      grads: [[[3]]],
    } as const;
    const trace = {
      id: "zero",
      algorithm: "sgd",
      options: { lr: 0.1 },
      problem: "p",
      tol: 0,
      params: [[[0]]],
    };
    const result = replayCase(trace, new Map([["p", problem]]), {
      backend: "js",
      dtype: "float32",
    });
    expect(result).toMatchObject({ status: "passed", tolerance: 1e-4 * 0.3 });
  });

  it("names a file that is not there", async () => {
    const replay = replayFiles({ files: ["none.json"], backend: "js", dtype: "float64" }, silent);
    await expect(replay).rejects.toThrow("none.json must be a readable file, got ENOENT");
  });
});

function failures(results: readonly { id: string; status: string }[]): string[] {
  return results.filter(({ status }) => status === "failed").map(({ id }) => id);
}
