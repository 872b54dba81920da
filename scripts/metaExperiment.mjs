/**
 * What learned rates are worth: the tables in docs/meta.md.
 *
 *     node scripts/metaExperiment.mjs PROBLEM [OUT.json]      a problem of `adastra meta`; needs `npm run build`
 *
 * Every method gets the same tuning: four rates, each by a run of a fifth of the rounds, judged on the same validation
 * tasks; what is left to choose at meta-test (c of ARUBA++, the rate of fine-tuning) is chosen on the same tasks. Then
 * one run a seed at the best, judged on the same test tasks. Intervals are bootstrap intervals of the mean over tasks.
 */

import { writeFileSync } from "node:fs";
import { cpus } from "node:os";
import process from "node:process";
import { mulberry32 } from "@adastra/core";
import { bootstrapMean, mean } from "../packages/lab/dist/compare/statistics.js";
import { findMetaProblem } from "../packages/lab/dist/meta/problems.js";

const plans = {
  sinusoid: {
    seeds: [1],
    tasks: 1000,
    shots: [10],
    rates: { aruba: [0.02, 0.05, 0.1, 0.2], adam: [0.001, 0.003, 0.01, 0.03] },
    choices: { aruba: [1, 30, 1000] },
  },
  "hanzi-5way": {
    seeds: [1],
    tasks: 1000,
    shots: [1, 5],
    rates: { aruba: [0.05, 0.1, 0.2, 0.4], adam: [0.001, 0.003, 0.01, 0.03] },
    choices: { aruba: [1, 30, 1000] },
  },
  "brown-documents": {
    seeds: [1],
    tasks: 50,
    shots: [0],
    rates: { aruba: [0.2, 0.4, 0.8, 1.6], sgd: [0.2, 0.4, 0.8, 1.6] },
    choices: { aruba: [1, 30, 1000], sgd: [0.03, 0.1, 0.2, 0.4] },
  },
  "brown-genres": {
    seeds: [1],
    tasks: 68,
    shots: [0],
    rates: { aruba: [0.2, 0.4, 0.8, 1.6], sgd: [0.2, 0.4, 0.8, 1.6] },
    choices: { aruba: [1, 30, 1000], sgd: [0.03, 0.1, 0.2, 0.4] },
  },
  "mnist-skew": {
    seeds: [1, 2, 3],
    tasks: 100,
    shots: [0],
    rates: { aruba: [0.01, 0.03, 0.1, 0.3], sgd: [0.01, 0.03, 0.1, 0.3] },
    choices: { aruba: [0.01, 0.1, 1, 10], sgd: [0.01, 0.03, 0.1, 0.3] },
  },
};

const [name = "", out] = process.argv.slice(2);
const problem = findMetaProblem(name);
const { seeds, tasks, shots, rates, choices } = plans[name];
const { rounds, metric } = problem.info;
const opened = await problem.open();
const isFederated = problem.info.testTasks !== undefined;
const validTasks = problem.info.testTasks?.valid ?? 50;
const better = (a, b) => (metric.better === "higher" ? a > b : a < b);
const say = (line) => process.stderr.write(`${line}\n`);

/** Trains; what a new task starts from. */
async function train(method, rate, count, seed) {
  const training = opened.start({ method, rate, rounds: count, seed });
  let dropped = 0;
  while (training.round < count) {
    dropped += (await training.next()).dropped;
  }
  const preset =
    method === "sgd" || (isFederated && method === "adam") ? {} : { preset: training.preset() };
  return { method, rate, training, params: training.params, dropped, ...preset };
}

const judge = ({ method, params, preset, training }, split, shot, seed, adapt) =>
  opened.evaluate({
    method,
    split,
    tasks: split === "valid" ? validTasks : tasks,
    shots: shot,
    seed,
    params,
    ...(preset === undefined ? {} : { preset: adapt?.coef ? training.preset(adapt.coef) : preset }),
    adapt,
  });

