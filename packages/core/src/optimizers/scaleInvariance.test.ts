import fc from "fast-check";
import { expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import type { Optimizer } from "../optimizer.ts";
import { mulberry32 } from "../random.ts";
import { adabelief } from "./adabelief.ts";
import { adagrad } from "./adagrad.ts";
import { adam, amsgrad } from "./adam.ts";
import { adamnc } from "./adamnc.ts";
import { nadam } from "./nadam.ts";
import { padam } from "./padam.ts";
import { rmsprop } from "./rmsprop.ts";
import { yogi } from "./yogi.ts";

const INVARIANT: readonly (readonly [string, Optimizer])[] = [
  ["adagrad torch", adagrad({ eps: 0 })],
  ["adagrad optax", adagrad({ convention: "optax", eps: 0, initialAccumulator: 0 })],
  ["rmsprop torch", rmsprop({ eps: 0 })],
  ["rmsprop torch centered momentum", rmsprop({ eps: 0, centered: true, momentum: 0.9 })],
  ["rmsprop optax", rmsprop({ convention: "optax", eps: 0 })],
  ["rmsprop optax centered", rmsprop({ convention: "optax", eps: 0, centered: true })],
  ["adam", adam({ eps: 0 })],
  ["amsgrad", amsgrad({ eps: 0 })],
  ["nadam torch", nadam({ eps: 0 })],
  ["nadam optax", nadam({ convention: "optax", eps: 0 })],
  ["adabelief", adabelief({ eps: 0, epsRoot: 0 })],
  ["yogi", yogi({ eps: 0, initialAccumulator: 0 })],
  ["padam p = 1/2", padam({ eps: 0, partial: 0.5 })],
  ["adamnc", adamnc({ eps: 0 })],
];

it.each(INVARIANT)("%s without ε does not see the scale of the loss", (_, optimizer) => {
  const end = (scale: number, seed: number): string => {
    const random = mulberry32(seed);
    const params = { x: { shape: [9], data: Float32Array.from({ length: 9 }, () => 1) } };
    const compiled = compileOptimizer(optimizer, { params, learningRate: 0.01 });
    for (let t = 0; t < 8; t++) {
      compiled.step({ x: Float32Array.from({ length: 9 }, () => scale * random.normal()) });
    }
    return Array.from(compiled.params.x?.data ?? []).join();
  };
  fc.assert(
    // A power of two changes no rounding: not close but equal, as long as squares stay normal float32 numbers.
    fc.property(fc.integer({ min: -30, max: 30 }), fc.nat(), (exponent, seed) => {
      expect(end(2 ** exponent, seed)).toBe(end(1, seed));
    }),
    { numRuns: 10 },
  );
});
