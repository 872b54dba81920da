import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

it("a process that is killed while it saves, twenty times, loses no checkpoint it said was saved", () => {
  const output = execFileSync(
    process.execPath,
    [join(root, "scripts", "killedSave.mjs"), "20", "--json"],
    { cwd: root, encoding: "utf8" },
  );
  const { kills, lost, awaited, steps } = JSON.parse(output) as Record<
    "kills" | "lost" | "awaited" | "steps",
    number
  >;
  expect({ kills, lost }).toEqual({ kills: 20, lost: 0 });
  // No kill undid a save that it waited for.
  expect(awaited).toBeGreaterThan(kills);
  expect(steps).toBeGreaterThanOrEqual(awaited);
}, 300_000);
