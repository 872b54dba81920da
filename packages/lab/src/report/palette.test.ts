import { expect, test } from "vitest";
import { darkColours, lightColours, strokeOf } from "./palette.ts";
import { styleSheet } from "./style.ts";

/** sRGB to linear light (IEC 61966-2-1). */
function linear(hex: string): [number, number, number] {
  const at = (i: number): number => {
    const v = Number.parseInt(hex.slice(i, i + 2), 16) / 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  };
  return [at(1), at(3), at(5)];
}

/** Contrast of WCAG 2. */
function contrast(a: string, b: string): number {
  const [x, y] = [a, b].map((hex) => {
    const [r, g, bl] = linear(hex);
    return 0.2126 * r + 0.7152 * g + 0.0722 * bl + 0.05;
  });
  return Math.max(x! / y!, y! / x!);
}

test("lines stand out from the page by 3 : 1, which WCAG asks of graphics", () => {
  expect(styleSheet).toContain("--card: #ffffff");
  expect(styleSheet).toContain("--card: #14181d");
  for (const colour of lightColours) {
    expect(contrast(colour, "#ffffff"), colour).toBeGreaterThanOrEqual(3);
  }
  for (const colour of darkColours) {
    expect(contrast(colour, "#14181d"), colour).toBeGreaterThanOrEqual(3);
  }
});

/** Machado, Oliveira & Fernandes 2009, severity 1: protan-, deuter- and tritanopia; and normal sight. */
const sights = [
  [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
] as const;

const times = (m: readonly (readonly number[])[], v: readonly number[]): number[] =>
  m.map((row) => row.reduce((sum, a, i) => sum + a * v[i]!, 0));

/** Linear light to OKLab (Ottosson 2020). */
function oklab(rgb: readonly number[]): number[] {
  const clipped = rgb.map((v) => Math.min(1, Math.max(0, v)));
  const lms = times(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    clipped,
  );
  return times(
    [
      [0.2104542553, 0.793617785, -0.0040720468],
      [1.9779984951, -2.428592205, 0.4505937099],
      [0.0259040371, 0.7827717662, -0.808675766],
    ],
    lms.map(Math.cbrt),
  );
}

test("any two colours differ under every form of sight, more than in the palette of Okabe and Ito", () => {
  const closest = (colours: readonly string[]): number => {
    const distances = sights.flatMap((sight) => {
      const labs = colours.map((hex) => oklab(times(sight, linear(hex))));
      return labs.flatMap((a, i) =>
        labs.slice(i + 1).map((b) => Math.hypot(...a.map((v, k) => v - b[k]!))),
      );
    });
    return Math.min(...distances);
  };
  const okabeIto = [
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#000000",
    "#F0E442",
  ];
  expect(closest(lightColours)).toBeGreaterThan(1.3 * closest(okabeIto));
  expect(closest(darkColours)).toBeGreaterThan(1.3 * closest(okabeIto));
});

test("32 methods have 32 strokes", () => {
  const strokes = Array.from({ length: 32 }, (_, i) => JSON.stringify(strokeOf(i)));
  expect(new Set(strokes).size).toBe(32);
});
