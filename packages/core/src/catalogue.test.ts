import { describe, expect, it } from "vitest";
import type { CompileOptions } from "./compiledOptimizer.ts";
import { compileOptimizer } from "./compileOptimizer.ts";
import type { NumericArray } from "./contracts.ts";
import { add, mean, mul } from "./expr/build.ts";
import { evaluateStep, startTensor } from "./expr/evaluate.ts";
import { type Optimizer, toProgram } from "./optimizer.ts";
import { adabelief } from "./optimizers/adabelief.ts";
import { adabound } from "./optimizers/adabound.ts";
import { adadelta } from "./optimizers/adadelta.ts";
import { adagrad } from "./optimizers/adagrad.ts";
import { adai } from "./optimizers/adai.ts";
import { adam, adamw, amsgrad } from "./optimizers/adam.ts";
import { adamax } from "./optimizers/adamax.ts";
import { adamnc } from "./optimizers/adamnc.ts";
import { adan } from "./optimizers/adan.ts";
import { adashift } from "./optimizers/adashift.ts";
import { cprop, cpropAdam, cpropSgd } from "./optimizers/cprop.ts";
import { fastAdaBelief, sadam } from "./optimizers/fastAdaBelief.ts";
import { lamb } from "./optimizers/lamb.ts";
import { lars } from "./optimizers/lars.ts";
import { lion } from "./optimizers/lion.ts";
import { nadam } from "./optimizers/nadam.ts";
import { padam } from "./optimizers/padam.ts";
import { prodigy } from "./optimizers/prodigy.ts";
import { radam } from "./optimizers/radam.ts";
import { rmsprop } from "./optimizers/rmsprop.ts";
import { rprop } from "./optimizers/rprop.ts";
import { scheduleFreeAdamW, scheduleFreeSgd } from "./optimizers/scheduleFree.ts";
import { sgd } from "./optimizers/sgd.ts";
import { adams, sgds } from "./optimizers/stableDecay.ts";
import { yogi } from "./optimizers/yogi.ts";
import { mulberry32 } from "./random.ts";
import { ema, polyak, swa } from "./transforms/averages.ts";
import { centralise } from "./transforms/centralise.ts";
import { chain } from "./transforms/chain.ts";
import {
  adaptiveClip,
  clipByGlobalNorm,
  clipByTensorNorm,
  clipByValue,
} from "./transforms/clip.ts";
import { compress } from "./transforms/compress.ts";
import { group } from "./transforms/group.ts";
import { lookahead } from "./transforms/lookahead.ts";
import { noise } from "./transforms/noise.ts";
import { decoupledWeightDecay } from "./transforms/weightDecay.ts";

