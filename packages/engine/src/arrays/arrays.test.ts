import {
  add,
  compileOptimizer,
  defineOptimizer,
  delay,
  erf,
  mul,
  mulberry32,
  type NamedInputs,
  neg,
  newtonSchulz,
  type Optimizer,
  type Random,
  type Scope,
  sum,
  windowSum,
} from "@adastra/core";
import {
  type Expr,
  evaluateStep,
  type Program,
  startTensor,
  toProgram,
} from "@adastra/core/program";
import { describe, expect, it } from "vitest";
import { CATALOGUE } from "../../testing/catalogue.ts";
import { plainArrays } from "../../testing/plainArrays.ts";
import { Evaluation, type LeafValues } from "./evaluate.ts";
import type { Value } from "./ops.ts";
import { requireSteps, type StepProgram, stepPrograms, updateOf } from "./stepProgram.ts";

const SIZES = [1, 3, 20, 0, 8];
/** The program of a single leaf, a vector. */
function stepProgram(program: Program, size = 3): StepProgram {
  const [only] = stepPrograms(program, [{ path: "x", shape: [size] }]).programs;
  return only as StepProgram;
}

const g: Expr = { op: "input", name: "g", scope: "element" };

it("keeps what core keeps of windows over matrix stages", () => {
  const stage = (x: Expr): Expr => newtonSchulz(x, [[1, 2, 3]]);
  for (const term of [
    (g: Expr) => stage(mul(2, delay(g, 2))),
    (g: Expr) => add(g, stage(mul(0.5, g))),
    (g: Expr) => add(stage(delay(add(g, 1), 2)), delay(mul(g, g), 5)),
  ]) {
    const program = ({ g }: NamedInputs) => ({ update: windowSum(term(g), 0.9, 3), next: {} });
    expectKept(defineOptimizer("stages", {}, program), [3, 4]);
  }
});

/** Holds arrays, their order and lengths, and numbers of the host to those of core's plan. */
function expectKept(optimizer: Optimizer, shape: readonly number[] = [3]): void {
  const kept = stepPrograms(toProgram(optimizer), [{ path: "x", shape }])
    .programs[0] as StepProgram;
  const { plans } = compileOptimizer(optimizer, {
    params: { x: { shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) } },
    learningRate: 0.1,
  });
  const plan = plans[0] as (typeof plans)[number];
  const arrays = [
    ...kept.states.filter(({ scope }) => scope === "element").map(({ key }) => [key, 1]),
    ...kept.windows.map(({ key }) => [key, 1]),
    ...kept.histories.filter(({ key }) => key !== "g").map(({ key, length }) => [key, length]),
  ];
  expect(arrays).toEqual(
    plan.arrays
      .slice(2)
      .filter(({ work }) => work !== true)
      .map(({ name, slots }) => [name, slots]),
  );
  const ofGradient = kept.histories.find(({ key }) => key === "g")?.length ?? 0;
  expect(ofGradient).toBe((plan.arrays[1]?.slots ?? 0) - 1);
  const ofHost = kept.states.filter(({ scope }) => scope !== "element");
  expect(ofHost.map(({ key, scope }) => [key, scope])).toEqual(
    plan.hostState.map(({ key, scope }) => [key, scope]),
  );
  expect(kept.queues.map(({ length }) => length)).toEqual(
    plan.step.host.queues.map(({ length }) => length),
  );
}

describe.each(CATALOGUE)("%s over plain arrays", (_, optimizer, learningRate) => {
  it.each(["t and the rate as numbers", "t and the rate on the device"])(
    "follows the program's definition, with %s",
    (where) => {
      const program = toProgram(optimizer);
      const random = mulberry32(5);
      const starts = SIZES.map((size) => draw(size, random));
      const byDefinition = starts.map((start) => startTensor(program, start));
      const steps = new Steps(program, starts, where.endsWith("device"));
      for (let t = 0; t < 30; t++) {
        const gradients = SIZES.map((size) => draw(size, random));
        evaluateStep(program, byDefinition, gradients, learningRate);
        steps.step(gradients, learningRate);
      }
      byDefinition.forEach(({ params }, leaf) => {
        params.forEach((x, i) => {
          const got = steps.params[leaf]?.[i] as number;
          // Float64 with sums in another order, over 30 steps. One row takes erf by core's float32
          // program, whose error is 9e-8 of the conformity that scales each update.
          const tolerance = optimizer.name === "cprop(adashift)" ? 1e-6 : 1e-11;
          expect(Math.abs(got - x)).toBeLessThan(tolerance * Math.max(1, Math.abs(x)));
        });
      });
    },
  );

  it("keeps what core's compiled optimizer keeps, under the same names", () => {
    expectKept(optimizer);
  });

  it("gives running sums that core continues", () => {
    const params = { x: { shape: [3], data: Float64Array.of(1, -2, 3) } };
    const compiled = compileOptimizer(optimizer, { params, learningRate, dtype: "float64" });
    const steps = new Steps(toProgram(optimizer), [params.x.data], false);
    const random = mulberry32(8);
    for (let t = 0; t < 17; t++) {
      const gradient = draw(3, random);
      compiled.step({ x: gradient });
      steps.step([gradient], learningRate);
    }
    const kept = compiled.save().leaves.x?.arrays ?? {};
    for (const { key, sum: expr } of steps.programs[0]?.windows ?? []) {
      const value = steps.evaluate(expr) as Float64Array;
      value.forEach((x, i) => {
        // Continued 17 times against summed anew, in float64.
        expect(Math.abs(x - (kept[key]?.[0]?.[i] as number))).toBeLessThan(1e-12);
      });
    }
  });
});

