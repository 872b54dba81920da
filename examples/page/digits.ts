/** MNIST's IDX files, as the server hands them out. */

export interface Digits {
  readonly count: number;
  /** [count, 28, 28] bytes. */
  readonly pixels: Uint8Array;
  readonly labels: Uint8Array;
}

const IMAGE_HEADER = 16;
const LABEL_HEADER = 8;
export const PIXELS = 784;

export async function fetchDigits(part: "train" | "t10k"): Promise<Digits> {
  const [images, labels] = await Promise.all([
    bytes(`/mnist/${part}-images-idx3-ubyte`),
    bytes(`/mnist/${part}-labels-idx1-ubyte`),
  ]);
  const pixels = images.subarray(IMAGE_HEADER);
  return { count: pixels.length / PIXELS, pixels, labels: labels.subarray(LABEL_HEADER) };
}

async function bytes(url: string): Promise<Uint8Array> {
  const response = await fetch(url);
  if (!response.ok) {
    throw new Error(`fetchDigits: ${url} must be there, got status ${response.status}`);
  }
  return new Uint8Array(await response.arrayBuffer());
}

/** Digits `order[first]`, ... on a scale of mean 0 and deviation 1. */
export function fill(
  { pixels, labels }: Digits,
  order: Uint32Array,
  first: number,
  x: Float32Array,
  y: Int32Array,
): void {
  for (let row = 0; row < y.length; row++) {
    const digit = order[first + row] ?? 0;
    for (let i = 0; i < PIXELS; i++) {
      x[row * PIXELS + i] = ((pixels[digit * PIXELS + i] ?? 0) / 255 - 0.1307) / 0.3081;
    }
    y[row] = labels[digit] ?? 0;
  }
}