/** One row an optimizer: its program, a rate that suits the parabola, and its state in bytes a float32 parameter. */
const CATALOGUE: readonly (readonly [string, Optimizer, number, number])[] = [
  ["sgd", sgd(), 0.1, 0],
  ["sgd momentum", sgd({ momentum: 0.9 }), 0.02, 4],
  ["sgd nesterov l2", sgd({ momentum: 0.9, nesterov: true, weightDecay: 1e-3 }), 0.02, 4],
  ["sgd dampened", sgd({ momentum: 0.8, dampening: 0.3 }), 0.05, 4],
  ["adam", adam(), 0.05, 8],
  ["adamw", adamw(), 0.05, 8],
  ["amsgrad torch", amsgrad(), 0.05, 12],
  ["amsgrad optax", amsgrad({ convention: "optax" }), 0.05, 12],
  ["amsgrad inplace", amsgrad({ convention: "inplace" }), 0.05, 8],
  ["adagrad torch", adagrad({ learningRateDecay: 1e-3 }), 0.5, 4],
  ["adagrad optax", adagrad({ convention: "optax" }), 0.5, 4],
  ["adagrad optax from zero", adagrad({ convention: "optax", initialAccumulator: 0 }), 0.5, 4],
  ["rmsprop torch", rmsprop(), 0.02, 4],
  ["rmsprop torch momentum", rmsprop({ momentum: 0.7 }), 0.01, 8],
  ["rmsprop torch centered", rmsprop({ centered: true, decay: 0.95 }), 0.005, 8],
  [
    "rmsprop torch centered momentum l2",
    rmsprop({ centered: true, decay: 0.95, momentum: 0.5, weightDecay: 1e-3 }),
    0.005,
    12,
  ],
  ["rmsprop optax", rmsprop({ convention: "optax" }), 0.02, 4],
  ["rmsprop optax momentum", rmsprop({ convention: "optax", momentum: 0.7 }), 0.01, 8],
  ["rmsprop optax centered", rmsprop({ convention: "optax", centered: true }), 0.005, 8],
  ["nadam torch", nadam(), 0.05, 8],
  ["nadam torch decoupled", nadam({ weightDecay: 1e-3, decoupled: true }), 0.05, 8],
  ["nadam optax", nadam({ convention: "optax" }), 0.05, 8],
  ["radam torch", radam(), 0.05, 8],
  ["radam optax", radam({ convention: "optax", b2: 0.99 }), 0.05, 8],
  ["adabelief", adabelief(), 0.02, 8],
  ["yogi", yogi(), 0.05, 8],
  ["yogi from zero", yogi({ initialAccumulator: 0 }), 0.05, 8],
  ["adabound", adabound(), 0.05, 8],
  ["adabound initial rate", adabound({ initialLearningRate: 0.1, gamma: 0.01 }), 0.05, 8],
  ["padam", padam(), 0.1, 12],
  ["padam without max", padam({ max: false }), 0.1, 8],
  ["padam p = 1/8", padam({ partial: 1 / 8 }), 0.1, 12],
  ["padam p = 1/2 without max", padam({ partial: 0.5, max: false }), 0.05, 8],
  ["adamnc", adamnc(), 0.5, 8],
  ["adamnc constant", adamnc({ schedule: "constant" }), 0.05, 8],
  ["adashift max", adashift(), 0.1, 44],
  ["adashift mean", adashift({ phi: "mean", n: 4 }), 0.05, 20],
  ["adashift none", adashift({ phi: "none", n: 3 }), 0.05, 24],
  ["adashift short window", adashift({ n: 5, window: 2, b1: 0.5 }), 0.05, 12],
  ["adashift plain average", adashift({ b1: 1, n: 6 }), 0.05, 28],
  ["adashift no momentum", adashift({ b1: 0, n: 2, phi: "none", gate: "step" }), 0.05, 12],
  // Half the squared gradient, half its mean: an array, reduced in the same step, so two passes.
  [
    "adashift custom phi",
    adashift({ n: 3, phi: (squared) => mul(0.5, add(squared, mean(squared))) }),
    0.05,
    36,
  ],
  ["adashift community", adashift({ warmup: "community", gate: "step", n: 4 }), 0.05, 20],
  ["adashift l2", adashift({ n: 3, weightDecay: 1e-3 }), 0.05, 16],
  ["adashift decoupled", adashift({ n: 3, weightDecay: 1e-3, decoupled: true }), 0.05, 16],
  ["adai", adai(), 0.1, 12],
  ["adaiw", adai({ weightDecay: 1e-3, decay: "decoupled" }), 0.1, 12],
  ["adaiv2", adai({ dampening: 0.5 }), 0.1, 12],
  ["fastAdaBelief", fastAdaBelief({ schedule: "constant" }), 0.02, 12],
  ["fastAdaBelief 1/t box", fastAdaBelief({ box: 10 }), 8, 12],
  ["fastAdaBelief without max", fastAdaBelief({ max: false, schedule: "constant" }), 0.005, 8],
  ["sadam", sadam(), 3, 8],
  ["cpropSgd", cpropSgd({ momentum: 0.9 }), 0.02, 12],
  ["cpropAdam", cpropAdam(), 0.05, 12],
  ["cprop(adashift)", cprop(adashift({ n: 3 }), { cdf: "normal" }), 0.05, 24],
  [
    "cprop(fastAdaBelief)",
    cprop(fastAdaBelief({ schedule: "constant" }), { cdf: "bfo", c: 3 }),
    0.02,
    20,
  ],
  ["cprop(adai)", cprop(adai(), { cdf: "logistic", beta: 0.99 }), 0.1, 16],
  ["lion", lion(), 0.01, 4],
  ["lion decoupled", lion({ b1: 0.95, b2: 0.98, weightDecay: 1e-2 }), 0.01, 4],
  ["adamax", adamax(), 0.05, 8],
  ["adamax l2", adamax({ b2: 0.9, eps: 1e-3, weightDecay: 1e-3 }), 0.05, 8],
  ["adadelta", adadelta({ rho: 0.95, eps: 1e-4 }), 1, 8],
  ["rprop", rprop(), 0.01, 8],
  ["adan", adan(), 0.05, 16],
  ["adan proximal", adan({ b2: 0.8, weightDecay: 1e-2 }), 0.05, 16],
  ["adan decoupled", adan({ weightDecay: 1e-2, decay: "decoupled" }), 0.05, 16],
  ["lamb", lamb(), 0.02, 8],
  ["lamb l2", lamb({ b2: 0.99, weightDecay: 1e-2 }), 0.02, 8],
  ["lars", lars(), 5, 4],
  ["lars nesterov l2", lars({ nesterov: true, eps: 1e-3, weightDecay: 1e-3 }), 5, 4],
  ["lars optax l2", lars({ momentum: 0.5, convention: "optax", weightDecay: 1e-3 }), 20, 4],
  ["lars no momentum", lars({ momentum: 0 }), 50, 0],
  ["scheduleFreeSgd", scheduleFreeSgd(), 0.1, 4],
  [
    "scheduleFreeSgd l2",
    scheduleFreeSgd({ b1: 0.7, weightDecay: 1e-3, warmupSteps: 5, r: 1, weightLrPower: 1 }),
    0.1,
    4,
  ],
  ["scheduleFreeAdamW", scheduleFreeAdamW(), 0.05, 8],
  [
    "scheduleFreeAdamW decoupled",
    scheduleFreeAdamW({ b2: 0.99, weightDecay: 1e-3, convention: "optax" }),
    0.05,
    8,
  ],
  ["prodigy", prodigy({ d0: 0.01 }), 1, 16],
  ["prodigy decoupled", prodigy({ d0: 0.01, growthRate: 1.1, weightDecay: 1e-3 }), 0.5, 16],
  [
    "prodigy l2",
    prodigy({
      b3: 0.9,
      d0: 0.01,
      weightDecay: 1e-3,
      decoupled: false,
      useBiasCorrection: true,
      safeguardWarmup: true,
    }),
    0.5,
    16,
  ],
  ["clip+adan", chain(clipByGlobalNorm(1), adan()), 0.05, 16],
  ["clip+lamb", chain(clipByGlobalNorm(1), lamb()), 0.02, 8],
  ["clip+adam", chain(clipByGlobalNorm(1), adam()), 0.05, 8],
  ["clip+adashift", chain(clipByGlobalNorm(1), adashift({ n: 3 })), 0.05, 16],
  ["clip by value+sgd", chain(clipByValue(1), sgd()), 0.05, 0],
  ["clip by tensor norm+adam", chain(clipByTensorNorm(1), adam()), 0.05, 8],
  ["adaptive clip+sgd", chain(adaptiveClip({ clipping: 0.1 }), sgd()), 0.1, 0],
  ["centralise+adam", chain(centralise(), adam()), 0.05, 8],
  ["adams decoupled", adams({ weightDecay: 1e-3 }), 0.05, 8],
  ["sgds decoupled", sgds({ weightDecay: 1e-3 }), 0.02, 4],
  ["masked decay, decoupled", chain(adam(), decoupledWeightDecay(1e-3, { mask: "*" })), 0.05, 8],
  ["adam+ema", chain(adam(), ema(0.99)), 0.05, 12],
  ["sgd+ema debiased", chain(sgd(), ema(0.9, { debias: true })), 0.1, 4],
  ["sgd+polyak", chain(sgd(), polyak()), 0.1, 4],
  ["sgd+swa", chain(sgd(), swa({ start: 5, every: 3 })), 0.1, 4],
  ["lookahead(adam)", lookahead(adam()), 0.05, 12],
  ["group of one", group({ "**": chain(clipByGlobalNorm(1), adam()) }), 0.05, 8],
  ["noise+adam", chain(noise({ eta: 0.01 }), adam()), 0.05, 8],
  ["adam bf16", compress(adam(), { mu: "bf16", nu: "bf16-stochastic" }), 0.05, 4],
  ["adashift bf16", adashift({ history: "bf16" }), 0.1, 24],
  ["adashift none bf16", adashift({ history: "bf16", phi: "none", n: 3 }), 0.05, 18],
];

