import { describe, expect, it } from "vitest";
import type { CompileOptions } from "./compiledOptimizer.ts";
import { compileOptimizer } from "./compileOptimizer.ts";
import { byLeaf, mul, neg, square } from "./expr/build.ts";
import {
  type EvaluatedTensor,
  evaluateElements,
  evaluateStep,
  startTensor,
} from "./expr/evaluate.ts";
import { type Expr, scopeOf } from "./expr/node.ts";
import type { Magnitude, Statistics, TensorStatistics, ValueStatistics } from "./inspect.ts";
import { defineOptimizer, type Optimizer, toProgram } from "./optimizer.ts";
import { adabelief } from "./optimizers/adabelief.ts";
import { adabound } from "./optimizers/adabound.ts";
import { adafactor } from "./optimizers/adafactor.ts";
import { adagrad } from "./optimizers/adagrad.ts";
import { adai } from "./optimizers/adai.ts";
import { adam, adamw, amsgrad } from "./optimizers/adam.ts";
import { adamnc } from "./optimizers/adamnc.ts";
import { adashift } from "./optimizers/adashift.ts";
import { cprop, cpropAdam } from "./optimizers/cprop.ts";
import { fastAdaBelief, sadam } from "./optimizers/fastAdaBelief.ts";
import { muon } from "./optimizers/muon.ts";
import { nadam } from "./optimizers/nadam.ts";
import { padam } from "./optimizers/padam.ts";
import { radam } from "./optimizers/radam.ts";
import { rmsprop } from "./optimizers/rmsprop.ts";
import { sgd } from "./optimizers/sgd.ts";
import { yogi } from "./optimizers/yogi.ts";
import { mulberry32 } from "./random.ts";
import { type Block, sampleOf } from "./runtime/sample.ts";
import { centralise } from "./transforms/centralise.ts";
import { chain } from "./transforms/chain.ts";
import { clipByGlobalNorm } from "./transforms/clip.ts";
import { compress } from "./transforms/compress.ts";

/** One row an optimizer, and the values that it names. */
const CATALOGUE: readonly (readonly [string, Optimizer, readonly string[]])[] = [
  ["sgd", sgd(), []],
  ["sgd momentum", sgd({ momentum: 0.9 }), ["trace"]],
  ["adam", adam(), ["effectiveRate", "v"]],
  ["adamw", adamw(), ["effectiveRate", "v"]],
  ["adam l2", adam({ weightDecay: 1e-2 }), ["effectiveRate", "v"]],
  ["amsgrad torch", amsgrad(), ["effectiveRate", "v"]],
  ["amsgrad optax", amsgrad({ convention: "optax" }), ["effectiveRate", "v"]],
  ["amsgrad inplace", amsgrad({ convention: "inplace" }), ["effectiveRate", "v"]],
  ["adagrad torch", adagrad(), ["v"]],
  ["adagrad optax", adagrad({ convention: "optax" }), ["v"]],
  ["rmsprop centered", rmsprop({ centered: true, momentum: 0.5 }), ["effectiveRate", "v"]],
  ["rmsprop optax", rmsprop({ convention: "optax" }), ["effectiveRate", "v"]],
  ["nadam torch", nadam(), ["effectiveRate", "v"]],
  ["nadam optax", nadam({ convention: "optax" }), ["effectiveRate", "v"]],
  ["radam", radam({ b2: 0.9 }), ["rectification", "v"]],
  ["adabelief", adabelief(), ["belief", "effectiveRate"]],
  ["yogi", yogi(), ["effectiveRate", "v"]],
  ["adabound", adabound(), ["effectiveRate", "v"]],
  ["padam", padam(), ["v"]],
  ["adamnc", adamnc(), ["effectiveRate", "v"]],
  ["adashift max", adashift({ n: 3 }), ["effectiveRate", "v"]],
  ["adashift none", adashift({ n: 3, phi: "none" }), ["effectiveRate", "v"]],
  ["adashift step", adashift({ n: 2, phi: "none", gate: "step" }), ["effectiveRate", "v"]],
  ["adai", adai(), ["inertia", "v"]],
  ["fastAdaBelief", fastAdaBelief({ schedule: "constant" }), ["belief", "effectiveRate"]],
  ["fastAdaBelief box", fastAdaBelief({ box: 1 }), ["belief", "effectiveRate"]],
  ["sadam", sadam(), ["effectiveRate", "v"]],
  ["cpropAdam", cpropAdam(), ["conformity", "effectiveRate", "v"]],
  ["cprop(cprop(adai))", cprop(cprop(adai())), ["2.conformity", "conformity", "inertia", "v"]],
  ["clip+adam", chain(clipByGlobalNorm(1), adam()), ["effectiveRate", "v"]],
  ["rmsprop+adam", chain(rmsprop(), adam()), ["2.effectiveRate", "2.v", "effectiveRate", "v"]],
];

