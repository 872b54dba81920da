import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Benchmarks with arguments that make them short: here they prove that outputs agree, not how fast they come. */
const BENCHMARKS = [
  ["inspection", ["1000", "2"]],
  ["compressedState", ["1000", "2"]],
] as const;

interface Timings {
  readonly checks: unknown;
  readonly rows: readonly { readonly name: string; readonly medianMs: number }[];
}

function run(file: string, ...args: string[]): string {
  const environment = { ...process.env, ADASTRA_PYTHON: "" };
  return execFileSync(process.execPath, [join(root, file), ...args, "--json"], {
    cwd: root,
    encoding: "utf8",
    env: environment,
    stdio: ["ignore", "pipe", "ignore"],
  });
}

function expectMeasured({ checks, rows }: Timings): void {
  expect(Object.keys(checks as object).length).toBeGreaterThan(0);
  expect(rows.length).toBeGreaterThan(1);
  for (const { medianMs } of rows) {
    expect(medianMs).toBeGreaterThan(0);
  }
}

describe("benchmarks", () => {
  it.each(BENCHMARKS)("%s compares outputs with its peers before it times them", (name, args) => {
    const { checks, timings } = JSON.parse(run(`bench/dist/${name}.js`, ...args)) as {
      checks: Readonly<Record<string, number>>;
      timings: Timings["rows"];
    };
    expectMeasured({ checks, rows: timings });
  });

  it("compressedState's figures in docs/compressed-state.md are those of its results", () => {
    const read = (...path: readonly string[]): string => readFileSync(join(root, ...path), "utf8");
    const [small, large] = ["compressedState.1M.json", "compressedState.json"].map(
      (file) =>
        (
          JSON.parse(read("bench", "results", file)) as {
            timings: readonly { name: string; medianMs: number; ratio: number }[];
          }
        ).timings,
    );
    const rows = small?.map(({ name, medianMs, ratio }, i) => {
      const at10M = large?.[i] ?? { medianMs: Number.NaN, ratio: Number.NaN };
      const formats = name.replace(/[\w-]+/g, (format) => `\`${format}\``);
      return i === 0
        ? `| ${name} | ${medianMs.toFixed(2)} ms | ${at10M.medianMs.toFixed(2)} ms |`
        : `| ${formats} | ${ratio.toFixed(1)} times | ${at10M.ratio.toFixed(1)} times |`;
    });
    expect(read("docs", "compressed-state.md")).toContain(rows?.join("\n"));
  });

  it("are all in this list", () => {
    expect(
      readdirSync(join(root, "bench", "src"))
        .map((file) => file.replace(".ts", ""))
        .toSorted((a, b) => a.localeCompare(b)),
      // fineTuning needs Fashion-MNIST, which a bare machine lacks; what it uses is held by the tests of fine-tuning.
    ).toEqual([...BENCHMARKS.map(([name]) => name), "trainingMemory", "fineTuning"].toSorted());
  });

  it("trainingMemory reads the resident memory of a training run, ten times", () => {
    const { rows } = JSON.parse(run("bench/dist/trainingMemory.js", "20")) as {
      rows: readonly { step: number; mebibytes: number }[];
    };
    expect(rows.map(({ step }) => step)).toEqual([2, 4, 6, 8, 10, 12, 14, 16, 18, 20]);
    expect(rows.every(({ mebibytes }) => mebibytes > 10)).toBe(true);
  });

  it("adastra bench gradient compares every leaf with what is installed", () => {
    const output = run(
      "packages/lab/bin/adastra.mjs",
      "bench",
      "gradient",
      "--models",
      "mlp",
      "--threads",
      "1",
      "--rounds",
      "1",
    );
    const { models } = JSON.parse(output) as {
      models: readonly { checks: readonly unknown[]; rows: readonly { key: string }[] }[];
    };
    expect(models[0]?.rows.map(({ key }) => key)).toEqual([
      "adastra",
      "adastra-step",
      "jax-js",
      "tfjs",
    ]);
    expect(models[0]?.checks).toHaveLength(14);
  });

  it("adastra bench step compares every optimizer and every peer that is installed", () => {
    const output = run(
      "packages/lab/bin/adastra.mjs",
      "bench",
      "step",
      "--sizes",
      "1001",
      "--rounds",
      "2",
    );
    const { sizes } = JSON.parse(output) as {
      sizes: readonly (Timings & {
        checks: readonly { name: string; difference: number; tolerance: number }[];
        leftOut: readonly { name: string; reason: string }[];
      })[];
    };
    const [size] = sizes;
    expectMeasured(size as Timings);
    // Seven optimizers with their JavaScript backends; Adam, TensorFlow.js twice, our Adam on its heap and jax-js with the plain loop.
    expect(size?.checks.length).toBe(12);
    expect(size?.leftOut.map(({ name }) => name)).toEqual([
      "PyTorch Adam, fused=True",
      "PyTorch Adam, foreach=True",
    ]);
  });
});