const SHAPES: readonly (readonly number[])[] = [[], [3], [4, 5], [67], [0], [8]];

describe.each(CATALOGUE)("%s", (name, optimizer, learningRate, stateBytes) => {
  /** bfloat16 has no float64 to be compared with. */
  const inFloat64 = !name.includes("bf16");

  it(`keeps ${stateBytes} bytes of float32 state a parameter`, () => {
    expect(compileOptimizer(optimizer, { params: randomParams(1), learningRate }).stateBytes).toBe(
      stateBytes,
    );
  });

  it("brings a parabola down", () => {
    const start = [1, -2, 0.5];
    const compiled = bind(optimizer, { x: vector(start) }, learningRate);
    for (let t = 0; t < 400; t++) {
      const x = data(compiled.params, "x");
      compiled.step({ x: x.map((value, i) => value * (i + 1)) });
    }
    const loss = Array.from(data(compiled.params, "x")).reduce(
      (sum, x, i) => sum + 0.5 * (i + 1) * x * x,
      0,
    );
    // From 4.9: every method is past a tenth; none is tuned, and decayed ones stop short of zero.
    expect(loss).toBeLessThan(0.5);
  });

  it("is the same, bit for bit, on wasm, js and the interpreter, at lengths 0 to 67", () => {
    // Leaves with gradients in turn: runs over one leaf of each length, then over all of them.
    const shapes = Array.from({ length: 68 }, (_, length) => [length]);
    const turns = [(i: number) => i % 2 === 0, (i: number) => i % 2 === 1, () => true];
    const [wasm, js, evaluate] = (["wasm", "js", "evaluate"] as const).map((backend) => {
      const random = mulberry32(17);
      const starts = shapes.map((shape) => draw(random, shape));
      const compiled = bind(optimizer, named(starts, shapes), learningRate, { backend });
      expect(compiled.backend).toBe(backend);
      for (let t = 0; t < 12; t++) {
        const takesPart = turns[t % 3] as (i: number) => boolean;
        const gradients = shapes.map((shape, i) => [`w${i}`, draw(random, shape)] as const);
        compiled.step(Object.fromEntries(gradients.filter((_, i) => takesPart(i))));
      }
      return bits(compiled.save());
    });
    expect(wasm).toBe(js);
    expect(evaluate).toBe(js);
  });

  itWhere(!inFloat64, "is refused in float64", () => {
    expect(() => bind(optimizer, { x: vector([1]) }, learningRate, { dtype: "float64" })).toThrow(
      new RangeError(
        `compileOptimizer: bfloat16 in "${optimizer.name}" needs dtype "float32", got "float64"; leave \`dtype\` out, or the format`,
      ),
    );
  });

  itWhere(inFloat64, "is the same in float64 on wasm and js", () => {
    const [wasm, js] = (["wasm", "js"] as const).map((backend) =>
      trajectory(optimizer, SHAPES, learningRate, { backend, dtype: "float64" }, 80),
    );
    expect(wasm?.params).toEqual(js?.params);
  });

  itWhere(inFloat64, "follows the program's definition in float64", () => {
    const program = toProgram(optimizer);
    const random = mulberry32(5);
    const starts = SHAPES.map((shape) => draw(random, shape));
    const tensors = starts.map((start, i) =>
      startTensor(program, start, { path: `w${i}`, shape: SHAPES[i] as readonly number[] }),
    );
    const compiled = bind(optimizer, named(starts, SHAPES), learningRate, { dtype: "float64" });
    for (let t = 0; t < 80; t++) {
      const gradients = SHAPES.map((shape) => draw(random, shape));
      evaluateStep(program, tensors, gradients, learningRate);
      compiled.step(Object.fromEntries(gradients.map((g, i) => [`w${i}`, g])));
    }
    tensors.forEach(({ params }, i) => {
      Array.from(params).forEach((value, element) => {
        // Sums in another order and windows by recursion: rounding of 80 steps, no more.
        expect(Math.abs((data(compiled.params, `w${i}`)[element] as number) - value)).toBeLessThan(
          1e-12 * Math.max(1, Math.abs(value)),
        );
      });
    });
  });

  it("continues bit for bit from saved state, on js and wasm", () => {
    for (const backend of ["js", "wasm"] as const) {
      const options = { backend, dtype: "float32" } as const;
      const whole = trajectory(optimizer, SHAPES, learningRate, options, 75);
      const first = trajectory(optimizer, SHAPES, learningRate, options, 33);
      const second = bind(
        optimizer,
        named(
          SHAPES.map((s) => draw(mulberry32(99), s)),
          SHAPES,
        ),
        learningRate,
        options,
      );
      second.load(first.compiled.save());
      advance(second, SHAPES, first.random, 75 - 33);
      expect(bits(second.save())).toEqual(bits(whole.compiled.save()));
    }
  });

  itWhere(
    !name.includes("noise"),
    "takes no step of its own on gradients that are zero from the start",
    () => {
      const compiled = bind(optimizer, { x: vector([1, -1, 0]) }, learningRate);
      for (let t = 0; t < 12; t++) {
        compiled.step({ x: new Float32Array(3) });
      }
      const [one, minusOne, zero] = Array.from(data(compiled.params, "x"));
      if (Number(optimizer.state.mu?.init ?? 0) > 0) {
        // An average that starts above zero is a gradient the method was born with: all elements follow it alike.
        expect(zero).toBeLessThan(0);
        expect(zero).toBeGreaterThan(-1e-4);
        // One rounding of a number near 1 a step.
        expect(Math.abs((one as number) - 1 - (zero as number))).toBeLessThan(12 * 2 ** -24);
        expect(Math.abs((minusOne as number) + 1 - (zero as number))).toBeLessThan(12 * 2 ** -24);
        return;
      }
      // Only weight decay moves it, towards zero and evenly.
      const decays = /l2|w$|decoupled|proximal/.test(name);
      expect(one).toBeLessThanOrEqual(1);
      expect(one).toBeGreaterThan(decays ? 0 : 0.999999);
      expect(minusOne).toBe(-(one as number));
      expect(zero).toBe(0);
    },
  );

  itWhere(inFloat64, "stays within 1e-4 of float64 in float32", () => {
    const [narrow, wide] = (["float32", "float64"] as const).map((dtype) =>
      trajectory(optimizer, SHAPES, learningRate, { backend: "wasm", dtype }, 30),
    );
    for (const [path, values] of Object.entries(wide?.params ?? {})) {
      const scale = Array.from(values).reduce((most, x) => Math.max(most, Math.abs(x)), 1e-3);
      values.forEach((value, i) => {
        // Spec section 8, item 4: 30 steps of float32 rounding, 1e-4 of the tensor's largest parameter.
        expect(Math.abs((narrow?.params[path]?.[i] as number) - value)).toBeLessThan(1e-4 * scale);
      });
    }
  });

  it("skips leaves without a gradient, state and step number included", () => {
    const random = mulberry32(3);
    const together = bind(optimizer, { x: vector([1, 2]), y: vector([3]) }, learningRate);
    const alone = bind(optimizer, { x: vector([1, 2]) }, learningRate);
    const first = Array.from({ length: 9 }, () => draw(random, [2]));
    for (const g of first) {
      together.step({ x: g });
      alone.step({ x: g });
    }
    expect(data(together.params, "y")).toEqual(Float32Array.of(3));
    expect(data(together.params, "x")).toEqual(data(alone.params, "x"));
    expect(together.save().leaves.y?.count).toBe(0);
  });
});