const SHAPES: readonly (readonly number[])[] = [[], [3], [4, 5], [67], [0], [2, 129]];
const RATE = 0.01;
const STEPS = 12;

function draw(random: ReturnType<typeof mulberry32>, shapes = SHAPES): Float64Array[] {
  return shapes.map((shape) =>
    Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal()),
  );
}

function bind(
  optimizer: Optimizer,
  starts: readonly Float64Array[],
  options: Partial<CompileOptions>,
  shapes = SHAPES,
) {
  const params = Object.fromEntries(
    starts.map((data, i) => [`w${i}`, { shape: shapes[i] as readonly number[], data }]),
  );
  return compileOptimizer(optimizer, { params, learningRate: RATE, ...options });
}

const named = (arrays: readonly Float64Array[]): Record<string, Float64Array> =>
  Object.fromEntries(arrays.map((data, i) => [`w${i}`, data]));

const total = (x: Float64Array, f: (x: number, i: number) => number): number =>
  x.reduce((sum, value, i) => sum + f(value, i), 0);

/** How many elements each number stands for: one, if all are looked at. */
type Weights = Float64Array;

function magnitude(x: Float64Array, weights: Weights): Magnitude {
  const squares = total(x, (value, i) => (weights[i] as number) * value * value);
  return {
    norm: Math.sqrt(squares),
    rms: Math.sqrt(squares / total(weights, (weight) => weight)),
    max: Math.max(...x.map(Math.abs)),
  };
}

function mean(x: Float64Array, weights: Weights): number {
  return (
    total(x, (value, i) => (weights[i] as number) * value) / total(weights, (weight) => weight)
  );
}

/** Pearson's correlation by its definition: deviations from the means first. */
function correlation(x: Float64Array, y: Float64Array, weights: Weights): number {
  const deviations = [x, y].map((each) => {
    const center = mean(each, weights);
    return each.map((value) => value - center);
  });
  const [dx, dy] = deviations as [Float64Array, Float64Array];
  const [sizeX, sizeY] = deviations.map((each) => magnitude(each, weights).rms) as [number, number];
  const least = [x, y].map((each) => magnitude(each, weights).rms / 256);
  if (!(sizeX > (least[0] as number) && sizeY > (least[1] as number))) {
    return Number.NaN;
  }
  const products = dx.map((value, i) => value * (dy[i] as number));
  return mean(products, weights) / sizeX / sizeY;
}

/** Every statistic by its definition, of arrays in float64. */
function define(
  g: Float64Array,
  p: Float64Array,
  update: Float64Array,
  values: Readonly<Record<string, Float64Array>>,
  program: { readonly inspect: Readonly<Record<string, Expr>> },
  weights: Weights,
): TensorStatistics {
  const [gradient, parameter, change] = [g, p, update].map((x) => magnitude(x, weights)) as [
    Magnitude,
    Magnitude,
    Magnitude,
  ];
  return {
    elements: Math.round(total(weights, (weight) => weight)),
    sampled: g.length,
    gradient,
    parameter,
    update: change,
    updateRatio: change.rms / parameter.rms,
    stepSize: change.rms / gradient.rms,
    values: Object.fromEntries(
      Object.entries(values).map(([name, x]) => {
        const isArray = scopeOf(program.inspect[name] as Expr) === "element";
        const statistics = {
          mean: mean(x, weights),
          rms: magnitude(x, weights).rms,
          min: Math.min(...x),
          max: Math.max(...x),
        };
        const squares = g.map((value) => value * value);
        return [
          name,
          isArray && /(^|\.)v$/.test(name)
            ? { ...statistics, correlation: correlation(squares, x, weights) }
            : statistics,
        ];
      }),
    ),
  };
}

