import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { colourDigits, colourMnist } from "./colourMnist.ts";
import { noiseField } from "./colourNoise.ts";
import { pixelScale } from "./images.ts";
import { loadMnist } from "./mnist.ts";

const mnist = loadMnist();

function imageOf(seed: number, index: number, digits = mnist.train): Uint8Array {
  const image = new Uint8Array(3072);
  colourDigits(digits, seed)(index, image);
  return image;
}

describe("coloured noise", () => {
  const size = 16;
  const field = (seed: number) => {
    const into = new Float64Array(size * size);
    noiseField(size)(mulberry32(seed), into);
    return into;
  };

  /** |Z(u, v)| by the definition of the discrete Fourier transform. */
  const amplitude = (values: Float64Array, u: number, v: number) => {
    let re = 0;
    let im = 0;
    values.forEach((value, i) => {
      const angle = (2 * Math.PI * (u * Math.floor(i / size) + v * (i % size))) / size;
      re += value * Math.cos(angle);
      im -= value * Math.sin(angle);
    });
    return Math.hypot(re, im) / values.length;
  };

  test("has amplitude 1/f at every frequency below Nyquist's, and nothing elsewhere", () => {
    const values = field(1);
    for (let u = -size / 2; u < size / 2; u++) {
      for (let v = -size / 2; v < size / 2; v++) {
        const absent = (u === 0 && v === 0) || u === -size / 2 || v === -size / 2;
        // A cosine of amplitude 1/f stands in the transform twice, by half each.
        expect(amplitude(values, u, v)).toBeCloseTo(absent ? 0 : 0.5 / Math.hypot(u, v), 12);
      }
    }
  });

  test("is the same for the same seed and another for another", () => {
    expect(field(3)).toEqual(field(3));
    expect(field(3)).not.toEqual(field(4));
  });

  test.each([0, 2, 12, Number.NaN])("of size %d is refused", (wrong) => {
    expect(() => noiseField(wrong)).toThrow(
      new RangeError(`noiseField: \`size\` must be a power of 2 from 4 on, got ${wrong}`),
    );
  });
});

describe("MNIST-on-noise", () => {
  test("an image depends on its index and seed alone, not on what was drawn before", () => {
    const draw = colourDigits(mnist.train, 5);
    const [first, again] = [new Uint8Array(3072), new Uint8Array(3072)];
    draw(7, first);
    draw(8, again);
    expect(again).not.toEqual(first);
    draw(7, again);
    expect(again).toEqual(first);
    expect(imageOf(5, 7)).toEqual(first);
    expect(imageOf(6, 7)).not.toEqual(first);
  });

  test("the digit inverts the background where it is white, at one of 25 places", () => {
    const blank = { ...mnist.train, pixels: new Uint8Array(new SharedArrayBuffer(784)), count: 1 };
    const white = { ...blank, pixels: new Uint8Array(new SharedArrayBuffer(784)).fill(255) };
    const places = new Set<string>();
    for (let seed = 0; seed < 300; seed++) {
      const before = imageOf(seed, 0, blank);
      const after = imageOf(seed, 0, white);
      const inverted = [...after.keys()].filter((at) => after[at] === 255 - (before[at] as number));
      const [first = 0] = inverted;
      places.add(`${Math.floor(first / 32)},${first % 32}`);
      expect(inverted.length).toBe(3 * 784); // 255 is odd: no byte is its own inverse
      expect(after.filter((value, at) => value !== before[at]).length).toBe(3 * 784);
    }
    expect(places.size).toBe(25);
  });

  test("a background spans all bytes", () => {
    const blank = { ...mnist.train, pixels: new Uint8Array(new SharedArrayBuffer(784)), count: 1 };
    const image = imageOf(1, 0, blank);
    expect([Math.min(...image), Math.max(...image)]).toEqual([0, 255]);
  });

  test("sets hold the images drawn one by one, with MNIST's labels and a scale of their own", () => {
    const { train, test: held } = colourMnist(mnist, { seed: 2, train: 30, test: 20 });
    expect([train.count, held.count, train.pixelsPerImage]).toEqual([30, 20, 3072]);
    expect([...train.labels]).toEqual([...mnist.train.labels.subarray(0, 30)]);
    expect(train.pixels.subarray(0, 3072)).not.toEqual(held.pixels.subarray(0, 3072));
    expect(colourMnist(mnist, { seed: 2, train: 5, test: 1 }).train.pixels).toEqual(
      train.pixels.slice(0, 5 * 3072),
    );
    expect({ mean: train.mean, std: train.std }).toEqual(pixelScale(train.pixels));
    expect(held.mean).toBe(train.mean);
  });

  test("more images than digits, an index beyond them, digits of another size are refused", () => {
    expect(() => colourMnist(mnist, { train: 60_001 })).toThrow(
      new RangeError("colourMnist: `train` must be an integer from 1 to 60000, got 60001"),
    );
    expect(() => imageOf(1, 60_000)).toThrow(
      new RangeError("colourDigits: `index` must be an integer from 0 to 59999, got 60000"),
    );
    expect(() => colourDigits({ ...mnist.train, pixelsPerImage: 4 }, 1)).toThrow(
      new RangeError("colourDigits: digits must have 784 pixels, got 4; pass a part of MNIST"),
    );
  });
});

test("the scale of pixels is their mean and standard deviation, from 0 to 1", () => {
  const { mean, std } = pixelScale(Uint8Array.of(0, 0, 255, 51));
  expect(mean).toBeCloseTo(0.3, 12);
  expect(std).toBeCloseTo(Math.sqrt((0.09 + 0.09 + 0.49 + 0.01) / 4), 12);
});
