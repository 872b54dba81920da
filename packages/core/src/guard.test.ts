import { describe, expect, it } from "vitest";
import type { CompileOptions } from "./compiledOptimizer.ts";
import { compileOptimizer } from "./compileOptimizer.ts";
import { guard } from "./guard.ts";
import { adam } from "./optimizers/adam.ts";

const GOOD = Float32Array.of(1, -1);
const BAD = Float32Array.of(1, Number.NaN);

function bind(nonFinite: NonNullable<CompileOptions["nonFinite"]> = "skip") {
  const params = { x: { shape: [2], data: Float32Array.of(1, 2) } };
  return compileOptimizer(adam({ weightDecay: 0.1 }), { params, learningRate: 0.1, nonFinite });
}

describe("guard", () => {
  it.each(["skip", "throw"] as const)(
    "goes back after so many bad gradients in a row, and not after fewer: %s",
    (nonFinite) => {
      const compiled = bind(nonFinite);
      const guarded = guard(compiled, { snapshotEvery: 2, limit: 3 });
      const statuses = [GOOD, GOOD, GOOD, BAD, BAD, GOOD, BAD, BAD].map(
        (x) => guarded.step({ x }).status,
      );
      expect(statuses).toEqual([
        "stepped",
        "stepped",
        "stepped",
        "skipped",
        "skipped",
        "stepped",
        "skipped",
        "skipped",
      ]);
      expect([guarded.goodCount, guarded.restored]).toEqual([4, 0]);
      guarded.step({ x: GOOD });
      expect(compiled.count).toBe(5);
      expect([BAD, BAD, BAD].map((x) => guarded.step({ x }).status).at(-1)).toBe("restored");
      expect([guarded.restored, compiled.count]).toEqual([1, 4]);
    },
  );

  it("takes, from where it went back to, the steps that it would have taken", () => {
    const compiled = bind();
    const guarded = guard(compiled, { snapshotEvery: 3, limit: 1 });
    for (const x of [GOOD, GOOD, GOOD, GOOD, GOOD, BAD, GOOD, GOOD]) {
      guarded.step({ x });
    }
    const plain = bind();
    for (let t = 0; t < 5; t++) {
      plain.step({ x: GOOD });
    }
    expect(compiled.save()).toEqual(plain.save());
  });

  it("goes back at once where parameters are not finite", () => {
    const compiled = bind("propagate");
    const guarded = guard(compiled, { snapshotEvery: 1 });
    guarded.step({ x: GOOD });
    const good = compiled.save();
    expect(guarded.step({ x: BAD }).status).toBe("restored");
    expect(compiled.save()).toEqual(good);
  });

  it("goes back, rather than keep it, from state that is not finite behind parameters that are", () => {
    const compiled = bind();
    const guarded = guard(compiled, { snapshotEvery: 2 });
    guarded.step({ x: GOOD });
    // g² leaves float32: v is infinite for ever, and the parameter never moves again.
    expect(guarded.step({ x: Float32Array.of(1e30, 1) }).status).toBe("restored");
    expect(compiled.count).toBe(0);
  });

  it("goes back on demand, and changes hyperparameters there", () => {
    const compiled = bind();
    const guarded = guard(compiled, { snapshotEvery: 100 });
    guarded.step({ x: GOOD });
    guarded.restore({ learningRate: 0.01, weightDecay: 0.2 });
    expect(compiled.count).toBe(0);
    expect(compiled.hyperparameters).toMatchObject({ learningRate: 0.01, weightDecay: 0.2 });
    guarded.step({ x: GOOD });
    expect(() => {
      guarded.restore({ weightDecay: -1 });
    }).toThrow(new RangeError("set: `weightDecay` must be finite and at least 0, got -1"));
    expect([compiled.count, guarded.restored]).toEqual([1, 1]);
  });

  it("passes errors on that are not about finiteness", () => {
    expect(() => guard(bind()).step({ y: GOOD })).toThrow(
      'step: gradients must belong to leaves, got "y"; leaves are x',
    );
  });

  it("refuses what does not hold", () => {
    expect(() => guard(bind(), { snapshotEvery: 0 })).toThrow(
      new RangeError("guard: `snapshotEvery` must be an integer of at least 1, got 0"),
    );
    expect(() => guard(bind(), { limit: 1.5 })).toThrow(
      new RangeError("guard: `limit` must be an integer of at least 1, got 1.5"),
    );
    const broken = bind();
    broken.params.x?.data.fill(Number.NaN);
    expect(() => guard(broken)).toThrow(
      new RangeError(
        'guard: parameters and state must be finite to begin with, got NaN or infinity in "x"; load a good state first',
      ),
    );
  });
});