const joined = (arrays: readonly Float64Array[]): Float64Array =>
  Float64Array.from(arrays.flatMap((each) => [...each]));

/** Numbers of a nested record by path. */
function leavesOf(value: unknown, path = ""): [string, number][] {
  return typeof value === "number"
    ? [[path, value]]
    : Object.entries(value as object).flatMap(([key, inner]) => leavesOf(inner, `${path}/${key}`));
}

function expectClose(got: unknown, want: unknown, tolerance: number): void {
  const [known, wanted] = [leavesOf(got), leavesOf(want)];
  expect(known.map(([path]) => path).toSorted()).toEqual(wanted.map(([path]) => path).toSorted());
  const at = new Map(known);
  for (const [path, value] of wanted) {
    const found = at.get(path) as number;
    if (Number.isFinite(value)) {
      const most = tolerance * Math.max(Math.abs(value), path.endsWith("correlation") ? 1 : 0);
      expect(
        Math.abs(found - value),
        `${path}: ${found}, by definition ${value}`,
      ).toBeLessThanOrEqual(most + 1e-300);
    } else {
      expect(found, path).toBe(value);
    }
  }
}

/** Holds statistics of steps in float64 to their definition over the elements of `sampled`. */
function expectDefined(
  optimizer: Optimizer,
  shapes: typeof SHAPES,
  inspect: true | "all",
  sampled: (n: number, t: number) => readonly Block[],
  steps: number,
): void {
  const random = mulberry32(7);
  const program = toProgram(optimizer);
  const starts = draw(random, shapes);
  const tensors = starts.map(
    (start, i): EvaluatedTensor =>
      startTensor(program, start, { path: `w${i}`, shape: shapes[i] as readonly number[] }),
  );
  const compiled = bind(optimizer, starts, { dtype: "float64", inspect: true }, shapes);
  for (let t = 1; t <= steps; t++) {
    const g = draw(random, shapes);
    const values = evaluateElements(program, tensors, g, RATE, program.inspect);
    const before = tensors.map(({ params }) => params);
    evaluateStep(program, tensors, g, RATE);
    const updates = tensors.map(({ params }, i) =>
      params.map((x, j) => x - (before[i]?.[j] as number)),
    );
    const { statistics } = compiled.step(named(g), { inspect });
    const blocks = g.map(({ length }) => sampled(length, t));
    const picked = (arrays: readonly Float64Array[]): Float64Array[] =>
      arrays.map((x, i) => joined((blocks[i] ?? []).map(([from, to]) => x.subarray(from, to))));
    const [gs, ps, us] = [g, before, updates].map(picked) as [
      Float64Array[],
      Float64Array[],
      Float64Array[],
    ];
    const vs = Object.keys(program.inspect).map(
      (name) => [name, picked(values.map((each) => each[name] as Float64Array))] as const,
    );
    const weights = gs.map((x, i) => x.map(() => (g[i] as Float64Array).length / x.length));
    const over = (which: (arrays: readonly Float64Array[]) => Float64Array): TensorStatistics =>
      define(
        which(gs),
        which(ps),
        which(us),
        Object.fromEntries(vs.map(([name, arrays]) => [name, which(arrays)])),
        program,
        which(weights),
      );
    const tensorwise = g.flatMap(({ length }, i) =>
      length > 0 ? [[`w${i}`, over((arrays) => arrays[i] as Float64Array)]] : [],
    );
    // Roundings of up to 350 terms and, in p' − p, of parameters near 1 against updates near 1e-5: 1e-16/1e-5.
    // The correlation loses as many digits again where v hardly varies.
    expectClose(statistics, { tensors: Object.fromEntries(tensorwise), model: over(joined) }, 1e-8);
    expect(Object.keys(statistics?.model.values ?? {}).toSorted()).toEqual(
      Object.keys(program.inspect).toSorted(),
    );
  }
}