describe("stepProgram", () => {
  it("finds per-tensor state that no array touches", () => {
    const hosted = CATALOGUE.flatMap(([name, optimizer]) =>
      stepProgram(toProgram(optimizer))
        .states.filter(({ onHost }) => onHost)
        .map(({ key }) => `${name}: ${key}`),
    );
    expect(hosted).toEqual(["averaged rate: rate"]);
  });

  it("refuses what core refuses", () => {
    const bad = defineOptimizer("bad", {}, () => ({
      update: { op: "input", name: "h", scope: "element" },
      next: {},
    }));
    expect(() => stepProgram(toProgram(bad))).toThrow(
      'verifyProgram: in "bad", inputs must be declared state of their scope, got "h" (element)',
    );
  });
});

describe("requireSteps", () => {
  it("refuses calls before the step, by name", () => {
    const step = () => ({ update: neg(g), next: {} });
    const optimizer = {
      name: "twice",
      state: {},
      step,
      before: [{ status: "ascended" as const, step }],
    };
    expect(() => requireSteps("toJax", toProgram(optimizer))).toThrow(
      'toJax: the optimizer must take its steps in one call, got "twice" with calls before them (ascended); use core\'s kernels',
    );
  });
});

describe("Evaluation", () => {
  const at = (e: Expr, x: Float64Array): Value<Float64Array> => {
    const leaf: LeafValues<Float64Array> = {
      shape: [x.length],
      step: 1,
      input: () => x,
      past: () => 0,
    };
    return new Evaluation(plainArrays, [leaf], new Set()).value(e, 0);
  };

  it("takes core's program for a function that the library lacks", () => {
    const [a, b] = at(erf(g), Float64Array.of(0.5, -3)) as Float64Array;
    // Largest error of the float32 program, in `expandMath`'s docstring.
    expect(Math.abs((a as number) - 0.5204998778130465)).toBeLessThan(9e-8);
    expect(Math.abs((b as number) + 0.9999779095030014)).toBeLessThan(9e-8);
  });

  it("reads exponents exactly, powers of two and their neighbours included", () => {
    const powers = Array.from({ length: 61 }, (_, i) => 2 ** (i - 30));
    const xs = powers.flatMap((x) => [x * (1 - 2 ** -53), x, x * (1 + 2 ** -52)]);
    const found = at({ op: "exponent", a: g }, Float64Array.from(xs)) as Float64Array;
    expect(Array.from(found)).toEqual(powers.flatMap((_, i) => [i - 31, i - 30, i - 30]));
    const back = at({ op: "exp2i", a: { op: "exponent", a: g } }, Float64Array.from(powers));
    expect(Array.from(back as Float64Array)).toEqual(powers);
  });

  it("sums a number over all elements, and nothing over none", () => {
    const one: Expr = { op: "const", value: 1 };
    expect(at(sum(one), new Float64Array(7))).toBe(7);
    expect(at(sum(g), new Float64Array(0))).toBe(0);
    expect(at(sum(add(g, 1), "all"), Float64Array.of(1, 2))).toEqual(Float64Array.of(5));
  });

  it("sums a window that nobody prepared", () => {
    const e: Expr = { op: "window", a: g, decay: 0.5, length: 3 };
    const leaf = {
      shape: [1],
      step: 1,
      input: () => Float64Array.of(1),
      past: (_: Expr, n: number) => 10 * n,
    };
    expect(new Evaluation(plainArrays, [leaf], new Set()).value(e, 0)).toEqual(
      Float64Array.of(1 + 0.5 * 10 + 0.25 * 20),
    );
  });
});

