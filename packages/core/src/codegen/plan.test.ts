import { describe, expect, it } from "vitest";
import {
  add,
  delay,
  hostPow,
  lerp,
  maximum,
  mul,
  neg,
  sqrt,
  square,
  sum,
  windowSum,
} from "../expr/build.ts";
import { verifyProgram } from "../expr/verify.ts";
import { defineOptimizer, type Optimizer, perElement, perTensor, toProgram } from "../optimizer.ts";
import { adai } from "../optimizers/adai.ts";
import { adam } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { cprop } from "../optimizers/cprop.ts";
import { chain } from "../transforms/chain.ts";
import { clipByGlobalNorm } from "../transforms/clip.ts";
import { l2 } from "../transforms/weightDecay.ts";
import { plan } from "./plan.ts";

const planOf = (optimizer: Optimizer) => {
  const program = toProgram(optimizer);
  verifyProgram(program);
  return plan(program, "float32");
};
const byName = (a = "", b = ""): number => a.localeCompare(b);
/** Arrays that a pass loads and stores, by name. */
const traffic = (optimizer: Optimizer) =>
  planOf(optimizer).step.passes.map(({ steady: { kernel } }) => ({
    loads: kernel.body
      .flatMap((i) => (i.op === "load" ? [kernel.streams[i.stream]] : []))
      .toSorted(byName),
    stores: kernel.stores.map(({ stream }) => kernel.streams[stream]).toSorted(byName),
  }));

describe("plan", () => {
  it("runs Adam in one pass of four reads and three writes", () => {
    expect(traffic(adam())).toEqual([{ loads: ["g", "mu", "nu", "p"], stores: ["mu", "nu", "p"] }]);
  });

  it("folds both bias corrections of Adam into numbers of the step: one root and one division an element", () => {
    const [pass] = planOf(adam()).step.passes;
    const ops = pass?.steady.kernel.body.map(({ op }) => op) ?? [];
    expect(ops.filter((op) => op === "div")).toHaveLength(1);
    expect(ops.filter((op) => op === "sqrt")).toHaveLength(1);
  });

  it("runs AdaShift with φ = max in one pass: the maximum is queued for n steps later", () => {
    expect(traffic(adashift({ n: 10 }))).toEqual([
      { loads: ["g", "g_10", "p", "window0"], stores: ["p", "window0"] },
    ]);
  });

  it("writes the gradient straight into AdaShift's ring, one slot more than the shift", () => {
    const { arrays } = planOf(adashift({ n: 7, phi: "none" }));
    expect(arrays.find(({ name }) => name === "g")).toMatchObject({ slots: 8 });
    expect(arrays.filter(({ name }) => name.startsWith("history"))).toEqual([]);
  });

  it("keeps the history of the decayed gradient where L2 comes first", () => {
    const { arrays } = planOf(chain(l2(0.1), adashift({ n: 7 })));
    expect(arrays.find(({ name }) => name === "g")).toMatchObject({ slots: 1 });
    expect(arrays.filter(({ name }) => name.startsWith("history"))).toMatchObject([{ slots: 7 }]);
  });

  it("runs Adai in two passes, storing v in the first and reading it in the second", () => {
    expect(traffic(adai())).toEqual([
      { loads: ["g", "nu"], stores: ["nu"] },
      { loads: ["g", "mu", "nu", "p", "q"], stores: ["mu", "p", "q"] },
    ]);
  });

  it("adds one read of the gradient for clipping by the global norm", () => {
    expect(traffic(chain(clipByGlobalNorm(1), adam()))).toEqual([
      { loads: ["g"], stores: [] },
      { loads: ["g", "mu", "nu", "p"], stores: ["mu", "nu", "p"] },
    ]);
  });

  it("keeps a store back while a later pass reads the old value", () => {
    const old = defineOptimizer("old", { s: perElement() }, ({ g, s, lr }) => ({
      // The norm of the new state is needed together with the old state itself.
      update: neg(mul(lr, add(s, sqrt(sum(square(lerp(s, g, 0.5))))))),
      next: { s: lerp(s, g, 0.5) },
    }));
    expect(traffic(old)).toEqual([
      { loads: ["g", "s"], stores: [] },
      { loads: ["g", "p", "s"], stores: ["p", "s"] },
    ]);
  });

  it("merges the averages that CProp and Adam both keep, and only where the rates agree", () => {
    expect(planOf(cprop(adam())).twins).toEqual({ meanSquare: "nu" });
    expect(planOf(cprop(adam(), { beta: 0.9 })).twins).toEqual({ meanGradient: "mu" });
    expect(planOf(cprop(adam({ b1: 0.8 }), { beta: 0.95 })).twins).toEqual({});
  });

  it("shares one history among delays of one array", () => {
    const far = defineOptimizer("far", {}, ({ g, lr }) => ({
      update: neg(mul(lr, add(delay(square(g), 3), add(delay(g, 5), windowSum(g, 0.5, 2))))),
      next: {},
    }));
    const { arrays } = planOf(far);
    expect(arrays.map(({ name, slots }) => [name, slots])).toEqual([
      ["p", 1],
      ["g", 6],
      ["window0", 1],
    ]);
  });

  it("reads windows over delays and products from rings that are long enough", () => {
    const windowed = defineOptimizer("windowed", {}, ({ g, p }) => ({
      update: add(windowSum(delay(g, 2), 0.9, 5), windowSum(mul(g, p), 0.9, 3)),
      next: {},
    }));
    const { arrays } = planOf(windowed);
    expect(arrays.find(({ name }) => name === "g")?.slots).toBe(8);
    expect(arrays.find(({ name }) => name.startsWith("history"))?.slots).toBe(3);
  });

  it.each([
    [
      defineOptimizer("a", { v: perTensor() }, ({ g }) => ({ update: g, next: { v: g } })),
      'verifyProgram: in "a", state "v" must be one number a tensor, got one an element; reduce it',
    ],
    [
      defineOptimizer("b", {}, ({ g }) => ({ update: delay(g, 0), next: {} })),
      'verifyProgram: in "b", a delay must be an integer of at least 1 step, got 0',
    ],
    [
      defineOptimizer("c", {}, ({ g, t }) => ({
        update: mul(g, { op: "lt", a: t, b: g }),
        next: {},
      })),
      'verifyProgram: in "c", an operand of `mul` must be a number, got a comparison; wrap it in `select`',
    ],
    [
      defineOptimizer("d", {}, ({ g }) => ({
        update: add(g, { op: "input", name: "speed", scope: "element" }),
        next: {},
      })),
      'verifyProgram: in "d", inputs must be declared state of their scope, got "speed" (element)',
    ],
    [
      defineOptimizer("e", {}, ({ g }) => ({ update: windowSum(maximum(g), 0.9, 3), next: {} })),
      'verifyProgram: in "e", a window must run over elements, got tensor scope',
    ],
    [
      defineOptimizer("f", {}, ({ g, t }) => ({ update: hostPow(g, t), next: {} })),
      'verifyProgram: in "f", a power over elements must bring its program, got none; build it with `pow`',
    ],
  ] as const)("refuses an illegal program: %#", (optimizer, message) => {
    expect(() => planOf(optimizer)).toThrow(message);
  });
});
