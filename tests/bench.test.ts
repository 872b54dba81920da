import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Benchmarks with arguments that make them short: here they prove that outputs agree, not how fast they come. */
const BENCHMARKS = [
  ["optimizerStep", ["1000", "2"]],
  ["gradientStep", ["2"]],
] as const;

interface Result {
  readonly checks: Readonly<Record<string, number>>;
  readonly timings: readonly { readonly name: string; readonly medianMs: number }[];
}

describe("benchmarks", () => {
  it.each(BENCHMARKS)("%s compares outputs with its peers before it times them", (name, args) => {
    const environment = { ...process.env, ADASTRA_PYTHON: "" };
    const output = execFileSync(
      process.execPath,
      [join(root, "bench", "dist", `${name}.js`), ...args, "--json"],
      { cwd: root, encoding: "utf8", env: environment },
    );
    const { checks, timings } = JSON.parse(output) as Result;
    expect(Object.keys(checks).length).toBeGreaterThan(0);
    expect(timings.length).toBeGreaterThan(1);
    for (const { medianMs } of timings) {
      expect(medianMs).toBeGreaterThan(0);
    }
  });

  it("are all in this list", () => {
    const files = readdirSync(join(root, "bench", "src")).filter((file) => file !== "harness.ts");
    expect(
      files.map((file) => file.replace(".ts", "")).toSorted((a, b) => a.localeCompare(b)),
    ).toEqual(BENCHMARKS.map(([name]) => name).toSorted());
  });
});
