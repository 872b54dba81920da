/** What the peers of a run agree on besides graph and identities: it travels in the invitation. */

import type { Compression, Method } from "@adastra/swarm";
import { lookUp } from "../lookUp.ts";
import { type MethodOptions, methods } from "./methods.ts";
import { type SwarmProblem, swarmProblems } from "./problems.ts";
import type { Skew } from "./split.ts";

export interface RunConfig {
  readonly problem: string;
  readonly method: string;
  readonly options: MethodOptions;
  readonly learningRate: number;
  readonly rounds: number;
  readonly seed: number;
  readonly skew: Skew;
  readonly localSteps: number;
  readonly compression: Compression;
  readonly consensusStep: number;
  /** null: no limit; JSON has no infinity. */
  readonly clip: number | null;
}

/**
 * The config of an invitation, which anybody may have written.
 *
 * @throws RangeError naming what is missing or out of range; methods and problems are looked up here.
 */
export function requireConfig(value: unknown): {
  readonly config: RunConfig;
  readonly problem: SwarmProblem;
  readonly method: Method;
} {
  const config = value as Partial<RunConfig> | null;
  need(typeof config === "object" && config !== null, "the config must be an object", config);
  const { kind } = config as { readonly kind?: unknown };
  if (kind === "meta") {
    throw new RangeError(
      "swarm: the invitation must be to a swarm, got one to meta-training; join with adastra meta join",
    );
  }
  const { rounds, seed, localSteps, learningRate, consensusStep, clip, skew, options } = config;
  for (const [name, count] of Object.entries({ rounds, localSteps })) {
    need(isCount(count, 1), `\`${name}\` must be an integer of at least 1`, count);
  }
  need(isCount(seed, 0), "`seed` must be a natural number", seed);
  for (const [name, number] of Object.entries({ learningRate, consensusStep })) {
    need(typeof number === "number" && number > 0, `\`${name}\` must be above 0`, number);
  }
  need(
    clip === null || (typeof clip === "number" && clip > 0),
    "`clip` must be above 0 or null",
    clip,
  );
  const isSkew =
    skew?.kind === "none" ||
    (skew?.kind === "labels" && isCount(skew.each, 1)) ||
    (skew?.kind === "dirichlet" && skew.alpha > 0);
  need(isSkew, "`skew` must be none, labels or dirichlet", skew);
  need(typeof options === "object" && options !== null, "`options` must be an object", options);
  const complete = config as RunConfig;
  const entry = lookUp("swarm", "method", String(config.method), methods);
  const { problem } = lookUp(
    "swarm",
    "problem",
    String(config.problem),
    swarmProblems.map((each) => ({ name: each.name, problem: each })),
  );
  return { config: complete, problem, method: entry.build(complete.options) };
}

const isCount = (value: unknown, least: number): boolean =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= least;

function need(ok: boolean, expected: string, got: unknown): asserts ok {
  if (!ok) {
    throw new RangeError(
      `swarm: the invitation: ${expected}, got ${JSON.stringify(got)}; ask its founder for another`,
    );
  }
}
