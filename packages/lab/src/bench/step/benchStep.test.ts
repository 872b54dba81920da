import { describe, expect, test } from "vitest";
import { environment } from "../environment.ts";
import { benchStep, type StepPlan, type StepWorld } from "./benchStep.ts";
import { entries } from "./ours.ts";
import { openPeers, type PeerName } from "./peers/index.ts";
import { bindPlainAdam } from "./peers/plain.ts";
import { every, type StepProblem } from "./problem.ts";
import { parseSize } from "./sizes.ts";
import { renderStepTable } from "./stepTable.ts";
import type { LeftOut, Peer } from "./subject.ts";

/** A clock that moves by 50 µs whenever it is read: every call of a step takes as long. */
let now = 0;
const world: StepWorld = {
  clock: { now: () => (now += 0.05) },
  environment: environment(new Date("2026-01-02T03:04:05Z")),
};

function plan(peers: readonly (readonly [PeerName, Peer | LeftOut])[], names = ["adam"]): StepPlan {
  return {
    sizes: [parseSize("test", "100"), parseSize("test", "130")],
    entries: entries.filter(({ name }) => names.includes(name)),
    peers: new Map(peers),
    rounds: 4,
  };
}

/** The plain loop under another name, wrong where told. */
const peer = (name: string, wrong: (p: Float32Array) => void = () => undefined): Peer => ({
  name,
  bind: (problem, clock) => {
    const subject = bindPlainAdam(problem, clock);
    return {
      ...subject,
      params: async (stride) => {
        const p = every(1, await subject.params(1));
        wrong(p);
        return every(stride, p);
      },
    };
  },
});

