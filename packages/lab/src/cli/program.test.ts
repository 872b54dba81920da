import { describe, expect, test } from "vitest";
import { type Actions, runProgram } from "./program.ts";
import { UsageError } from "./terminal.ts";

async function run(...words: string[]) {
  const calls: unknown[] = [];
  let printed = "";
  const record = (name: string) => (operands: readonly string[], options: object) => {
    calls.push([name, operands, options]);
    return Promise.resolve(3);
  };
  const actions: Actions = {
    start: record("start"),
    compare: record("compare"),
    replay: record("replay"),
    bench: record("bench"),
    swarm: record("swarm"),
    meta: record("meta"),
    data: record("data"),
    doctor: record("doctor"),
  };
  const terminal = {
    out: (text: string) => {
      printed += text;
    },
    err: () => undefined,
    isTty: false,
  };
  const exitCode = await runProgram(words, actions, terminal, "1.2.3");
  return { calls, exitCode, printed };
}

describe("the command line", () => {
  test("hands operands and parsed options to the command, and returns its exit code", async () => {
    const { calls, exitCode } = await run(
      ..."compare mnist-mlp --optimizers adam,adashift --trials 3 --tuning-epochs 1 --json".split(
        " ",
      ),
    );
    expect(exitCode).toBe(3);
    expect(calls).toEqual([
      [
        "compare",
        ["mnist-mlp"],
        { optimizers: ["adam", "adashift"], trials: 3, tuningEpochs: 1, json: true },
      ],
    ]);
  });

  test("reads how examples are dealt, who dies when, and what travels", async () => {
    const { calls } = await run(
      ..."swarm simulate --skew labels:2 --crash 1@500,2@600+300 --compression topk:0.1 --rates 1e-3,1e-2 --b1 0".split(
        " ",
      ),
    );
    expect(calls).toEqual([
      [
        "swarm",
        ["simulate"],
        {
          skew: { kind: "labels", each: 2 },
          crash: [
            { kind: "crash", peer: 1, atMs: 500 },
            { kind: "crash", peer: 2, atMs: 600, forMs: 300 },
          ],
          compression: { topK: 0.1 },
          rates: [1e-3, 1e-2],
          b1: 0,
        },
      ],
    ]);
  });

  test("takes several files to replay", async () => {
    const { calls } = await run("replay", "a.json", "b.json", "--backend", "wasm");
    expect(calls).toEqual([["replay", ["a.json", "b.json"], { backend: "wasm" }]]);
  });

  test("reads sizes and peers to measure", async () => {
    const { calls } = await run(
      ..."bench step --sizes 1k,2.5M --peers plain,torch-fused --optimizers adai".split(" "),
    );
    expect(calls).toMatchObject([
      [
        "bench",
        ["step"],
        {
          sizes: [{ parameters: 1000 }, { parameters: 2_500_000 }],
          peers: ["plain", "torch-fused"],
          optimizers: ["adai"],
        },
      ],
    ]);
    expect((await run("bench", "step", "--peers", "none")).calls).toEqual([
      ["bench", ["step"], { peers: [] }],
    ]);
  });

  test.each([
    [["--version"], "1.2.3"],
    [["--help"], "Compares optimizers fairly"],
    [["compare", "--help"], "comma-separated: sgd, momentum, nesterov, adam"],
  ])("%j prints and exits with 0", async (words, expected) => {
    const { printed, exitCode } = await run(...words);
    expect(printed).toContain(expected);
    expect(exitCode).toBe(0);
  });

  test.each([
    [
      ["compair", "x"],
      'adastra: command must be one of start, compare, replay, bench, swarm, meta, data, doctor, got "compair"; did you mean "compare"?',
    ],
    [
      [],
      'adastra: command must be one of start, compare, replay, bench, swarm, meta, data, doctor, got ""; see adastra --help',
    ],
    [["compare"], "adastra: missing required argument 'problem'; see adastra compare --help"],
    [
      ["compare", "mnist-mlp", "--seed", "2"],
      "adastra: unknown option '--seed'; see adastra compare --help",
    ],
    [
      ["compare", "mnist-mlp", "--trials", "none"],
      'compare: --trials must be an integer of at least 1, got "none"',
    ],
    [
      ["compare", "mnist-mlp", "--optimizers", "adam,,sgd"],
      'compare: --optimizers must be names between commas, got "adam,,sgd"',
    ],
    [
      ["swarm", "simulate", "--skew", "some"],
      'swarm: --skew must be none, labels:N or dirichlet:A, got "some"',
    ],
    [
      ["swarm", "simulate", "--crash", "1"],
      'swarm: --crash must be PEER@MS or PEER@MS+MS between commas, got "1"',
    ],
    [
      ["swarm", "simulate", "--compression", "zip"],
      'swarm: --compression must be none, bf16, int8 or topk:S, got "zip"',
    ],
    [["swarm", "simulate", "--loss", "1"], 'swarm: --loss must be a number in [0, 1), got "1"'],
    [
      ["replay", "a.json", "--dtype", "float16"],
      'replay: --dtype must be one of float64, float32, got "float16"',
    ],
    [
      ["bench", "step", "--sizes", "1k,big"],
      'bench: --sizes must be numbers of parameters from 1 to 80M such as 1k or 2.5M, or model, got "big"',
    ],
    [
      ["bench", "step", "--peers", "tfjs-wasn"],
      'bench: --peers must be among plain, tfjs-wasm, tfjs-cpu, tfjs-adastra, jax-js, torch-fused, torch-foreach, torch, tfjs, got "tfjs-wasn"; did you mean "tfjs-wasm"?',
    ],
    [
      ["bench", "step", "--optimizers", "adam,adam"],
      'bench: --optimizers must be different, got "adam" twice',
    ],
    [
      ["data", "--fetch", "imagenet"],
      'data: --fetch must be one of mnist, fashion-mnist, cifar-10, got "imagenet"',
    ],
    [
      ["data", "--fetch", "mnist", "--from", "ftp://x/"],
      'data: --from must be a URL of http or https, got "ftp://x/"',
    ],
    [["doctor", "extra"], /^adastra: too many arguments/],
  ])("%j is answered in one sentence", async (words, message) => {
    const failure = run(...words);
    await expect(failure).rejects.toThrow(message);
    await expect(failure).rejects.toBeInstanceOf(UsageError);
  });
});
