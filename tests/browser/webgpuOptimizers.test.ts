/** Whole optimizers on WebGPU in a real Chromium, on its software adapter, beside the interpreter here. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PhasePlan } from "../../packages/core/src/codegen/passes.ts";
import { compileOptimizer, type Optimizer } from "../../packages/core/src/index.ts";
import { CATALOGUE } from "../../packages/core/src/testCatalogue.ts";
import { launchChromium } from "./chromium.ts";
import { OPTIMIZERS, problem, SEED } from "./gpuOptimizers.ts";
import { openWebgpuPage } from "./webgpuBrowser.ts";
import type { InspectedOutcome, OptimizerOutcome, RowOutcome } from "./webgpuPage.ts";

let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium({ webgpu: true });
  page = await openWebgpuPage(browser);
});

afterAll(async () => {
  await browser.close();
});

const refusals = (reason: string, rows: readonly string[]): Record<string, RegExp> =>
  Object.fromEntries(
    rows.map((row) => [row, new RegExp(`^RangeError: compileOnDevice: the device has ${reason}`)]),
  );

/** Numbers of a nested record by path. */
function numbersOf(value: unknown, path = ""): [string, number][] {
  return typeof value === "number"
    ? [[path, value]]
    : Object.entries(value as object).flatMap(([key, inner]) => numbersOf(inner, `${path}/${key}`));
}

/** Whether a phase has sums over elements. */
const addsUp = ({ passes }: PhasePlan): boolean =>
  passes.some(({ reductions, columns }) =>
    [...reductions, ...columns].some((each) => ("role" in each ? each.role : each.kind) === "sum"),
  );