describe("bench step", () => {
  test("measures optimizers beside the kernels of their bytes, the copy, and the peers", async () => {
    const names = ["adam", "adamw", "adashift"];
    const result = await benchStep(plan([["plain", peer("plain")]], names), world);
    expect(result.sizes.map(({ parameters, complete }) => [parameters, complete])).toEqual([
      [100, true],
      [130, true],
    ]);
    const rows = result.sizes[0]?.rows ?? [];
    expect(rows.map(({ name, kind, bytes }) => [name, kind, bytes])).toEqual([
      ["Adam", "adastra", 28],
      ["AdamW", "adastra", 28],
      ["AdaShift, max, n = 10", "adastra", 24],
      ["bytes alone of Adam, AdamW", "traffic", 28],
      ["bytes alone of AdaShift", "traffic", 24],
      ["copy", "copy", 8],
      ["plain", "peer", null],
    ]);
    for (const row of rows) {
      expect(row.rounds).toBe(4);
      // A step below a millisecond: as many are timed together as fit into one.
      expect(row.repeats).toBe(20);
      expect(row.firstStepMs).toBeCloseTo(0.05, 9);
      expect(row.minMs).toBeCloseTo(0.05 / 20, 9);
      expect(row.medianMs).toBeCloseTo(0.05 / 20, 9);
    }
    expect(result.sizes[0]?.checks.map(({ name, against }) => [name, against])).toEqual([
      ["Adam", "its JavaScript backend"],
      ["Adam", "the plain JavaScript loop"],
      ["AdamW", "its JavaScript backend"],
      ["AdaShift, max, n = 10", "its JavaScript backend"],
    ]);
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });

  test("times nothing when a peer computes something else", async () => {
    const wrong = peer("off by 2e-6", (p) => {
      p[37] = (p[37] ?? 0) + 2e-6;
    });
    await expect(benchStep(plan([["jax-js", wrong]]), world)).rejects.toThrow(
      /^bench step: off by 2e-6 must agree with the plain JavaScript loop within 0\.000001, got /,
    );
  });

  test("would notice an optimizer that does not move", async () => {
    const still = { ...(entries.find(({ name }) => name === "adashift") as (typeof entries)[0]) };
    const early = { ...plan([]), entries: [{ ...still, checkSteps: 3 }] };
    await expect(benchStep(early, world)).rejects.toThrow(
      "bench step: AdaShift, max, n = 10 must have moved its parameters in 3 steps, got those it began with",
    );
  });

  test("leaves out by name a peer that is not here, and one that fails on a size", async () => {
    const small: Peer = {
      name: "small",
      bind: (problem: StepProblem, clock) => {
        if (problem.size.parameters > 100) {
          throw new Error("out of memory");
        }
        return bindPlainAdam(problem, clock);
      },
    };
    const absent = { name: "absent", reason: "not installed; npm install absent" };
    const result = await benchStep(
      plan([
        ["jax-js", absent],
        ["plain", small],
      ]),
      world,
    );
    expect(result.sizes.map(({ leftOut }) => leftOut)).toEqual([
      [absent],
      [absent, { name: "small", reason: "out of memory" }],
    ]);
    const table = renderStepTable(result);
    expect(table).toContain("left out: absent: not installed; npm install absent");
    expect(table).toContain("left out: small: out of memory");
  });

  test("a slow peer gets three rounds, and the table says so", async () => {
    const slow: Peer = {
      name: "slow",
      bind: (problem, clock) => {
        const subject = bindPlainAdam(problem, clock);
        return { ...subject, step: async (k, repeats) => (await subject.step(k, repeats), 1900) };
      },
    };
    const result = await benchStep({ ...plan([["plain", slow]]), rounds: 6 }, world);
    const row = result.sizes[0]?.rows.find(({ kind }) => kind === "peer");
    expect([row?.rounds, row?.repeats, row?.medianMs]).toEqual([3, 1, 1900]);
    expect(renderStepTable(result)).toContain("fewer rounds, being slow: slow 3");
  });

  test("an interruption keeps the sizes and rounds that were finished", async () => {
    const controller = new AbortController();
    const progress: [number, string][] = [];
    const result = await benchStep(plan([]), {
      ...world,
      signal: controller.signal,
      onProgress: (share, doing) => {
        progress.push([share, doing]);
        if (doing === "130: round 2 of 4") {
          controller.abort();
        }
      },
    });
    expect(result.interrupted).toBe(true);
    expect(result.sizes.map(({ name, complete }) => [name, complete])).toEqual([
      ["100", true],
      ["130", false],
    ]);
    expect(result.sizes[1]?.rows.map(({ rounds }) => rounds)).toEqual([2, 2, 2]);
    const table = renderStepTable(result);
    expect(table).toContain("stopped before the last round");
    expect(table).toContain("interrupted: the tables hold what was finished");
    const shares = progress.map(([share]) => share);
    expect(shares.toSorted((a, b) => a - b)).toEqual(shares);
    expect(progress.every(([share]) => share >= 0 && share <= 1)).toBe(true);
  });
});

describe("peers", () => {
  test("that are installed agree with the plain loop, over one tensor and over several", async () => {
    const peers = await openPeers(["tfjs-wasm", "tfjs-cpu", "tfjs-adastra", "jax-js"], undefined);
    const several = {
      name: "several",
      description: "",
      shapes: [[3, 3, 2, 4], [7], [], [5, 11]],
      parameters: 135,
    };
    const sizes = [parseSize("test", "1003"), several];
    const result = await benchStep({ ...plan([]), sizes, peers, rounds: 1 }, world);
    for (const { leftOut, checks } of result.sizes) {
      expect(leftOut).toEqual([]);
      expect(checks.map(({ name }) => name)).toEqual([
        "Adam",
        "Adam",
        "TensorFlow.js 4.22.0 Adam, wasm",
        "TensorFlow.js 4.22.0 Adam, cpu",
        "Adastra's Adam in TensorFlow.js 4.22.0, wasm, in place",
        "jax-js Adam, jitted, wasm",
      ]);
    }
  });

  test("PyTorch without a Python is left out with the way to get it", async () => {
    const peers = await openPeers(["torch-fused"], "");
    expect(peers.get("torch-fused")).toEqual({
      name: "PyTorch Adam, fused=True",
      reason: "set ADASTRA_PYTHON to a Python that has torch",
    });
  });
});
