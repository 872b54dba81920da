import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeCheckpoint } from "./checkpoint/checkpoint.ts";
import type { CompiledOptimizer } from "./compiledOptimizer.ts";
import { compileOptimizer } from "./compileOptimizer.ts";
import { wrap } from "./expr/build.ts";
import { type Expr, operands } from "./expr/node.ts";
import { type NamedInputs, type Optimizer, toProgram } from "./optimizer.ts";
import { mulberry32 } from "./random.ts";
import { CATALOGUE } from "./testCatalogue.ts";
import { sizeOf } from "./tree.ts";

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  matrix: [3, 5],
  vector: [6],
  scalar: [],
};
/** More than AdaShift's ring holds. */
const CALLS = 16;

const ROWS = CATALOGUE.filter(
  ([, { hyperparameters = {} }]) => Object.keys(hyperparameters).length > 0,
).map(([name, optimizer, learningRate], row) => [name, optimizer, learningRate, row] as const);

describe.each(ROWS)("hyperparameters of %s", (_, optimizer, learningRate, row) => {
  const values = valuesOf(optimizer);
  const decays = Object.keys(values).filter((key) => key.endsWith("weightDecay"));

  it("are all read by the program", () => {
    const { params, next, before, evaluation } = toProgram(optimizer);
    const phases = [{ params, next }, ...before];
    const roots = phases.flatMap((phase) => [phase.params, ...Object.values(phase.next)]);
    const read = inputsOf([...roots, ...(evaluation === undefined ? [] : [evaluation])]);
    expect(Object.keys(values).filter((key) => !read.has(key))).toEqual([]);
  });

  it("changed before a step are, to the bit, constants of a program that goes on from there", () => {
    const change = fc.record({
      key: fc.constantFrom(...Object.keys(values)),
      // Every range of the catalogue reaches down to 0, which some leave out.
      factor: fc.double({ min: 0.5, max: 1, noNaN: true }),
      backend: fc.constantFrom("js", "wasm"),
      at: fc.nat(CALLS),
    });
    fc.assert(
      fc.property(change, ({ key, factor, backend, at }) => {
        const changed = { ...values, [key]: (values[key] as number) * factor };
        const bind = (each: Optimizer): CompiledOptimizer =>
          compileOptimizer(each, { params: draw(0), learningRate, backend });
        const set = bind(optimizer);
        advance(set, 0, at);
        set.set({ [key]: changed[key] as number });
        advance(set, at, CALLS);
        const before = bind(pinned(optimizer, values));
        advance(before, 0, at);
        const after = bind(pinned(optimizer, changed));
        after.load(before.save());
        advance(after, at, CALLS);
        expect(bytesOf(set)).toEqual(bytesOf(after));
      }),
      {
        numRuns: 3 + decays.length,
        seed: row,
        // Decay is changed in every row that has it, and switched off.
        examples: decays.map((key) => [{ key, factor: 0, backend: "wasm", at: 7 }]),
      },
    );
  });
});

function valuesOf({ hyperparameters = {} }: Optimizer): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(hyperparameters).map(([key, { value }]) => [key, value]),
  );
}

/** The optimizer with its hyperparameters as constants of the program. */
function pinned(optimizer: Optimizer, values: Readonly<Record<string, number>>): Optimizer {
  const constants = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [key, wrap(value)]),
  );
  const pin = (inputs: NamedInputs): NamedInputs => ({ ...inputs, ...constants });
  const { before = [], evaluation } = optimizer;
  return {
    ...optimizer,
    hyperparameters: {},
    step: (inputs) => optimizer.step(pin(inputs)),
    before: before.map((phase) => ({ ...phase, step: (inputs) => phase.step(pin(inputs)) })),
    ...(evaluation !== undefined && { evaluation: (inputs) => evaluation(pin(inputs)) }),
  };
}

/** Numbers of every leaf: the parameters to start from, or the gradients of a call from 1. */
function draw(call: number) {
  const random = mulberry32(call);
  return Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape]) => [
      path,
      { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => random.normal()) },
    ]),
  );
}

function advance(compiled: CompiledOptimizer, from: number, to: number): void {
  for (let call = from + 1; call <= to; call++) {
    const gradients = Object.entries(draw(call)).map(([path, { data }]) => [path, data]);
    compiled.step(Object.fromEntries(gradients));
  }
}

/** Parameters and state, without the hyperparameters. */
function bytesOf(compiled: CompiledOptimizer): Uint8Array {
  return encodeCheckpoint({ optimizer: { ...compiled.save(), hyperparameters: {} } });
}

/** Names of the inputs that expressions read. */
function inputsOf(roots: readonly Expr[]): ReadonlySet<string> {
  const names = new Set<string>();
  const seen = new Set<Expr>();
  const open = [...roots];
  for (let e = open.pop(); e !== undefined; e = open.pop()) {
    if (seen.has(e)) {
      continue;
    }
    seen.add(e);
    open.push(...operands(e));
    if (e.op === "input") {
      names.add(e.name);
    }
  }
  return names;
}
