import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { replayFiles } from "./command.ts";

const golden = fileURLToPath(new URL("../../../../fixtures/golden/aruba.json", import.meta.url));
const silent = (): void => {};
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adastra-aruba-"));
});

/** One task of one step: θ = 2 − 0.5 · 2 with η = ε/ζ. */
const small = {
  id: "small",
  algorithm: "aruba",
  options: { eps: 1, zeta: 2 },
  shapes: [[1]],
  init: [[2]],
  rounds: [{ tasks: [{ grads: [[[2]]], params: [[[1]]], bsq: [[2]], gsq: [[10]] }], phi: [[1]] }],
};

async function replay(change: object | ((c: typeof small) => void)) {
  const copy = structuredClone(small);
  const changed = typeof change === "function" ? copy : { ...copy, ...change };
  if (typeof change === "function") {
    change(copy);
  }
  const file = join(folder, "case.json");
  await writeFile(file, JSON.stringify({ schema: "optim-golden/1", cases: [changed] }));
  return replayFiles({ files: [file], backend: "js", dtype: "float64" }, silent);
}

describe("cases of ARUBA", () => {
  it("compares parameters, accumulators and initialisation", async () => {
    expect(await replay({})).toMatchObject({ passed: 1, failed: 0 });
  });

  it.each([
    ["params", (c: typeof small) => void (c.rounds[0]!.tasks[0]!.params = [[[1.1]]])],
    ["bsq", (c: typeof small) => void (c.rounds[0]!.tasks[0]!.bsq = [[2.1]])],
    ["gsq", (c: typeof small) => void (c.rounds[0]!.tasks[0]!.gsq = [[10.1]])],
    ["phi", (c: typeof small) => void (c.rounds[0]!.phi = [[1.1]])],
    ["eta", (c: typeof small) => void Object.assign(c.rounds[0]!, { eta: [[0.5]] })],
  ])("a wrong number in `%s` fails", async (_, change) => {
    expect(await replay(change)).toMatchObject({ passed: 0, failed: 1 });
  });

  it("a case without records is run, not passed", async () => {
    const rounds = [{ tasks: [{ grads: [[[2]]] }] }];
    expect(await replay({ rounds })).toMatchObject({ passed: 0, computed: 1 });
  });

  it.each([
    [{ eps: 1, momentum: 0.9 }, "unsupported", 'option momentum of "aruba"'],
    [{ eps: 0 }, "refused", "aruba: `eps` must be finite and greater than 0, got 0"],
    [{ mode: "each" }, "refused", 'aruba: `mode` must be one of "coordinate", "isotropic"'],
    [{ eps: "1" }, "refused", 'replay: option `eps` must be a number, got "1"'],
  ])("options %j: %s", async (options, status, reason) => {
    const { results } = await replay({ options });
    expect(results[0]).toMatchObject({ status, reason: expect.stringContaining(reason) });
  });

  it.each([
    [{ shapes: [] }, "case 0: `shapes` must be a list of shapes"],
    [{ init: [[1, 2]] }, "case 0: `init` must hold 1 numbers a tensor, got [[1,2]]"],
    [{ rounds: undefined }, "case 0: `rounds` must be a list of rounds, got nothing"],
    [{ rounds: [{ tasks: [] }] }, "case 0, round 0: `tasks` must be a list of tasks, got []"],
    [
      { rounds: [{ tasks: [{ grads: [[[1, 2]]] }] }] },
      "case 0, round 0, task 0: `grads` must hold 1 numbers a tensor at every step, got [[[1,2]]]",
    ],
    [
      { rounds: [{ tasks: [{ grads: [[[1]]], params: [] }] }] },
      "case 0, round 0, task 0: `params` must hold 1 steps, got 0",
    ],
    [
      { rounds: [{ tasks: [{ grads: [[[1]]], weight: 0 }] }] },
      "case 0, round 0, task 0: `weight` must be a finite number above 0, got 0",
    ],
    [{ finetune: [{ grads: [[[1]]], coef: -1 }] }, "case 0, finetune 0: `coef` must be"],
  ])("refuses a file of another form: %j", async (change, message) => {
    await expect(replay(change)).rejects.toThrow(message);
  });

  it("writes tasks and initialisations as the schema lays them out", async () => {
    const out = join(folder, "out.json");
    await replayFiles({ files: [golden], backend: "js", dtype: "float64", out }, silent);
    const { cases } = JSON.parse(await readFile(out, "utf8"));
    const recorded = JSON.parse(await readFile(golden, "utf8")).cases;
    const sizes = (all: typeof recorded) =>
      all.map(({ id, rounds }: (typeof recorded)[number]) => [
        id,
        rounds.map(({ tasks, phi }: (typeof rounds)[number]) => [
          tasks.map(({ params }: (typeof tasks)[number]) => params.length),
          phi.map((tensor: number[]) => tensor.length),
        ]),
      ]);
    expect(sizes(cases)).toEqual(sizes(recorded));
  });
});
