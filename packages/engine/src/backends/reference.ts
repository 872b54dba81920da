/** A backend's first results beside a reference's: a wrong result becomes an error, not a bad model. */

import { BackendMismatchError } from "../errors.ts";
import type { Executable } from "./executable.ts";

export interface Reference {
  readonly name: string;
  readonly executable: Executable;
}

/**
 * As a share of an output's largest magnitude. Other orders of summing and other approximations of exp
 * stay below 1e-4 even in deep models; wrong kernels are wrong by the size of the numbers.
 */
const TOLERANCE = 1e-3;
/** As a share of the largest magnitude of all outputs: what is smaller is compared with this. */
const NEGLIGIBLE = 1e-3;

/**
 * Runs `executable`, and on the first run the reference too, which is then disposed of.
 *
 * @throws BackendMismatchError where an output differs; the next run compares again.
 */
export function withReference(
  where: string,
  backend: string,
  executable: Executable,
  open: () => Promise<Reference>,
): Executable {
  let checked = false;
  return {
    dispose: () => executable.dispose(),
    run: async (inputs, outputs) => {
      if (checked) {
        return executable.run(inputs, outputs);
      }
      const reference = await open();
      try {
        const expected = outputs.map(({ length }) => new Float32Array(length));
        await reference.executable.run(inputs, expected);
        await executable.run(inputs, outputs);
        const scales = expected.map(largest);
        const all = Math.max(...scales);
        outputs.forEach((output, index) => {
          const wanted = expected[index] as Float32Array; // made above
          // An output may be rounding errors alone, as the gradient of a bias before a batch norm is.
          const scale = Math.max(scales[index] as number, NEGLIGIBLE * all);
          const difference = largestDifference(output, wanted) / scale;
          if (!(difference <= TOLERANCE || (scale === 0 && largest(output) === 0))) {
            throw new BackendMismatchError(where, backend, reference.name, index, difference);
          }
        });
        checked = true;
      } finally {
        await reference.executable.dispose();
      }
    },
  };
}

function largest(values: Float32Array): number {
  return values.reduce(
    (most, value) => (Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most),
    0,
  );
}

/** Equal elements, NaN and infinities included, differ by 0. */
function largestDifference(values: Float32Array, expected: Float32Array): number {
  let difference = 0;
  expected.forEach((wanted, i) => {
    const value = values[i] as number;
    if (!Object.is(value, wanted) && value !== wanted) {
      // Math.max keeps a NaN.
      difference = Math.max(difference, Math.abs(value - wanted));
    }
  });
  return difference;
}
