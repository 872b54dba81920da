/**
 * One optimizer at one rate on one problem of the lab, from one seed: the curve of its training.
 *
 *     node scripts/learn.mjs PROBLEM OPTIMIZER RATE [--epochs N] [--seed N] [--json]        needs `npm run build`
 *
 * A row for each evaluation; with --json the trial as a comparison has it. What a method reaches after its rate was
 * searched, and over seeds, is for `adastra compare`.
 */

import process from "node:process";
import { parseArgs } from "node:util";
import { findProblem, runTrial } from "adastra";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: "string" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const [name = "", optimizer = "", rate = ""] = positionals;
const problem = findProblem(name);
const spec = {
  id: `${name}/${optimizer}/${rate}/${values.seed}`,
  problem: name,
  optimizer,
  learningRate: Number(rate),
  seed: Number(values.seed),
  epochs: Number(values.epochs ?? problem.budget.epochs),
  phase: "seed",
};
if (!(spec.learningRate > 0 && spec.epochs > 0 && Number.isSafeInteger(spec.seed))) {
  throw new RangeError(
    `learn: RATE and --epochs must be positive and --seed an integer, got ${rate}, ${spec.epochs} and ${values.seed}`,
  );
}

const result = await runTrial(spec, {
  problem,
  open: await problem.open(problem.load()),
  clock: performance,
  onEvent: (event) => {
    const point = event.kind === "point" ? event.point : undefined;
    if (point?.metric !== undefined) {
      const { epoch, seconds, trainLoss, testLoss = Number.NaN, metric } = point;
      process.stderr.write(
        `epoch ${epoch.toFixed(2)}  ${seconds.toFixed(0).padStart(5)} s  train loss ${trainLoss.toFixed(4)}  test loss ${testLoss.toFixed(4)}  ${problem.info.metric.name} ${metric.toFixed(2)}\n`,
      );
    }
  },
});
if (values.json) {
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
} else {
  const { status, lastMetric, trainSeconds, evaluateSeconds, reason = "" } = result;
  process.stdout.write(
    `${spec.id}: ${status}, ${problem.info.metric.name} ${lastMetric ?? "none"}, ${trainSeconds.toFixed(0)} s of training, ${evaluateSeconds.toFixed(0)} s of evaluation ${reason}\n`,
  );
}
process.exit(result.status === "finished" ? 0 : 1);
