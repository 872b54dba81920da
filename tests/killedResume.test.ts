import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Plain state, rings and windows, draws, calls between steps, a schedule with state, hyperparameters that change. */
const ROWS = "^(adam|adashift none|noise\\+adam|sam\\(sgd\\)|rate: reduceOnPlateau|b1: .*)$";

it("training that is killed three times and resumed from files ends, to the bit, as training that was not", () => {
  const output = execFileSync(
    process.execPath,
    [join(root, "scripts", "killedResume.mjs"), "--rows", ROWS, "--seeds", "1", "--json"],
    { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] },
  );
  const { rows, runs, kills, killedRuns, resumed, different } = JSON.parse(output) as Record<
    string,
    unknown
  >;
  // On two backends; every kill breaks every run between its first and last call.
  expect({ rows, runs, kills, killedRuns, resumed, different }).toEqual({
    rows: 7,
    runs: 14,
    kills: 3,
    killedRuns: 14,
    resumed: 42,
    different: [],
  });
}, 300_000);