describe("optimizers on the device", () => {
  const STEPS = 12;
  const ask = <T>(name: string, ...args: readonly unknown[]): Promise<T> =>
    page.evaluate(
      ([key, given]) =>
        (
          globalThis as unknown as { adastra: Record<string, (...a: unknown[]) => unknown> }
        ).adastra[key]?.(...given),
      [name, args] as const,
    ) as Promise<T>;

  it.each(Object.keys(OPTIMIZERS))(
    "%s follows the interpreter closely, and resumes to the bit",
    async (name) => {
      const outcome = await ask<OptimizerOutcome>("optimizer", name, STEPS);
      const { params, gradients } = problem(STEPS);
      const make = OPTIMIZERS[name] as () => Optimizer;
      const here = compileOptimizer(make(), { params, learningRate: 0.05, backend: "evaluate" });
      for (const each of gradients) {
        here.step(each);
      }
      for (const [got, want] of [
        [outcome.params, here.params],
        [outcome.evaluation, here.evaluationParams()],
      ] as const) {
        for (const [path, { data }] of Object.entries(want)) {
          const device = Array.from(got[path]?.data ?? []);
          expect(device).toHaveLength(data.length);
          // A division may err by 2.5 ULP, a root by more: 12 steps of 0.05 with some ten such operations each, on
          // parameters up to 4. A wrong formula is off by the size of a step.
          device.forEach((value, i) => {
            expect(Math.abs(value - (data[i] as number))).toBeLessThan(2e-5);
          });
        }
      }
      expect(outcome.state).toEqual(outcome.unbroken);
      // The state is one of every backend's: it goes on here.
      here.load(outcome.state);
      expect(here.count).toBe(STEPS);
    },
  );

  describe("every row of the catalogue", () => {
    /** Rows that the device refuses, each with what it says. */
    const REFUSED: Readonly<Record<string, RegExp>> = {
      ...refusals('no matrix products, which ".*muon', [
        "muon",
        "muon everywhere",
        "muon torch decoupled",
        "clip+muon",
        "cprop(muon)",
      ]),
      ...refusals("no state in 8 bits", ["adam int8", "lamb int8", "ema int8"]),
    };

    it("names as refused only rows that there are", () => {
      const rows = CATALOGUE.map(([name]) => name);
      expect(Object.keys(REFUSED).filter((name) => !rows.includes(name))).toEqual([]);
    });

    // SwiftShader compiles the 200 instructions of adaiv2's power for a minute or more.
    it.each(CATALOGUE)("%s", { timeout: 900_000 }, async (name, optimizer, learningRate) => {
      const outcome = await ask<RowOutcome | string>("row", name, STEPS);
      const refusal = REFUSED[name];
      if (refusal !== undefined || typeof outcome === "string") {
        expect(outcome).toMatch(refusal ?? /^$/);
        return;
      }
      const { params, gradients } = problem(STEPS);
      const options = { params, learningRate, seed: SEED, backend: "evaluate" } as const;
      const here = compileOptimizer(optimizer, options);
      for (const each of gradients) {
        here.step(each);
      }
      const want = here.save();
      expect(outcome.stateBytes).toBe(here.stateBytes);
      // What was saved half-way goes on to the same bits on the device.
      expect(outcome.state).toEqual(outcome.first);
      if (here.plans.every(({ step, before }) => ![step, ...before].some(addsUp))) {
        // This adapter rounds to nearest: only sums over elements differ from the interpreter's.
        expect(outcome.state).toEqual(want);
        expect(outcome.evaluation).toEqual(here.evaluationParams());
      }
      // A sum loses at most 1.5e-6 of itself, and a step moves a parameter by less than its size or 1: 12 steps.
      const close = (got: ArrayLike<number>, reference: ArrayLike<number>): void => {
        expect(got).toHaveLength(reference.length);
        Array.from(reference, (value, i) =>
          expect(Math.abs(value - got[i]!)).toBeLessThan(
            12 * 1.5e-6 * Math.max(1, Math.abs(value)),
          ),
        );
      };
      for (const [path, { data }] of Object.entries(here.evaluationParams())) {
        close(outcome.state.leaves[path]!.params, want.leaves[path]!.params);
        close(outcome.evaluation[path]!.data, data);
      }
      // And here.
      here.load(outcome.halfway);
      expect(here.save()).toEqual(outcome.halfway);
      for (const each of gradients.slice(STEPS / 2)) {
        here.step(each);
      }
      for (const [path, { params: gone }] of Object.entries(here.save().leaves)) {
        close(outcome.state.leaves[path]!.params, gone);
      }
    });
  });

  // SwiftShader compiles kernels of some 17 sums and maxima for seconds.
  it.each(["adam", "radam torch", "adashift max", "clip+adam", "centralise+adam", "adafactor"])(
    "%s is inspected over all elements as the interpreter does, and steps to the same bits",
    { timeout: 120_000 },
    async (name) => {
      const { statistics, state, plain } = await ask<InspectedOutcome>("inspected", name, STEPS);
      expect(state).toEqual(plain);
      const [, optimizer, learningRate] = CATALOGUE.find(([row]) => row === name)!;
      const { params, gradients } = problem(STEPS);
      const options = { params, learningRate, inspect: true, backend: "evaluate" } as const;
      const here = compileOptimizer(optimizer, options);
      for (const [i, each] of gradients.entries()) {
        const want = here.step(each, { inspect: "all" }).statistics;
        const got = new Map(numbersOf(statistics[i]));
        const wanted = numbersOf(want);
        expect([...got.keys()].toSorted()).toEqual(wanted.map(([path]) => path).toSorted());
        for (const [path, value] of wanted) {
          const found = got.get(path) as number;
          if (Number.isFinite(value)) {
            // A sum loses at most 1.5e-6 of itself, numbers of 12 steps ten times that; a correlation by its docstring 0.01.
            const most = path.endsWith("correlation") ? 0.01 : 1e-4 * Math.abs(value);
            expect(Math.abs(found - value), `${path}: ${found}, here ${value}`).toBeLessThanOrEqual(
              most,
            );
          } else {
            expect(found, path).toBe(value);
          }
        }
      }
    },
  );

  it("leave everything as it was for a bad gradient, and say what is wrong", async () => {
    const { skipped, untouched, thrown, stranger, count, lost, after } =
      await ask<Record<string, string>>("optimizerMishaps");
    expect(skipped).toEqual({ status: "skipped" });
    expect(untouched).toEqual(problem(1).params);
    expect(thrown).toMatch(/^step: gradient of leaf "bias" must be finite at step 1, got NaN/);
    expect(stranger).toMatch(
      /^step: gradients must belong to leaves, got "other"; leaves are kernel/,
    );
    expect(count).toBe(0);
    expect(lost).toMatch(/^\w+: the GPU device must stay until results are read, got its loss/);
    expect(after).toMatch(
      /^step: the state on the device must be whole, got a step that failed half-way; load a saved state$/,
    );
  });
});
