/** Feeds recorded gradients through optimizers and compares every step with the recorded parameters. */

import { compileOptimizer, type DType, sizeOf } from "@adastra/core";
import { resolve } from "./algorithms.ts";
import { type ArubaRun, comparisons, runAruba } from "./aruba.ts";
import type { ArubaInputs } from "./arubaCase.ts";
import { runDecentralized } from "./decentralized.ts";
import type { DecentralizedInputs } from "./decentralizedCase.ts";
import type { ReplayOptions } from "./options.ts";
import { UnsupportedError } from "./reader.ts";
import type { TraceCase, TraceProblem } from "./schema.ts";

/** Of a case by steps, or of one by tasks and rounds. */
export type CaseOutput = { readonly params: Trajectory } | ArubaRun;

/** `[step][tensor][element]`. */
export type Trajectory = readonly (readonly (readonly number[])[])[];

export type CaseResult =
  | {
      readonly id: string;
      readonly status: "passed" | "failed";
      /** Largest difference from the recorded parameters, and what is allowed. */
      readonly difference: number;
      readonly tolerance: number;
      /** Step of the largest difference, from 1. */
      readonly step: number;
      readonly output: CaseOutput;
    }
  | { readonly id: string; readonly status: "computed"; readonly output: CaseOutput }
  /** The case cannot be run as it is written: an option out of range, a problem that is not there. */
  | { readonly id: string; readonly status: "refused"; readonly reason: string }
  | { readonly id: string; readonly status: "unsupported"; readonly reason: string };

/**
 * Replays one case.
 *
 * In float64 the tolerance is the case's own, absolute. In float32 it is 1e-4 of the largest magnitude that
 * the tensor has from its start to its end: some 1000 ULP, what 30 steps of rounding and cancellation leave,
 * also of a parameter that happens to pass through zero. Infinities count for nothing in that scale: they would
 * allow anything. A case that holds not one number to compare is computed, not passed.
 */
export async function replayCase(
  trace: TraceCase,
  problems: ReadonlyMap<string, TraceProblem | TypeError>,
  options: ReplayOptions,
): Promise<CaseResult> {
  try {
    const { aruba, decentralized } = trace;
    if (aruba !== undefined) {
      return await attemptAruba(trace, aruba, options);
    }
    return decentralized === undefined
      ? attempt(trace, problems, options)
      : await attemptDecentralized(trace, decentralized, options);
  } catch (cause) {
    if (cause instanceof UnsupportedError) {
      return { id: trace.id, status: "unsupported", reason: cause.message };
    }
    if (cause instanceof TypeError || cause instanceof RangeError) {
      return { id: trace.id, status: "refused", reason: cause.message };
    }
    throw cause;
  }
}

function attempt(
  trace: TraceCase,
  problems: ReadonlyMap<string, TraceProblem | TypeError>,
  { backend, dtype }: ReplayOptions,
): CaseResult {
  const { id } = trace;
  const resolved = resolve(trace.algorithm, trace.options);
  if (resolved.status === "unsupported") {
    return { id, ...resolved };
  }
  if (trace.problem === undefined) {
    return { id, status: "unsupported", reason: "a case that carries its own inputs" };
  }
  const problem = problems.get(trace.problem);
  if (problem === undefined) {
    throw new RangeError(
      `replay: case "${id}" must name a known problem, got "${trace.problem}"; pass --problems`,
    );
  }
  if (problem instanceof TypeError) {
    throw problem;
  }
  const { params, evaluation } = run(problem, resolved.optimizer, resolved.learningRate, {
    backend,
    dtype,
  });
  if (trace.params === undefined) {
    return { id, status: "computed", output: { params } };
  }
  const own = compare(trace, problem.init, trace.params, params, dtype);
  if (own.status !== "passed" || trace.evaluation === undefined) {
    return own;
  }
  const evaluated = compare(trace, problem.init, trace.evaluation, evaluation, dtype);
  if (evaluated.status !== "passed" && evaluated.status !== "failed") {
    return evaluated;
  }
  const isWorse = evaluated.status === "failed" || evaluated.difference > own.difference;
  return isWorse ? { ...evaluated, output: { params } } : own;
}

async function attemptDecentralized(
  trace: TraceCase,
  inputs: DecentralizedInputs,
  options: ReplayOptions,
): Promise<CaseResult> {
  const params = await runDecentralized(inputs, trace.options, options);
  return trace.params === undefined
    ? { id: trace.id, status: "computed", output: { params } }
    : compare(trace, inputs.init, trace.params, params, options.dtype);
}