/** Of 1030 and 1100 elements a sample is half, of [2600] a fifth; blocks of [11, 100] begin and end within rows. */
const LARGE: readonly (readonly number[])[] = [[1030], [11, 100], [2600], [7]];

describe.each([
  ["adam", adam()],
  ["adashift, windows", adashift({ n: 3 })],
  ["adai, sums of all tensors", adai()],
  ["clipped by the global norm", chain(clipByGlobalNorm(0.5), adam())],
  ["a ball, passes that are not needed", fastAdaBelief({ ball: 30, schedule: "constant" })],
  ["a ball that holds all, passes that are not needed", fastAdaBelief({ ball: 1e3 })],
  ["cprop", cpropAdam()],
  ["rows and columns", adafactor()],
  ["centralised, numbers of rows", chain(centralise(), adam())],
  ["a matrix stage", muon({ mask: "**" })],
  ["a matrix stage within", cprop(muon({ mask: "**" }))],
])("of a sample, %s", (_, optimizer) => {
  it("statistics are those of exactly the elements of the sample", () => {
    expectDefined(optimizer, LARGE, true, sampleOf, 6);
  });

  it("statistics of all elements are those of all", () => {
    expectDefined(optimizer, LARGE, "all", (n) => [[0, n]], 3);
  });
});

/** Elements of one block of state in 8 bits. */
const BLOCK = 256;

describe.each(["wasm", "js", "evaluate"] as const)(
  "of a sample of state in 8 bits, on %s",
  (backend) => {
    it("statistics are those of the blocks of the sample, each with its own scale", () => {
      const random = mulberry32(19);
      const gradients = Array.from({ length: 3 }, () =>
        Float32Array.from({ length: BLOCK }, () => random.normal()),
      );
      const vOf = (blocks: number) => {
        // Block b holds 2^b times what block 0 holds: v is 4^b times what it is there.
        const repeat = (block: Float32Array): Float32Array =>
          Float32Array.from({ length: blocks * BLOCK }, (_, i) => {
            const scale = 2 ** Math.floor(i / BLOCK);
            return scale * (block[i % BLOCK] as number);
          });
        const params = { x: { shape: [blocks * BLOCK], data: new Float32Array(blocks * BLOCK) } };
        const compiled = compileOptimizer(compress(adam(), { mu: "int8", nu: "int8" }), {
          params,
          learningRate: RATE,
          backend,
          inspect: true,
        });
        const taken = gradients.map((g) => compiled.step({ x: repeat(g) }, { inspect: true }));
        return taken.map(({ statistics }) => statistics?.tensors.x?.values.v as ValueStatistics);
      };
      const [one, many] = [vOf(1), vOf(12)];
      for (const [i, v] of many.entries()) {
        const blocks = sampleOf(12 * BLOCK, i + 1).map(([from]) => from / BLOCK);
        const scale = blocks.reduce((sum, b) => sum + 4 ** b, 0) / blocks.length;
        expect(blocks.length).toBe(2);
        // Powers of two change no rounding of elements; sums round in float64.
        expect(Math.abs(v.mean / (one[i] as ValueStatistics).mean / scale - 1)).toBeLessThan(1e-12);
        expect(v.max).toBe(4 ** Math.max(...blocks) * (one[i] as ValueStatistics).max);
      }
    });
  },
);

