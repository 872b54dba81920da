import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it, vi } from "vitest";

const read = (path: string): string =>
  readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)), "utf8");

it("docs/inspection.md shows examples/inspect.ts word for word, and it says what it should", async () => {
  const [, code] = /```ts\n([\s\S]*?)```/.exec(read("docs/inspection.md")) ?? [];
  expect(code).toBe(read("examples/inspect.ts"));
  const lines: unknown[][] = [];
  const log = vi.spyOn(console, "log").mockImplementation((...line) => {
    lines.push(line);
  });
  await import("../examples/inspect.ts");
  log.mockRestore();
  expect(lines.map(([step]) => step)).toEqual(Array.from({ length: 100 }, (_, i) => 10 * i));
  for (const [, rms, ratio, correlation, cause] of lines) {
    // Adam moves each element by about the rate; two elements correlate fully, one way or the other.
    expect(rms).toBeGreaterThan(0.5e-3);
    expect(rms).toBeLessThan(1.01e-3);
    expect(ratio).toBeGreaterThan(0);
    expect(Math.abs(correlation as number)).toBeCloseTo(1, 3);
    expect(cause).toBeUndefined();
  }
});

it("docs/inspection.md's table is the one of its results", () => {
  const { ratios } = JSON.parse(read("bench/results/inspection.json")) as {
    ratios: readonly { name: string; ratioOfMinima: number }[];
  };
  const found = new Map(ratios.map(({ name, ratioOfMinima }) => [name, ratioOfMinima]));
  const unique = (part: 0 | 1): string[] => [
    ...new Set(ratios.map(({ name }) => name.split(", ")[part] as string)),
  ];
  const rows = unique(0).map((optimizer) => {
    const cells = unique(1).map((leaves) =>
      ["a sample, read", "every 10th, read"]
        .map((way) => found.get(`${optimizer}, ${leaves}, ${way}`)?.toFixed(2))
        .join(", "),
    );
    return `| ${[optimizer, ...cells].join(" | ")} |`;
  });
  expect(read("docs/inspection.md")).toContain(`|\n${rows.join("\n")}\n\n`);
});
