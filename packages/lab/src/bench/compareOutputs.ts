/** Outputs are compared before anything is timed: a fast wrong answer is no answer. */

/** One comparison that held. */
export interface OutputCheck {
  readonly name: string;
  readonly against: string;
  /** Numbers compared. */
  readonly compared: number;
  /** Largest difference, over the largest magnitude of what it is compared with. */
  readonly difference: number;
  readonly tolerance: number;
  /** Where a difference may come from. */
  readonly reason: string;
}

/** @throws Error when the numbers differ by more than the tolerance, or are not numbers. */
export function checkOutputs(
  where: string,
  values: ArrayLike<number>,
  expected: ArrayLike<number>,
  check: Omit<OutputCheck, "compared" | "difference">,
): OutputCheck {
  const difference =
    values.length === expected.length ? relativeDifference(values, expected) : Number.NaN;
  if (!(expected.length > 0 && difference <= check.tolerance)) {
    throw new Error(
      `${where}: ${check.name} must agree with ${check.against} within ${check.tolerance}, got ${
        values.length === expected.length
          ? difference
          : `${values.length} numbers for ${expected.length}`
      }`,
    );
  }
  return { ...check, compared: expected.length, difference };
}

/** Largest difference of two arrays, relative to the largest magnitude of the second; NaN where a number is. */
export function relativeDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    // Math.max keeps a NaN.
    difference = Math.max(difference, Math.abs((a[i] as number) - (b[i] as number)));
    scale = Math.max(scale, Math.abs(b[i] as number));
  }
  return difference === 0 ? 0 : difference / scale;
}