/** The value whose metric is best; NaN counts as worst. */
async function best(values, of) {
  const tried = [];
  for (const value of values) {
    tried.push({ value, metric: await of(value) });
  }
  const valid = tried.filter(({ metric }) => Number.isFinite(metric));
  const chosen = valid.reduce((a, b) => (better(b.metric, a.metric) ? b : a));
  return { value: chosen.value, tried };
}

const perTask = {};
const tuning = {};
for (const method of Object.keys(rates)) {
  const started = performance.now();
  const { value: rate, tried } = await best(rates[method], async (candidate) => {
    const run = await train(method, candidate, Math.ceil(rounds / 5), 100);
    const scores = [];
    for (const shot of shots) {
      scores.push(mean(await judge(run, "valid", shot, 100, { rate: candidate, coef: 0 })));
    }
    return mean(scores);
  });
  tuning[method] = { tried, rate };
  say(
    `${method}: rate ${rate} of ${JSON.stringify(tried)}, ${((performance.now() - started) / 1000).toFixed(0)} s`,
  );
  for (const seed of seeds) {
    const run = await train(method, rate, rounds, seed);
    say(
      `${method}: trained, seed ${seed}, ${run.dropped} tasks dropped, ${((performance.now() - started) / 1000).toFixed(0)} s`,
    );
    for (const shot of shots) {
      const add = async (label, adapt) => {
        const scores = await judge(run, "test", shot, 1, adapt);
        (perTask[`${label}, ${shot} shots`] ??= []).push(scores);
        say(`${label}, ${shot} shots, seed ${seed}: ${mean(scores).toFixed(3)}`);
      };
      const fixed = { rate, coef: 0 };
      await add(isFederated && method === "sgd" ? "sgd, the rate of training" : method, fixed);
      if (isFederated) {
        await add(`${method}, not fine-tuned`, null);
      }
      const open = choices[method];
      if (open !== undefined) {
        const key = method === "sgd" ? "rate" : "coef";
        const chosen = await best(open, async (value) =>
          mean(await judge(run, "valid", shot, 100, { ...fixed, [key]: value })),
        );
        tuning[`${method}, ${key}, ${shot} shots, seed ${seed}`] = chosen;
        await add(method === "sgd" ? "sgd, tuned rate" : "aruba++", {
          ...fixed,
          [key]: chosen.value,
        });
      }
    }
  }
}
if (opened.floor !== undefined) {
  for (const shot of shots) {
    perTask[`nearest neighbour, ${shot} shots`] = [
      opened.floor({ split: "test", tasks, shots: shot, seed: 1 }),
    ];
  }
}

/** Over tasks, each the mean of its seeds: seeds of a task are not independent of each other. */
const pooled = Object.fromEntries(
  Object.entries(perTask).map(([label, runs]) => [
    label,
    runs[0].map((_, task) => mean(runs.map((scores) => scores[task]))),
  ]),
);
const interval = (values) => bootstrapMean(values, mulberry32(1), 2000);
const results = Object.fromEntries(
  Object.entries(pooled).map(([label, values]) => [label, interval(values)]),
);
const differences = {};
for (const shot of shots) {
  for (const a of Object.keys(pooled).filter(
    (label) => label.startsWith("aruba") && label.endsWith(`, ${shot} shots`),
  )) {
    for (const b of Object.keys(pooled).filter(
      (label) => !label.startsWith("aruba") && label.endsWith(`, ${shot} shots`),
    )) {
      differences[`${a} - ${b}`] = interval(
        pooled[a].map((value, task) => value - pooled[b][task]),
      );
    }
  }
}
const result = {
  problem: problem.info,
  seeds,
  tasks,
  tuning,
  results,
  differences,
  environment: {
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
  },
};
if (out !== undefined) {
  writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`);
}
process.stdout.write(`${JSON.stringify({ results, differences }, null, 1)}\n`);
process.exit(0);
