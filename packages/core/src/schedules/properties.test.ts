import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { cosine, cosineRestarts } from "./cosine.ts";
import { exponential, inverseSqrt, linear, polynomial, stepDecay } from "./decay.ts";
import { oneCycle } from "./oneCycle.ts";
import { piecewise, piecewiseConstant } from "./piecewise.ts";
import { join, type Schedule } from "./schedules.ts";
import { exponentialWarmup, warmup } from "./warmup.ts";
import { wsd } from "./wsd.ts";

const rate = fc.double({ min: 1e-6, max: 10, noNaN: true });
const share = fc.double({ min: 0.01, max: 0.99, noNaN: true });
const steps = fc.integer({ min: 1, max: 60 });
const interpolation = fc.constantFrom("linear", "cosine");
const decay = fc.constantFrom("linear", "cosine", "sqrt", "exponential");
const scales = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 80 }), fc.double({ min: 0, max: 3, noNaN: true })), {
    maxLength: 5,
  })
  .map((entries) => Object.fromEntries(entries) as Record<number, number>);

/** Schedules of every kind, with options of every kind. */
const schedule: fc.Arbitrary<Schedule> = fc.oneof(
  fc.tuple(rate, steps, share).map(([a, s, g]) => stepDecay(a, s, g)),
  fc
    .tuple(rate, steps, fc.double({ min: 0.5, max: 1.05, noNaN: true }), fc.boolean(), fc.nat(20))
    .map(([a, s, r, staircase, transitionBegin]) =>
      exponential(a, s, r, { staircase, transitionBegin }),
    ),
  fc
    .tuple(rate, steps, rate, share, fc.nat(20))
    .map(([a, s, endValue, p, transitionBegin]) =>
      polynomial(a, s, { endValue, power: 4 * p, transitionBegin }),
    ),
  fc.tuple(rate, steps, rate).map(([a, s, endValue]) => linear(a, s, { endValue })),
  fc.tuple(rate, scales).map(([a, by]) => piecewiseConstant(a, by)),
  fc.tuple(rate, scales, interpolation).map(([a, by, kind]) => piecewise(a, by, kind)),
  fc.tuple(rate, steps, share).map(([a, s, alpha]) => cosine(a, s, { alpha, exponent: 2 * alpha })),
  fc
    .tuple(rate, steps, fc.integer({ min: 1, max: 3 }), rate)
    .map(([a, s, tMult, endValue]) => cosineRestarts(a, s, { tMult, endValue })),
  fc.tuple(steps, rate, steps).map(([w, a, s]) => warmup(w, cosine(a, s))),
  fc.tuple(rate, rate, steps).map(([tau, a, s]) => exponentialWarmup(tau, cosine(a, s))),
  fc
    .tuple(rate, steps, share, interpolation, fc.boolean())
    .map(([a, s, p, anneal, threePhase]) =>
      oneCycle(a, s, { pctStart: threePhase ? p / 2 : p, anneal, threePhase }),
    ),
  fc.tuple(rate, steps).map(([a, w]) => inverseSqrt(a, w)),
  fc
    .tuple(rate, steps, fc.nat(20), fc.nat(20), decay)
    .map(([a, decaySteps, warmupSteps, stableSteps, form]) =>
      wsd(a, { warmupSteps, stableSteps, decaySteps, decay: form }),
    ),
  fc.tuple(rate, steps, rate, steps).map(([a, s, b, at]) => join([linear(a, s), b], [at])),
);

const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, i) => from + i);

function falls(rates: readonly number[]): boolean {
  return rates.every((value, i) => i === 0 || value <= rates[i - 1]!);
}

describe("every schedule", () => {
  it("is a function of the count: asked in any order and again, it says the same", () => {
    fc.assert(
      fc.property(
        schedule,
        fc.shuffledSubarray(range(0, 150), { minLength: 100 }),
        (alpha, order) => {
          const inOrder = range(0, 150).map((count) => alpha(count));
          for (const count of order) {
            expect(alpha(count)).toBe(inOrder[count]);
          }
        },
      ),
    );
  });

  it("gives a finite rate of at least 0 at every count", () => {
    fc.assert(
      fc.property(schedule, (alpha) => {
        for (const count of [...range(0, 150), 10_000]) {
          expect(alpha(count)).toBeGreaterThanOrEqual(0);
          expect(alpha(count)).toBeLessThan(Infinity);
        }
      }),
    );
  });
});