describe.each(CATALOGUE)("%s", (_, optimizer, names) => {
  it(`is inspected as its definition says, in float64, and names ${names.join(", ") || "nothing"}`, () => {
    expect(Object.keys(toProgram(optimizer).inspect).toSorted()).toEqual(names);
    expectDefined(optimizer, SHAPES, true, (n) => [[0, n]], STEPS);
  });

  it("gives the same statistics on wasm, js and the interpreter, bit for bit, in float32", () => {
    const [wasm, js, evaluate] = (["wasm", "js", "evaluate"] as const).map((backend) => {
      const random = mulberry32(11);
      const compiled = bind(optimizer, draw(random), { backend, inspect: true });
      return Array.from({ length: STEPS }, () =>
        compiled.step(named(draw(random)), { inspect: true }),
      );
    });
    expect(wasm).toEqual(js);
    expect(evaluate).toEqual(js);
  });

  it("takes the same step, bit for bit, whether it is inspected, could be, or could not", () => {
    const [always, sometimes, never] = [() => true, (t: number) => t % 3 === 1, undefined].map(
      (inspected) => {
        const random = mulberry32(13);
        const compiled = bind(optimizer, draw(random), { inspect: inspected !== undefined });
        for (let t = 0; t < STEPS; t++) {
          compiled.step(named(draw(random)), { inspect: inspected?.(t) ?? false });
        }
        return compiled.save();
      },
    );
    expect(always).toEqual(never);
    expect(sometimes).toEqual(never);
  });

  it("has the plan that it has without naming anything", () => {
    const starts = draw(mulberry32(1));
    const silent: Optimizer = {
      ...optimizer,
      step: (inputs) => ({ ...optimizer.step(inputs), inspect: {} }),
    };
    const plain = bind(silent, starts, {}).plans;
    for (const inspect of [false, true]) {
      const plans = bind(optimizer, starts, { inspect }).plans;
      expect(plans.map(({ inspected: _inspected, ...others }) => others)).toEqual(
        plain.map(({ inspected: _inspected, ...others }) => others),
      );
      expect(plans.every(({ inspected }) => (inspected !== undefined) === inspect)).toBe(true);
    }
  });
});

