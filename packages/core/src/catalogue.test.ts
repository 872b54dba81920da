import { describe, expect, it } from "vitest";
import type { CompileOptions } from "./compiledOptimizer.ts";
import { compileOptimizer } from "./compileOptimizer.ts";
import type { NumericArray } from "./contracts.ts";
import { evaluateStep, startTensor } from "./expr/evaluate.ts";
import { type Optimizer, toProgram } from "./optimizer.ts";
import { mulberry32 } from "./random.ts";
import { CATALOGUE, callsOf } from "./testCatalogue.ts";
import { sizeOf } from "./tree.ts";

const SHAPES: readonly (readonly number[])[] = [[], [3], [4, 5], [67], [0], [8]];

describe.each(CATALOGUE)("%s", (name, optimizer, learningRate, stateBytes) => {
  const calls = callsOf(optimizer);
  /** Fewer bits have no float64 to be compared with. */
  const inFloat64 = !/bf16|int8/.test(name);

  it("keeps the bytes of float32 state a parameter that it says", () => {
    for (const shape of SHAPES.filter((each) => sizeOf(each) > 0)) {
      const params = { x: { shape, data: new Float32Array(sizeOf(shape)) } };
      const expected = typeof stateBytes === "number" ? stateBytes : stateBytes(shape);
      expect(compileOptimizer(optimizer, { params, learningRate }).stateBytes).toBe(expected);
    }
  });

  it("brings a parabola down", () => {
    const start = [1, -2, 0.5];
    const compiled = bind(optimizer, { x: vector(start) }, learningRate);
    for (let call = 0; call < 400 * calls; call++) {
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
        `compileOptimizer: rounding to fewer bits in "${optimizer.name}" needs dtype "float32", got "float64"; leave \`dtype\` out, or the format`,
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
    const phases = [...program.before, program];
    for (let call = 0; call < 80 * calls; call++) {
      const gradients = SHAPES.map((shape) => draw(random, shape));
      evaluateStep(program, tensors, gradients, learningRate, phases[call % calls]);
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
      // 33 is between the calls of a step that takes two or four.
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
      for (let call = 0; call < 12 * calls; call++) {
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
    const first = Array.from({ length: 9 * calls }, () => draw(random, [2]));
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
      item instanceof Uint8Array ||
      item instanceof Uint16Array ||
      item instanceof Float32Array ||
      item instanceof Float64Array
    ) {
      return Array.from(item, (x) => (Object.is(x, -0) ? "-0" : String(x)));
    }
    return item;
  });
}
