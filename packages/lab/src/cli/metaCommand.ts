/** `adastra meta`: trains an initialisation and rates on tasks, alone or with clients at other peers, and judges them on new ones. */

import { evaluate } from "./metaEvaluate.ts";
import { invite, join, serve } from "./metaPeerCommand.ts";
import { train } from "./metaTrain.ts";
import type { MetaWorld } from "./metaWorld.ts";
import { type CommandOptions, flagOf } from "./options.ts";
import { UsageError } from "./terminal.ts";

type Options = CommandOptions["meta"];

interface Action {
  /** What follows the action's name. */
  readonly operand?: string;
  /** Options that it takes; others would be ignored. */
  readonly takes: readonly (keyof Options)[];
  readonly run: (operand: string, options: Options, world: MetaWorld) => Promise<number>;
}

const RUN: readonly (keyof Options)[] = ["method", "rate", "zeta", "rounds", "seed", "json"];
const PEER: readonly (keyof Options)[] = ["key", "invitation", "founder", "json"];

const ACTIONS: Readonly<Record<string, Action>> = {
  train: { operand: "a problem", takes: [...RUN, "out", "resume", "workers"], run: train },
  evaluate: {
    operand: "the folder of a run",
    takes: ["rate", "seed", "tasks", "shots", "coef", "split", "json"],
    run: evaluate,
  },
  invite: { operand: "a problem", takes: [...RUN, "key", "members", "invitation"], run: invite },
  serve: {
    takes: [...PEER, "listen", "out", "resume"],
    run: (_, options, world) => serve(options, world),
  },
  join: { takes: PEER, run: (_, options, world) => join(options, world) },
};

/**
 * Does what the action says; returns the exit code.
 *
 * @throws UsageError for words that mean nothing, or an option that the action would ignore; Error for data or a folder that
 * is not there.
 */
export async function metaCommand(
  [action = "", operand = "", ...rest]: readonly string[],
  options: Options,
  world: MetaWorld,
): Promise<number> {
  const found = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (found === undefined) {
    throw new UsageError(
      `meta: action must be one of ${Object.keys(ACTIONS).join(", ")}, got "${action}"`,
    );
  }
  const words = rest.length + Number(operand !== "");
  if (words !== Number(found.operand !== undefined)) {
    throw new UsageError(
      `meta ${action}: must be given ${found.operand === undefined ? "no words" : `${found.operand} and nothing else`}, got ${words} words; see adastra meta --help`,
    );
  }
  const stray = (Object.keys(options) as (keyof Options)[]).find(
    (key) => !found.takes.includes(key),
  );
  if (stray !== undefined) {
    throw new UsageError(`meta ${action}: takes no ${flagOf(stray)}, got it; leave it out`);
  }
  return found.run(operand, options, world);
}