/** A case of many kinds of numbers is off by the kind that is off most beyond what is allowed of it. */
async function attemptAruba(
  trace: TraceCase,
  inputs: ArubaInputs,
  options: ReplayOptions,
): Promise<CaseResult> {
  const output = await runAruba(inputs, trace.options, options);
  let worst: CaseResult = { id: trace.id, status: "computed", output };
  let excess = Number.NEGATIVE_INFINITY;
  for (const { init, expected, got } of comparisons(inputs, output)) {
    const result = compare(trace, init, expected, got, options.dtype);
    if ("difference" in result && result.difference - result.tolerance > excess) {
      excess = result.difference - result.tolerance;
      worst = { ...result, output };
    }
  }
  return worst;
}

function run(
  problem: TraceProblem,
  optimizer: Parameters<typeof compileOptimizer>[0],
  learningRate: number,
  options: ReplayOptions,
): { readonly params: number[][][]; readonly evaluation: number[][][] } {
  const paths = problem.shapes.map((_, tensor) => `tensor${tensor}`);
  const params = Object.fromEntries(
    problem.shapes.map((shape, tensor) => [
      paths[tensor],
      { shape, data: Float64Array.from(problem.init[tensor] ?? new Float64Array(sizeOf(shape))) },
    ]),
  );
  const compiled = compileOptimizer(optimizer, { params, learningRate, ...options });
  const numbers = (leaves: typeof compiled.params): number[][] =>
    paths.map((path) => Array.from(leaves[path]?.data ?? []));
  const evaluation: number[][][] = [];
  const trajectory = Array.from({ length: problem.steps }, (_, step) => {
    const gradients = gradientsAt(problem, step, numbers(compiled.params));
    compiled.step(
      Object.fromEntries(
        paths.map((path, tensor) => [path, Float64Array.from(gradients[tensor] ?? [])]),
      ),
    );
    evaluation.push(numbers(compiled.evaluationParams()));
    return numbers(compiled.params);
  });
  return { params: trajectory, evaluation };
}

function gradientsAt(
  problem: TraceProblem,
  step: number,
  params: readonly (readonly number[])[],
): readonly (readonly number[])[] {
  if (problem.kind === "fixed") {
    return problem.grads[step] ?? [];
  }
  const [x = 0, y = 0] = params[0] ?? [];
  const { a } = problem;
  return [[-2 * (1 - x) - 4 * a * x * (y - x * x), 2 * a * (y - x * x)]];
}

function compare(
  trace: TraceCase,
  init: readonly (readonly number[])[],
  expected: Trajectory,
  params: Trajectory,
  dtype: DType,
): CaseResult {
  let worst = { excess: Number.NEGATIVE_INFINITY, difference: 0, tolerance: trace.tol, step: 0 };
  if (expected.length !== params.length) {
    throw new RangeError(
      `replay: case "${trace.id}" must hold ${params.length} steps, got ${expected.length}; use the problems file it was recorded with`,
    );
  }
  const scales = init.map((_, tensor) =>
    [init, ...expected]
      .flatMap((tensors) => tensors[tensor] ?? [])
      .filter(Number.isFinite)
      .reduce((most, value) => Math.max(most, Math.abs(value)), 0),
  );
  expected.forEach((tensors, step) => {
    const sizes = tensors.map(({ length }) => length).join(", ");
    const own = (params[step] ?? []).map(({ length }) => length).join(", ");
    if (sizes !== own) {
      throw new RangeError(
        `replay: case "${trace.id}" must hold ${own} numbers a tensor at step ${step + 1}, got ${sizes === "" ? "none" : sizes}; record it again`,
      );
    }
    tensors.forEach((row, tensor) => {
      const tolerance = dtype === "float64" ? trace.tol : 1e-4 * (scales[tensor] as number);
      row.forEach((value, element) => {
        const got = params[step]?.[tensor]?.[element] ?? Number.NaN;
        // Equal non-finite values agree; one that is not finite where the other is differs without bound.
        const difference = Object.is(got, value) ? 0 : Math.abs(got - value);
        const found = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
        if (found - tolerance > worst.excess) {
          worst = { excess: found - tolerance, difference: found, tolerance, step: step + 1 };
        }
      });
    });
  });
  if (worst.step === 0) {
    return { id: trace.id, status: "computed", output: { params } };
  }
  const { difference, tolerance, step } = worst;
  const status = worst.excess <= 0 ? "passed" : "failed";
  return { id: trace.id, status, difference, tolerance, step, output: { params } };
}