describe("updateOf", () => {
  it("is what is added to the parameter, a projection's difference included", () => {
    const one: Expr = { op: "const", value: 1 };
    const update = mul(2, g);
    const plain = defineOptimizer("plain", {}, () => ({ update, next: {} }));
    expect(updateOf(toProgram(plain)).params).toBe(update);
    const pinned = defineOptimizer("pinned", {}, () => ({ update, params: one, next: {} }));
    const p: Expr = { op: "input", name: "p", scope: "element" };
    expect(updateOf(toProgram(pinned)).params).toEqual({ op: "sub", a: one, b: p });
  });
});

function draw(size: number, random: Random): Float64Array {
  return Float64Array.from({ length: size }, () => random.normal());
}

/** Steps over plain arrays: what an adapter does, without a library. */
class Steps {
  readonly params: Float64Array[];
  readonly programs: readonly StepProgram[];
  private readonly common: ReadonlySet<Expr>;
  private readonly hyperparameters: Readonly<Record<string, number>>;
  private readonly states: Map<string, Value<Float64Array>>[];
  private readonly past: Map<Expr, Value<Float64Array>[]>[];
  private readonly onDevice: boolean;
  private count = 0;

  constructor(program: Program, starts: readonly Float64Array[], onDevice: boolean) {
    const leaves = starts.map(({ length }, i) => ({ path: `x${i}`, shape: [length] }));
    const { programs, common, hyperparameters } = stepPrograms(program, leaves);
    this.programs = programs;
    this.common = common;
    this.hyperparameters = Object.fromEntries(
      Object.entries(hyperparameters).map(([key, { value }]) => [key, value]),
    );
    this.onDevice = onDevice;
    this.params = starts.map((start) => start.slice());
    this.states = starts.map(
      (start, leaf) =>
        new Map(
          (programs[leaf]?.states ?? []).map(({ key, scope, init, onHost }) => {
            if (init === "params") {
              return [key, start.slice()] as const;
            }
            const size = sizeIn(scope, start.length);
            return [key, onHost ? init : new Float64Array(size).fill(init)] as const;
          }),
        ),
    );
    this.past = starts.map(() => new Map());
  }

  step(gradients: readonly Float64Array[], learningRate: number): void {
    const evaluation = this.evaluation(gradients, learningRate);
    const after = this.params.map((before, leaf) => {
      const { states, result, historyOf } = this.programs[leaf] as StepProgram;
      return {
        params: spread(evaluation.value(result, leaf), before.length),
        states: states.map(({ key, scope, next, onHost }) => {
          const value = evaluation.value(next, leaf);
          return [key, onHost ? value : spread(value, sizeIn(scope, before.length))] as const;
        }),
        past: [...historyOf.keys()].map((e) => [e, evaluation.value(e, leaf)] as const),
      };
    });
    after.forEach(({ params, states: next, past }, leaf) => {
      this.params[leaf] = params;
      this.states[leaf] = new Map(next);
      for (const [e, value] of past) {
        const known = this.past[leaf]?.get(e) ?? [];
        this.past[leaf]?.set(
          e,
          [...known, value].slice(-(this.programs[leaf]?.historyOf.get(e)?.length ?? 0)),
        );
      }
    });
    this.count += 1;
  }

  /** The value of `e` for the first leaf, before a step. */
  evaluate(e: Expr): Value<Float64Array> {
    return this.evaluation([], 0).value(e, 0);
  }

  private evaluation(gradients: readonly Float64Array[], rate: number): Evaluation<Float64Array> {
    const known = (x: number): Value<Float64Array> => (this.onDevice ? Float64Array.of(x) : x);
    const [t, lr] = [known(this.count + 1), known(rate)];
    const leaves = this.params.map((params, leaf): LeafValues<Float64Array> => {
      const inputs: Record<string, Value<Float64Array> | undefined> = {
        ...this.hyperparameters,
        g: gradients[leaf],
        p: params,
        t,
        lr,
      };
      return {
        shape: [params.length],
        step: this.count,
        sites: (this.programs[leaf] as StepProgram).sites,
        input: (name) => inputs[name] ?? (this.states[leaf]?.get(name) as Value<Float64Array>),
        past: (e, steps) => this.past[leaf]?.get(e)?.at(-steps) ?? 0,
      };
    });
    return new Evaluation(plainArrays, leaves, this.common);
  }
}

/** Numbers of a scope over a vector, which is a single row. */
function sizeIn(scope: Scope, length: number): number {
  return scope === "element" || scope === "column" ? length : 1;
}

function spread(value: Value<Float64Array>, size: number): Float64Array {
  if (typeof value !== "number" && value.length === size) {
    return value.slice();
  }
  return new Float64Array(size).fill(typeof value === "number" ? value : (value[0] as number));
}
