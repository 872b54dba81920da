import { mkdirSync } from "node:fs";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { replayFiles } from "./command.ts";
import { type CaseResult, replayCase } from "./replay.ts";
import { parseCases, parseProblems, type TraceCase } from "./schema.ts";

const golden = (name: string): string =>
  fileURLToPath(new URL(`../../../../fixtures/golden/${name}`, import.meta.url));

/** Every trace file but that of methods over several tasks, with its number of cases. */
const COMPLETE = [
  ["sgd.json", 10],
  ["adaptive_torch.json", 22],
  ["adaptive_optax.json", 20],
  ["adaptive_other.json", 4],
  ["adashift.json", 35],
  ["adashift_community.json", 9],
  ["adai.json", 18],
  ["fastadabelief.json", 11],
  ["cprop.json", 36],
  ["extra_torch.json", 30],
  ["extra_optax.json", 45],
  ["extra_timm.json", 16],
  ["extra_transcribed.json", 21],
  ["decentralized.json", 16],
  ["aruba.json", 4],
] as const;

/**
 * A case whose own loop multiplies rounding: steps of 0.01 from parameters near 1 leave p₀ − p some 1e-5 of its bits, d is
 * estimated from it, and every later gradient follows d. In float32 5.2e-4 after 30 steps, where 3.6e-4 is 1e-4 of the tensor.
 */
const AMPLIFIED = "official/prodigy/rosenbrock2d";

const silent = (): void => {};

describe.each(["evaluate", "js", "wasm"] as const)("golden traces on the %s backend", (backend) => {
  it.each(COMPLETE)("%s: all %i cases within their tolerance in float64", async (name, cases) => {
    const summary = await replayFiles({ files: [golden(name)], backend, dtype: "float64" }, silent);
    expect(failures(summary.results)).toEqual([]);
    expect([summary.passed, summary.unsupported, summary.computed]).toEqual([cases, 0, 0]);
  });

  it.each(COMPLETE)("%s: all %i cases within 1e-4 in float32", async (name, cases) => {
    const summary = await replayFiles({ files: [golden(name)], backend, dtype: "float32" }, silent);
    const amplified = summary.results.filter(({ id }) => id === AMPLIFIED);
    expect(failures(summary.results)).toEqual(amplified.map(({ id }) => id));
    for (const result of amplified) {
      // Twice what others keep; see above.
      const share = "difference" in result ? result.difference / result.tolerance : Number.NaN;
      expect(share).toBeLessThan(2);
    }
    const passing = cases - amplified.length;
    expect([summary.passed, summary.unsupported, summary.computed]).toEqual([passing, 0, 0]);
  });
});

it("the complete files are all there are, but for those that hold problems", async () => {
  const others = ["problems.json", "online_problems.json"];
  const files = (await readdir(golden("."))).filter((name) => name.endsWith(".json"));
  const held = COMPLETE.map(([name]) => name);
  expect(files.sort()).toEqual([...held, ...others].sort());
});