describe("ends are exact, and the way between them goes one way", () => {
  it.each([
    ["linear", (a: number, endValue: number, s: number) => linear(a, s, { endValue })],
    [
      "polynomial",
      (a: number, endValue: number, s: number) => polynomial(a, s, { endValue, power: 2.5 }),
    ],
    ["cosine", (a: number, endValue: number, s: number) => cosine(a, s, { endValue })],
    [
      "cosine with an exponent",
      (a: number, endValue: number, s: number) => cosine(a, s, { endValue, exponent: 0.7 }),
    ],
  ] as const)("%s", (_, make) => {
    fc.assert(
      fc.property(rate, rate, steps, (a, b, s) => {
        const alpha = make(a, b, s);
        const rates = range(0, s + 3).map(alpha);
        expect(rates[0]).toBe(a);
        expect(rates.slice(s)).toEqual([b, b, b, b]);
        expect(falls(a >= b ? rates : rates.map((value) => -value))).toBe(true);
      }),
    );
  });

  it("piecewise passes exactly through the rates of piecewiseConstant at its boundaries", () => {
    fc.assert(
      fc.property(rate, scales, interpolation, (a, by, kind) => {
        const [jumps, way] = [piecewiseConstant(a, by), piecewise(a, by, kind)];
        for (const at of [0, ...Object.keys(by).map(Number), 1000]) {
          expect(way(at)).toBe(jumps(at));
        }
      }),
    );
  });

  it("oneCycle begins, peaks and ends where it should, up and then down", () => {
    fc.assert(
      fc.property(rate, fc.integer({ min: 2, max: 20 }), interpolation, (a, tenths, anneal) => {
        const total = 10 * tenths;
        const alpha = oneCycle(a, total, { anneal });
        const peak = 3 * tenths - 1;
        expect(alpha(0)).toBe(a / 25);
        expect(alpha(peak)).toBe(a);
        expect(alpha(total - 1)).toBe(a / 25 / 1e4);
        expect(falls(range(0, peak).map((count) => -alpha(count)))).toBe(true);
        expect(falls(range(peak, total).map(alpha))).toBe(true);
      }),
    );
  });

  it("wsd stays between its stable rate and its end, and never rises after its warm-up", () => {
    fc.assert(
      fc.property(rate, share, steps, fc.nat(20), fc.nat(20), decay, (a, f, d, w, s, form) => {
        const alpha = wsd(a, {
          warmupSteps: w,
          stableSteps: s,
          decaySteps: d,
          decay: form,
          endValue: f * a,
        });
        expect(range(w, w + s).map(alpha)).toEqual(range(w, w + s).map(() => a));
        expect(alpha(w + s + d)).toBe(f * a);
        expect(falls(range(w, w + s + d).map(alpha))).toBe(true);
        expect(falls(range(0, w).map((count) => -alpha(count)))).toBe(true);
      }),
    );
  });

  it("inverseSqrt rises to exactly its rate and falls after", () => {
    fc.assert(
      fc.property(rate, steps, (a, w) => {
        const alpha = inverseSqrt(a, w);
        expect(alpha(w - 1)).toBe(a);
        expect(falls(range(0, w - 1).map((count) => -alpha(count)))).toBe(true);
        expect(falls(range(w - 1, w + 50).map(alpha))).toBe(true);
      }),
    );
  });
});

describe("joins", () => {
  it("hand over without a jump where the next schedule begins at the rate that the last ends with", () => {
    fc.assert(
      fc.property(rate, rate, steps, steps, (a, b, s, later) => {
        const alpha = join([linear(a, s, { endValue: b }), cosine(b, later)], [s]);
        expect(alpha(s)).toBe(b);
        // A step of the line, and one of the cosine, whose largest is π/2 of its mean; roundings on top.
        const most = Math.max(Math.abs(a - b) / s, ((Math.PI / 2) * b) / later) + 1e-14 * (a + b);
        for (const count of range(1, s + later)) {
          expect(Math.abs(alpha(count) - alpha(count - 1))).toBeLessThanOrEqual(most);
        }
      }),
    );
  });

  it("are the schedules themselves, counted from their boundaries", () => {
    fc.assert(
      fc.property(schedule, schedule, schedule, steps, steps, (a, b, c, first, second) => {
        const alpha = join([a, b, c], [first, first + second]);
        for (const count of range(0, first + second + 20)) {
          const expected =
            count < first
              ? a(count)
              : count < first + second
                ? b(count - first)
                : c(count - first - second);
          expect(alpha(count)).toBe(expected);
        }
      }),
    );
  });

  it("warm-up meets the schedule after it", () => {
    fc.assert(
      fc.property(schedule, steps, (after, w) => {
        const alpha = warmup(w, after);
        expect(alpha(w)).toBe(after(0));
        expect(falls(range(0, w).map((count) => -alpha(count)))).toBe(true);
        // One even step of w + 1; a few roundings of the two rates.
        const jump = after(0) / (w + 1);
        expect(Math.abs(alpha(w) - alpha(w - 1) - jump)).toBeLessThanOrEqual(4e-16 * after(0));
      }),
    );
  });
});