describe("statistics", () => {
  it("stay within float32 rounding of float64", () => {
    const [narrow, wide] = (["float32", "float64"] as const).map((dtype): Statistics => {
      const random = mulberry32(3);
      const compiled = bind(adam(), draw(random), { dtype, inspect: true });
      const taken = Array.from({ length: STEPS }, () =>
        compiled.step(named(draw(random)), { inspect: true }),
      );
      return taken.at(-1)?.statistics as Statistics;
    });
    // Terms rounded to 2^-24 after a dozen operations; a correlation may lose 0.01 by its docstring, here v varies well.
    expectClose(narrow, wide, 1e-5);
  });

  it("do not lose gradients and second moments that float32 cannot square twice", () => {
    const random = mulberry32(5);
    for (const scale of [1e-13, 1e-10, 1, 1e4]) {
      const data = Float64Array.from({ length: 500 }, () => scale * random.normal());
      const [narrow, wide] = (["float32", "float64"] as const).map((dtype) => {
        const params = { x: { shape: [500], data: new Float64Array(500) } };
        const compiled = compileOptimizer(adam({ eps: 0 }), {
          params,
          learningRate: RATE,
          dtype,
          inspect: true,
        });
        compiled.step({ x: data });
        return compiled.step({ x: data.toReversed() }, { inspect: true }).statistics?.tensors.x;
      });
      const [got, want] = [narrow, wide] as [TensorStatistics, TensorStatistics];
      // Rounding, as above.
      const most = 1e-5;
      expect(Math.abs(got.gradient.rms / want.gradient.rms - 1)).toBeLessThan(most);
      const [v, exact] = [got.values.v, want.values.v] as [ValueStatistics, ValueStatistics];
      expect(Math.abs(v.rms / exact.rms - 1)).toBeLessThan(most);
      expect(Math.abs((v.correlation as number) - (exact.correlation as number))).toBeLessThan(
        most,
      );
    }
  });

  it("are of the leaves that took part, and of their elements together", () => {
    const compiled = bind(sgd(), draw(mulberry32(1)), { inspect: true });
    const [x, y] = [Float64Array.of(3, 0, 0), new Float64Array(20).fill(2)];
    const { statistics } = compiled.step(
      { w1: x, w2: y, w4: new Float64Array() },
      { inspect: true },
    );
    expect(Object.keys(statistics?.tensors ?? {})).toEqual(["w1", "w2"]);
    expect(statistics?.tensors.w1?.gradient).toEqual({ norm: 3, rms: Math.sqrt(3), max: 3 });
    expect(statistics?.model.elements).toBe(23);
    expect(statistics?.model.gradient).toEqual({
      norm: Math.sqrt(89),
      rms: Math.sqrt(89 / 23),
      max: 3,
    });
  });

  it("of a step without gradients are those of no element", () => {
    const compiled = bind(adam(), draw(mulberry32(1)), { inspect: true });
    expect(compiled.step({}, { inspect: true }).statistics).toEqual({
      tensors: {},
      model: {
        elements: 0,
        sampled: 0,
        gradient: { norm: 0, rms: 0, max: 0 },
        parameter: { norm: 0, rms: 0, max: 0 },
        update: { norm: 0, rms: 0, max: 0 },
        updateRatio: Number.NaN,
        stepSize: Number.NaN,
        values: {},
      },
    });
  });

  it.each([
    ["adam", adam()],
    ["radam, a value that the host computes", radam({ b2: 0.9 })],
    ["clipped by the global norm", chain(clipByGlobalNorm(0.5), adam())],
  ])("stay those of their step when they are read later, %s", (_, optimizer) => {
    const [late, early] = [false, true].map((reads) => {
      const random = mulberry32(23);
      const compiled = bind(optimizer, draw(random), { inspect: true });
      return Array.from({ length: STEPS }, () => {
        const { statistics } = compiled.step(named(draw(random)), { inspect: true });
        return reads ? structuredClone(statistics) : statistics;
      });
    });
    expect(late).toEqual(early);
    expect(JSON.stringify(late)).toBe(JSON.stringify(early));
  });

  it("follow a value that is chosen leaf by leaf", () => {
    const half = defineOptimizer("half", {}, ({ g, lr }) => ({
      update: neg(mul(lr, g)),
      next: {},
      inspect: { v: byLeaf(({ shape }) => shape.length === 1, square(g), 2) },
    }));
    const compiled = bind(half, draw(mulberry32(1)), { inspect: true });
    const { statistics } = compiled.step(
      { w1: Float64Array.of(1, 2, 3), w2: new Float64Array(20) },
      { inspect: true },
    );
    // A square of its own gradient; a constant, which does not vary.
    expect(statistics?.tensors.w1?.values.v?.correlation).toBe(1);
    expect(statistics?.tensors.w2?.values.v?.correlation).toBeNaN();
    expect(statistics?.model.values.v).toMatchObject({ mean: 54 / 23, min: 1, max: 9 });
  });

  it("are not given by steps that do not ask, that are skipped, or that were not compiled for it", () => {
    const starts = draw(mulberry32(1));
    const compiled = bind(adam(), starts, { inspect: true, nonFinite: "skip" });
    expect(compiled.step(named(starts))).toEqual({ status: "stepped" });
    const bad = { w1: Float64Array.of(1, Number.NaN, 1) };
    expect(compiled.step(bad, { inspect: true })).toEqual({ status: "skipped" });
    expect(() => bind(adam(), starts, {}).step(named(starts), { inspect: "all" })).toThrow(
      "step: the optimizer must be compiled to be inspected, got `inspect` without; pass inspect: true to compileOptimizer",
    );
  });

  it("are refused for another `inspect` before anything changes", () => {
    const starts = draw(mulberry32(1));
    const compiled = bind(adam(), starts, { inspect: true });
    const before = compiled.save();
    for (const inspect of ["some", 1, 0, null, ""]) {
      const options = { inspect } as unknown as { inspect: true };
      expect(() => compiled.step(named(starts), options)).toThrow(
        `step: \`inspect\` must be true, false or "all", got ${JSON.stringify(inspect)}`,
      );
    }
    expect(Object.values(compiled.gradients).flatMap(({ data }) => [...data])).toEqual(
      starts.flatMap((data) => [...data].map(() => 0)),
    );
    expect(compiled.save()).toEqual(before);
  });
});
