/** One trial: an optimizer at one learning rate on one problem from one seed. */

import { type Clock, chain, clipByGlobalNorm, compileOptimizer } from "@adastra/core";
import { findOptimizer } from "../optimizers.ts";
import type { OpenProblem, Problem } from "../problems/problem.ts";
import type { CurvePoint, TrialEvent, TrialResult, TrialSpec } from "../protocol.ts";

export interface TrialContext {
  readonly problem: Problem;
  readonly open: OpenProblem;
  readonly clock: Clock;
  readonly onEvent: (event: TrialEvent) => void;
  /** Read before every step; an `AbortSignal`, or whatever else another thread can set. */
  readonly signal?: { readonly aborted: boolean };
}

/** The first point of a curve comes early, so that a watcher sees at once that training runs. */
const firstPoint = 25;
const pointsPerEpoch = 20;

/**
 * Runs a trial to its end, to a loss that is not finite, or until `signal` is aborted.
 *
 * Points come after the first 25 steps, then 20 times an epoch. The problem is evaluated at the end of each epoch
 * and of the trial; in runs also in between, as often as the problem says. Time of evaluation is not in the points' seconds. Everything is determined by the spec but the seconds.
 *
 * @returns what was measured, also when the trial did not get to its end; errors of optimizer or engine are thrown.
 */
export async function runTrial(
  spec: TrialSpec,
  { problem, open, clock, onEvent, signal }: TrialContext,
): Promise<TrialResult> {
  const task = open.start(spec);
  const { stepsPerEpoch } = task;
  const totalSteps = Math.max(1, Math.round(stepsPerEpoch * spec.epochs));
  const evaluateEvery = Math.ceil(
    stepsPerEpoch / (spec.phase === "tune" ? 1 : problem.evaluationsPerEpoch),
  );
  const { clip } = problem.info;
  const built = findOptimizer(spec.optimizer).build(problem.setting);
  const optimizer = compileOptimizer(
    clip === undefined ? built : chain(clipByGlobalNorm(clip), built),
    {
      params: task.params,
      learningRate: problem.schedule(spec.learningRate, totalSteps),
      dtype: task.dtype,
    },
  );
  onEvent({ kind: "started", spec, totalSteps, optimizerBackend: optimizer.backend });

  const points: CurvePoint[] = [];
  const every = Math.max(1, Math.floor(stepsPerEpoch / pointsPerEpoch));
  let lossSum = 0;
  let lossCount = 0;
  let trainMs = 0;
  let evaluateMs = 0;
  let started = clock.now();
  let status: TrialResult["status"] = "finished";
  let reason: string | undefined;

  const addPoint = (step: number, scores: Pick<CurvePoint, "testLoss" | "metric">) => {
    const epoch = step / stepsPerEpoch;
    const trainLoss = lossSum / lossCount;
    const point = { step, epoch, seconds: trainMs / 1000, trainLoss, ...scores };
    points.push(point);
    lossSum = 0;
    lossCount = 0;
    onEvent({ kind: "point", id: spec.id, point });
  };

  for (let step = 1; step <= totalSteps; step++) {
    if (signal?.aborted) {
      status = "interrupted";
      break;
    }
    task.project?.(optimizer.params);
    const loss = await task.gradient(optimizer.params, optimizer.gradients);
    if (!Number.isFinite(loss)) {
      status = "diverged";
      reason = `runTrial: the loss must be finite, got ${loss} at step ${step} of "${spec.id}"; lower the learning rate`;
      break;
    }
    optimizer.step();
    lossSum += loss;
    lossCount += 1;

    const inEpoch = ((step - 1) % stepsPerEpoch) + 1;
    const evaluate =
      inEpoch % evaluateEvery === 0 || inEpoch === stepsPerEpoch || step === totalSteps;
    if (evaluate || step === firstPoint || step % every === 0) {
      trainMs += clock.now() - started;
      if (evaluate) {
        const from = clock.now();
        const { metric, loss: testLoss } = await task.evaluate(optimizer.evaluationParams());
        evaluateMs += clock.now() - from;
        if (!Number.isFinite(metric) || (testLoss !== undefined && !Number.isFinite(testLoss))) {
          status = "diverged";
          reason = `runTrial: the evaluation must be finite, got ${metric} with loss ${testLoss} after step ${step} of "${spec.id}"; lower the learning rate`;
          break;
        }
        addPoint(step, { metric, ...(testLoss !== undefined && { testLoss }) });
      } else {
        addPoint(step, {});
      }
      started = clock.now();
    }
  }

  const metrics = points.map((point) => point.metric).filter((metric) => metric !== undefined);
  const best = problem.info.metric.better === "higher" ? Math.max : Math.min;
  return {
    spec,
    status,
    points,
    lastMetric: status === "finished" ? (metrics.at(-1) ?? null) : null,
    bestMetric: metrics.length > 0 ? best(...metrics) : null,
    trainSeconds: trainMs / 1000,
    evaluateSeconds: evaluateMs / 1000,
    ...(reason !== undefined && { reason }),
  };
}
