/** How many parameters a step goes over: one tensor from L1-resident to larger than any cache, and a network. */

export interface StepSize {
  /** As on the command line. */
  readonly name: string;
  readonly description: string;
  readonly shapes: readonly (readonly number[])[];
  readonly parameters: number;
}

export const defaultSizes = ["1k", "10k", "100k", "1M", "10M", "model"] as const;

/** Above this a run would need more memory than one WebAssembly memory holds, eleven gradients of AdaShift included. */
const MOST = 80e6;

/**
 * A size by name: `1k`, `2.5M`, a plain number of parameters, or `model`.
 *
 * @throws RangeError for what is none of them.
 */
export function parseSize(where: string, text: string): StepSize {
  if (text === "model") {
    return network();
  }
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?)([kM]?)$/.exec(text) ?? [];
  const parameters = Number(digits) * { "": 1, k: 1e3, M: 1e6 }[unit as "" | "k" | "M"];
  if (!(Number.isSafeInteger(parameters) && parameters >= 1 && parameters <= MOST)) {
    throw new RangeError(
      `${where} must be numbers of parameters from 1 to ${MOST / 1e6}M such as 1k or 2.5M, or model, got "${text}"`,
    );
  }
  return {
    name: text,
    description: `${parameters.toLocaleString("en")} parameters, one tensor`,
    shapes: [[parameters]],
    parameters,
  };
}

/**
 * The shapes of a ResNet-50 of base width 40 for 1400 classes: 53 convolution kernels, the stem's with a bias, the
 * others with scale and shift of a norm, and a dense layer. 160 tensors, from 40 numbers to 1.8 million.
 */
function network(): StepSize {
  const width = 40;
  const shapes: number[][] = [[7, 7, 3, width], [width]];
  const convolution = (size: number, from: number, to: number): void => {
    shapes.push([size, size, from, to], [to], [to]);
  };
  let from = width;
  [3, 4, 6, 3].forEach((blocks, stage) => {
    const inner = width * 2 ** stage;
    for (let block = 0; block < blocks; block++) {
      if (block === 0) {
        convolution(1, from, 4 * inner);
      }
      convolution(1, from, inner);
      convolution(3, inner, inner);
      convolution(1, inner, 4 * inner);
      from = 4 * inner;
    }
  });
  const classes = 1400;
  shapes.push([from, classes], [classes]);
  const parameters = shapes.reduce((sum, shape) => sum + product(shape), 0);
  return {
    name: "model",
    description: `${parameters.toLocaleString("en")} parameters, ${shapes.length} tensors: ResNet-50 of base width ${width}, ${classes} classes (convolutions, norms, biases, a dense layer)`,
    shapes,
    parameters,
  };
}

export function product(shape: readonly number[]): number {
  return shape.reduce((size, n) => size * n, 1);
}