/** Declares a test where it says something. */
function itWhere(applies: boolean, title: string, test: () => void): void {
  if (applies) {
    it(title, test);
  }
}

type Options = Pick<CompileOptions, "backend" | "dtype">;

function bind(
  optimizer: Optimizer,
  params: CompileOptions["params"],
  learningRate: number,
  options: Options = {},
) {
  return compileOptimizer(optimizer, { params, learningRate, ...options });
}

function trajectory(
  optimizer: Optimizer,
  shapes: readonly (readonly number[])[],
  learningRate: number,
  options: Options,
  steps: number,
) {
  const random = mulberry32(11);
  const compiled = bind(
    optimizer,
    named(
      shapes.map((s) => draw(random, s)),
      shapes,
    ),
    learningRate,
    options,
  );
  advance(compiled, shapes, random, steps);
  const params = Object.fromEntries(
    Object.entries(compiled.params).map(([path, leaf]) => [path, leaf.data.slice()]),
  );
  return { params, compiled, random, backend: compiled.backend };
}

function advance(
  compiled: ReturnType<typeof compileOptimizer>,
  shapes: readonly (readonly number[])[],
  random: ReturnType<typeof mulberry32>,
  steps: number,
): void {
  for (let t = 0; t < steps; t++) {
    compiled.step(Object.fromEntries(shapes.map((shape, i) => [`w${i}`, draw(random, shape)])));
  }
}

function draw(random: ReturnType<typeof mulberry32>, shape: readonly number[]): Float64Array {
  return Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal());
}

function named(starts: readonly NumericArray[], shapes: readonly (readonly number[])[]) {
  return Object.fromEntries(
    starts.map((start, i) => [`w${i}`, { shape: shapes[i] as readonly number[], data: start }]),
  );
}

function randomParams(seed: number) {
  return named(
    SHAPES.map((shape) => draw(mulberry32(seed), shape)),
    SHAPES,
  );
}

function vector(values: readonly number[]) {
  return { shape: [values.length], data: Float32Array.from(values) };
}

function data(
  params: Readonly<Record<string, { data: NumericArray }>>,
  path: string,
): NumericArray {
  return params[path]?.data ?? new Float32Array();
}

/** A value with every float spelled by its bits, -0 and NaN included. */
function bits(value: unknown): string {
  return JSON.stringify(value, (_, item) => {
    if (
      item instanceof Uint16Array ||
      item instanceof Float32Array ||
      item instanceof Float64Array
    ) {
      return Array.from(item, (x) => (Object.is(x, -0) ? "-0" : String(x)));
    }
    return item;
  });
}