it("differs by rounding, which Prodigy multiplies, and in AdaBound by the 1e-15 that its reference adds under the root", async () => {
  const files = COMPLETE.map(([name]) => golden(name));
  const { results } = await replayFiles({ files, backend: "js", dtype: "float64" }, silent);
  const difference = (result: CaseResult): number =>
    "difference" in result ? result.difference : Number.POSITIVE_INFINITY;
  // Parameters of order 1 to 10 after 30 steps of a few roundings each.
  const above = results.filter((result) => difference(result) > 1e-14);
  expect(above.map(({ id }) => id)).toEqual([
    "other/adabound/rosenbrock2d",
    "other/adabound/two_tensor",
    "torch/adafactor_eps_decay/sparse_two_tensor",
    "optax/prodigy/rosenbrock2d",
    "optax/prodigy/two_tensor",
    "optax/prodigy/sparse_two_tensor",
    "optax/prodigy_decay/two_tensor",
    "optax/prodigy_decay/sparse_two_tensor",
    AMPLIFIED,
  ]);
  // 1e-15/(2√v) of the root √v, at worst a share of 2e-8 where a gradient is 1e-3.
  expect(Math.max(...above.map(difference))).toBeLessThan(4e-11);
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
    const result = await replayCase({ ...trace, params: off }, problems, {
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
        { id: "a", algorithm: "sophia", options: { lr: 1 }, problem: "two_tensor", params: [] },
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
    expect(lines.join("\n")).toContain('algorithm "sophia"');
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
      '{"schema": "optim-golden/1", "cases": [{"id": "x", "algorithm": "sgd", "tol": 1e999}]}',
      "case 0: `tol` must be a finite number of at least 0, got Infinity",
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
    [
      { algorithm: "nadam", options: { lr: 1, momentumDecay: 0.1, convention: "optax" } },
      '`momentumDecay` needs convention "torch", got 0.1',
    ],
    [{ options: { lr: -1 } }, "learning rate"],
    [{ options: { lr: "x" } }, "option `lr` must be a number"],
    [{ algorithm: "adam", options: { lr: 1, amsgrad: true } }, "option `amsgrad` must be a string"],
    [{ algorithm: "cprop", options: { inner: "adam" } }, "option `inner` must be an object"],
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
    [
      {
        algorithm: "cprop",
        options: { lr: 1, inner: { type: "cprop", inner: { type: "sgd", lr: 5 } } },
      },
      "two rates",
    ],
    [{ algorithm: "adam", options: { inner: { lr: 1 } } }, "without `lr`"],
    [
      { algorithm: "adam", options: { lr: 1, amsgrad: "torch", convention: "optax" } },
      'option convention: "optax"',
    ],
    [
      { algorithm: "adam", options: { lr: 1, nesterov: true, convention: "torch" } },
      'option convention: "torch"',
    ],
    [
      { algorithm: "adam", options: { lr: 1, nesterov: true, amsgrad: "optax" } },
      'option amsgrad: "optax"',
    ],
    [
      {
        algorithm: "cprop",
        options: { base: "adam", inner: { type: "adam", lr: 1, nesterov: true } },
      },
      "option nesterov: true",
    ],
    [{ algorithm: "yogi", options: { lr: 1, convention: "torch" } }, 'option convention: "torch"'],
    [{ algorithm: "padam", options: { lr: 1, convention: "optax" } }, 'option convention: "optax"'],
    [{ algorithm: "rmsprop", options: { lr: 1, nesterov: true } }, 'option nesterov of "rmsprop"'],
    [{ algorithm: "radam", options: { lr: 1, convention: "tf" } }, 'option convention: "tf"'],
    [{ algorithm: "fastadabelief", options: { lr: 1, ball: 2 } }, 'option ball of "fastadabelief"'],
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

  it.each([
    ["fastadabelief", { box: null, ball: null }],
    ["sadam", { box: null, schedule: null }],
    ["sgd", { convention: "torch", nesterov: false }],
    ["adam", { convention: "optax", amsgrad: false, nesterov: false }],
    ["adam", { convention: "optax", amsgrad: false, nesterov: true }],
    ["nadam", { convention: "torch", momentumDecay: 0.004 }],
    ["adabelief", { convention: "optax", epsRoot: 1e-16 }],
    ["padam", { convention: "torch", max: false, partial: 0.25 }],
    ["adamnc", { convention: null, schedule: "1/sqrt(t)" }],
    ["cprop", { base: "wrapper", inner: { type: "rmsprop", convention: "optax" } }],
    ["cprop", { base: "sgd", statsIncludeL2: false, inner: { type: "sgd", lr: 0.1 } }],
    ["cprop", { base: "wrapper", statsIncludeL2: null, inner: { type: "adam" } }],
    ["cprop", { base: "adam", inner: { type: "adam", amsgrad: false, convention: "torch" } }],
  ])("takes defaults that are spelled out: %s %j", async (algorithm, options) => {
    const file = await write("defaults.json", one({ algorithm, options: { lr: 0.1, ...options } }));
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
    expect(lines[0]).toContain('problem "odd": `kind` must be "fixed" or "rosenbrock"');
  });

  it("asks for a folder before it runs anything", async () => {
    const out = join(folder, "none", "out.json");
    const replay = replayFiles(
      { files: [golden("sgd.json")], backend: "js", dtype: "float64", out },
      silent,
    );
    await expect(replay).rejects.toThrow("`--out` must be a file in a folder that exists");
  });

  it("does not take a folder for the file to write", async () => {
    const replay = replayFiles(
      { files: [golden("sgd.json")], backend: "js", dtype: "float64", out: folder },
      silent,
    );
    await expect(replay).rejects.toThrow(`\`--out\` must be a file, got the folder "${folder}"`);
  });

  it("says in one sentence that the result cannot be written", async () => {
    // One character more than file systems take in a name.
    const out = join(folder, "x".repeat(256));
    const command = { files: [golden("sgd.json")], backend: "js", dtype: "float64", out } as const;
    await expect(replayFiles(command, silent)).rejects.toThrow(
      "`--out` must be a file that can be written, got ENAMETOOLONG",
    );
  });

  it("leaves nothing half-written where the result cannot take its name", async () => {
    const out = join(folder, "taken");
    const command = { files: [golden("sgd.json")], backend: "js", dtype: "float64", out } as const;
    const takeName = (): void => void mkdirSync(out, { recursive: true });
    await expect(replayFiles(command, takeName)).rejects.toThrow(
      "`--out` must be a file that can be written, got EISDIR",
    );
    expect((await readdir(folder)).filter((name) => name.endsWith(".tmp"))).toEqual([]);
  });

  it("reads every file before it runs a case of the first", async () => {
    const lines: string[] = [];
    const replay = replayFiles(
      { files: [golden("sgd.json"), "none.json"], backend: "js", dtype: "float64" },
      (line) => lines.push(line),
    );
    await expect(replay).rejects.toThrow("none.json must be a readable file, got ENOENT");
    expect(lines).toEqual([]);
  });

  describe("of several nodes", () => {
    const swarm = (changes: object): Promise<string> =>
      write(`swarm-${JSON.stringify(changes).length}.json`, {
        schema: "optim-golden/1",
        dtype: "float64",
        cases: [
          {
            id: "two",
            algorithm: "decentralized",
            options: { method: "dpsgd", lr: 0.1 },
            W: [
              [0.5, 0.5],
              [0.5, 0.5],
            ],
            init: [[1], [3]],
            steps: 1,
            grads: [[[1], [0]]],
            params: [[[1.9], [2]]],
            ...changes,
          },
        ],
      });
    const replay = async (changes: object) => {
      const files = [await swarm(changes)];
      return replayFiles({ files, backend: "js", dtype: "float64" }, silent);
    };

    it("nodes may start apart", async () => {
      expect(await replay({})).toMatchObject({ passed: 1 });
    });

    it("refuses W that is not doubly stochastic, and says where", async () => {
      const W = [
        [0.5, 0.5],
        [0.5, 0.4],
      ];
      const { results } = await replay({ W });
      expect(results[0]).toMatchObject({
        status: "refused",
        reason:
          "fromMatrix: W must be doubly stochastic, got a sum of 0.9 in row 1, off by 1.0e-1; use metropolis weights",
      });
    });

    it.each([
      [{ options: { method: "gossip", lr: 1 } }, 'decentralized method "gossip"'],
      [{ options: { method: "dpsgd", lr: 1, beta1: 0.9 } }, 'option beta1 of "dpsgd"'],
      [{ options: { method: "dpsgd" } }, "a case without `lr`"],
    ])("does not ignore what it does not know: %j", async (changes, reason) => {
      const { results } = await replay(changes);
      expect(results[0]).toMatchObject({ status: "unsupported", reason });
    });

    it.each([
      [{ W: [[1]] }, "case 0: `W` must be 2 rows of 2 numbers, got [[1]]"],
      [{ init: [[1], []] }, "case 0: `init` must hold 1 numbers at every node, got [[1],[]]"],
      [{ grads: [[[1]]] }, "case 0: `grads` must hold 1 steps of 1 numbers at 2 nodes"],
      [{ grads: undefined, objective: { kind: "cubic" } }, "the objective must be"],
    ])("refuses a file of another form: %j", async (changes, message) => {
      await expect(replay(changes)).rejects.toThrow(message);
    });
  });

  /** One step of SGD from 0.3, or from nothing at all, that ends at zero; compared with `params`. */
  const step = (
    params: TraceCase["params"] & object,
    dtype: "float32" | "float64",
    size: 0 | 1 = 1,
  ): Promise<CaseResult> => {
    const fill = (value: number): number[] => Array.from({ length: size }, () => value);
    const problem = { kind: "fixed", shapes: [[size]], steps: 1, init: [fill(0.3)] } as const;
    return replayCase(
      { id: "one", algorithm: "sgd", options: { lr: 0.1 }, problem: "p", tol: 1e-10, params },
      new Map([["p", { ...problem, grads: [[fill(3)]] }]]),
      { backend: "js", dtype },
    );
  };

  it("compares float32 parameters near zero against the size their tensor had", async () => {
    expect(await step([[[0]]], "float32")).toMatchObject({
      status: "passed",
      tolerance: 1e-4 * 0.3,
    });
  });

  it.each(["float32", "float64"] as const)(
    "a recorded infinity agrees with no number in %s",
    async (dtype) => {
      expect(await step([[[Number.POSITIVE_INFINITY]]], dtype)).toMatchObject({ status: "failed" });
    },
  );

  it("a case without one number to compare is not passed", async () => {
    expect(await step([[[]]], "float64", 0)).toMatchObject({ status: "computed" });
  });
});

function failures(results: readonly { id: string; status: string }[]): string[] {
  return results
    .filter(({ status }) => status === "failed" || status === "refused")
    .map(({ id }) => id);
}
