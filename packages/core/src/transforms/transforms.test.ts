import { describe, expect, it } from "vitest";
import { compileOptimizer } from "../compileOptimizer.ts";
import { evaluateStep, startTensor } from "../expr/evaluate.ts";
import type { Optimizer } from "../optimizer.ts";
import { toProgram } from "../optimizer.ts";
import { adai } from "../optimizers/adai.ts";
import { adam } from "../optimizers/adam.ts";
import { adashift } from "../optimizers/adashift.ts";
import { cprop } from "../optimizers/cprop.ts";
import { sgd } from "../optimizers/sgd.ts";
import { mulberry32 } from "../random.ts";
import { accumulate } from "./accumulate.ts";
import { ema, polyak, swa } from "./averages.ts";
import { centralise } from "./centralise.ts";
import { chain } from "./chain.ts";
import { adaptiveClip, clipByGlobalNorm, clipByTensorNorm, clipByValue } from "./clip.ts";
import { group } from "./group.ts";
import { lookahead } from "./lookahead.ts";
import { sam } from "./sam.ts";
import { decoupledWeightDecay, l2 } from "./weightDecay.ts";

/** Programs of this folder in the combinations that meet: phases, groups, averages, reductions. */
const PROGRAMS: readonly (readonly [string, Optimizer])[] = [
  ["clip by value", chain(clipByValue(0.3), adam())],
  ["clip by tensor", chain(clipByTensorNorm(0.3), sgd({ momentum: 0.9 }))],
  ["adaptive clip", chain(adaptiveClip(), sgd())],
  ["centralise", chain(centralise(), adam())],
  [
    "masked decay",
    chain(
      l2(0.1, { mask: "**/kernel" }),
      adam(),
      decoupledWeightDecay(0.1, { mask: ["head/*", "stem"] }),
    ),
  ],
  ["ema", chain(adam(), decoupledWeightDecay(0.1), ema(0.9))],
  ["debiased ema", chain(sgd(), ema(0.9, { debias: true }))],
  ["polyak", chain(sgd({ momentum: 0.5 }), polyak())],
  ["swa", chain(sgd(), swa({ start: 3, every: 2 }))],
  ["lookahead", lookahead(adam(), { steps: 3 })],
  ["nested lookahead", lookahead(lookahead(sgd(), { steps: 2 }), { steps: 4 })],
  ["sam", sam(adam())],
  ["asam", chain(sam(sgd({ momentum: 0.9 }), { adaptive: true }), ema(0.9))],
  ["accumulate", accumulate(3, chain(clipByGlobalNorm(0.5), adam()))],
  ["accumulate adashift", accumulate(2, adashift({ n: 3 }))],
  ["accumulate adai", accumulate(2, adai())],
  ["accumulate sam", accumulate(2, sam(adam()))],
  [
    "accumulate in lookahead",
    chain(clipByValue(1), lookahead(accumulate(2, adam()), { steps: 2 })),
  ],
  [
    "group",
    group({
      "head/**": { optimizer: chain(clipByGlobalNorm(0.2), adam()), scale: 0.5 },
      "**": { optimizer: chain(clipByGlobalNorm(0.2), sgd({ momentum: 0.9 })), learningRate: 0.3 },
    }),
  ],
  [
    "group of the same",
    chain(
      clipByGlobalNorm(1),
      group({ "head/*": cprop(adam()), stem: adai(), "**": adai() }),
      ema(0.5),
    ),
  ],
  [
    "accumulated group",
    accumulate(2, group({ "head/*": chain(l2(0.1, { mask: "**/kernel" }), adam()), "**": sgd() })),
  ],
  [
    "group of accumulations",
    group({ "head/*": accumulate(2, adam()), "**": accumulate(2, sgd()) }),
  ],
];

const LEAVES = [
  { path: "stem", shape: [7] },
  { path: "head/kernel", shape: [4, 5] },
  { path: "head/bias", shape: [5] },
  { path: "body/kernel", shape: [2, 3, 3] },
  { path: "scale", shape: [] },
] as const;

function draw(random: ReturnType<typeof mulberry32>): Record<string, Float64Array> {
  return Object.fromEntries(
    LEAVES.map(({ path, shape }) => [
      path,
      Float64Array.from({ length: shape.reduce((a: number, b) => a * b, 1) }, () =>
        random.normal(),
      ),
    ]),
  );
}

function bind(
  optimizer: Optimizer,
  options: { backend?: "js" | "wasm" | "evaluate"; dtype?: "float32" | "float64" } = {},
) {
  const start = draw(mulberry32(1));
  const params = Object.fromEntries(
    LEAVES.map(({ path, shape }) => [path, { shape, data: start[path] as Float64Array }]),
  );
  return compileOptimizer(optimizer, { params, learningRate: 0.05, ...options });
}

describe.each(PROGRAMS)("%s", (_, optimizer) => {
  const calls = (optimizer.before?.length ?? 0) + 1;

  it("follows its definition in float64, call by call", () => {
    const program = toProgram(optimizer);
    const start = draw(mulberry32(1));
    const tensors = LEAVES.map((leaf) =>
      startTensor(program, start[leaf.path] as Float64Array, leaf),
    );
    const compiled = bind(optimizer, { dtype: "float64" });
    const random = mulberry32(2);
    for (let call = 0; call < 24; call++) {
      const g = draw(random);
      const phase = program.before[call % calls] ?? program;
      evaluateStep(
        program,
        tensors,
        LEAVES.map(({ path }) => g[path] as Float64Array),
        0.05,
        phase,
      );
      expect(compiled.step(g).status).toBe(phase.status);
      for (const { leaf, params } of tensors) {
        params.forEach((value, i) => {
          const got = compiled.params[leaf.path]?.data[i] as number;
          // Sums in another order and windows by recursion: rounding of 24 calls over numbers of order 1.
          expect(Math.abs(got - value)).toBeLessThan(1e-11);
        });
      }
    }
  });

  it("is the same, bit for bit, on wasm, js and the interpreter, and after being loaded in the middle of a step", () => {
    const saved = (["js", "wasm", "evaluate"] as const).map((backend) => {
      const random = mulberry32(3);
      let compiled = bind(optimizer, { backend });
      for (let call = 0; call < 17; call++) {
        if (backend === "wasm" && call % 5 === 3) {
          const resumed = bind(optimizer, { backend });
          resumed.load(compiled.save());
          compiled = resumed;
        }
        compiled.step(draw(random));
      }
      return { ...compiled.save(), evaluated: compiled.evaluationParams() };
    });
    expect(saved[1]).toEqual(saved[0]);
    expect(saved[2]).toEqual(saved[0]);
  });
});
