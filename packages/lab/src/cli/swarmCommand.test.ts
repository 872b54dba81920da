import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { SwarmComparison } from "../swarm/compareSwarm.ts";
import type { CommandOptions } from "./options.ts";
import { swarmCommand } from "./swarmCommand.ts";
import { exitCodes, UsageError } from "./terminal.ts";

async function run(options: CommandOptions["swarm"], action = "simulate", interruptAt?: number) {
  let [out, err] = ["", ""];
  let ticks = 0;
  let interrupt = (): void => undefined;
  const exitCode = await swarmCommand(action, options, {
    terminal: {
      out: (text) => {
        out += text;
      },
      err: (text) => {
        err += text;
      },
      isTty: false,
    },
    clock: {
      now: () => {
        ticks += 1;
        if (ticks === interruptAt) {
          interrupt();
        }
        return ticks * 6000;
      },
    },
    randomBytes: (count) => new Uint8Array(count),
    onInterrupt: (handler) => {
      interrupt = handler;
      return () => undefined;
    },
  });
  return { exitCode, out, err };
}

const counterexample = {
  problem: "counterexample",
  methods: ["damsgrad", "dadam"],
  b1: 0,
  b2: 0,
  eps: 1,
  rates: [0.05],
  rounds: 2000,
} as const;

describe("adastra swarm simulate", () => {
  test("compares methods on the counterexample, and says how they ended", async () => {
    const { exitCode, out, err } = await run(counterexample);
    expect(exitCode).toBe(exitCodes.ok);
    expect(out).toMatch(/damsgrad\s+0\.05\s+0\.0202/);
    expect(out).toMatch(/dadam\s+0\.05\s+0\.500000/);
    expect(out).toMatch("2 peers on ring, spectral gap 1.0000");
    expect(err).toMatch(
      /%, d\w+ at 0\.05, round \d+ of 2000, loss 0(\.00)?, neighbours .* apart, about \d+ s left/,
    );
  });

  test("writes and prints the whole as JSON, with the seeds and the choice of each method's rate", async () => {
    const file = join(await mkdtemp(join(tmpdir(), "adastra-swarm-")), "result.json");
    const { out } = await run({
      ...counterexample,
      rates: [0.2, 0.02],
      rounds: 500,
      seeds: 2,
      out: file,
      json: true,
    });
    const result = JSON.parse(out) as SwarmComparison;
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual(result);
    expect(
      result.entries.map(({ method, tuning, runs }) => [method, tuning.length, runs.length]),
    ).toEqual([
      ["damsgrad", 2, 2],
      ["dadam", 2, 2],
    ]);
    expect(result.entries[0]?.learningRate).toBe(0.02);
    expect(result.entries[0]?.runs[0]?.curve.at(-1)).toMatchObject({ round: 500 });
  });

  test("peers learn MNIST by two labels each, better together than the worst alone", async () => {
    const { out } = await run({
      problem: "mnist-softmax",
      methods: ["damsgrad"],
      rates: [0.003],
      skew: { kind: "labels", each: 2 },
      rounds: 150,
      json: true,
    });
    const { entries } = JSON.parse(out) as SwarmComparison;
    const { mean, worst } = entries[0]?.runs[0]?.metrics ?? { mean: 0, worst: 0 };
    // A peer alone knows two labels of ten.
    expect(worst).toBeGreaterThan(40);
    expect(mean).toBeGreaterThan(75);
  });

  test("Ctrl-C ends the run under way, and says so by its exit code", async () => {
    const { exitCode, out, err } = await run(counterexample, "simulate", 20);
    expect(exitCode).toBe(exitCodes.interrupted);
    expect(err).toMatch("stopping; press Ctrl-C again to leave at once");
    expect(out).toMatch("no finished run");
  });

  test.each([
    [
      {},
      "fly",
      'swarm: the action must be one of simulate, identity, invite, join, status, got "fly"; see adastra swarm --help',
    ],
    [
      { seeds: 2 },
      "join",
      "swarm: --seeds must stand with another action, got it with join; leave it out",
    ],
    [
      {},
      "join",
      "swarm: --founder must name the peer id whose invitations are taken, got none; ask who sent the invitation",
    ],
    [
      {},
      "invite",
      "swarm: --members must name at least two peers, got 0; ask each for the id that adastra swarm identity prints",
    ],
    [
      {},
      "status",
      "swarm: --metrics must name the port of a peer that was joined with it, got none",
    ],
    [
      { problem: "counterexample", peers: 3 },
      "simulate",
      "swarm: --peers must be 2 for counterexample, got 3; leave it out",
    ],
  ])("%j %s", async (options, action, message) => {
    await expect(run(options, action)).rejects.toThrow(new UsageError(message));
  });

  test.each([
    [{ graph: "mesh" }, /^swarm: --graph must be one of ring, .*, got "mesh"$/],
    [{ graph: "ring:3" }, /^swarm: --graph must be one of ring, .*, got "ring:3"$/],
    [
      { graph: "hypercube", peers: 5 },
      /^swarm: --graph: a hypercube must have a power of two of peers, got 5$/,
    ],
    [
      { peers: 2000, problem: "mnist-softmax" },
      /^swarm: every peer must have a batch of 64 examples, got 30 for peer 0; take fewer peers or less skew$/,
    ],
  ])("%j", async (options, message) => {
    await expect(run({ ...options, rounds: 1 })).rejects.toThrow(message);
  });
});
