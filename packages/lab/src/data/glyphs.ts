/** Glyphs drawn from strokes, each drawing with variation of its own: "HanziStrokes (synthetic variation)". */

import type { Random } from "@adastra/core";
import type { Stroke } from "./hanzi.ts";

/** Pixels along an edge. */
export const glyphSize = 28;

/** Standard deviations of what varies between two drawings, in coordinates of ±1. */
const rotation = 0.15;
const scale = 0.08;
const shear = 0.15;
const shift = 0.05;
const strokeOffset = 0.06;
const pointNoise = 0.025;

/** Half the width of a line, and of its soft edge, in pixels. */
const halfWidth = 0.8;
const edge = 0.6;

/**
 * Draws strokes as soft lines into `glyphSize` x `glyphSize` pixels of 0 to 1, row by row from the top, at `offset`.
 *
 * The whole glyph is rotated, scaled along both axes, sheared and shifted; each stroke moves, each point moves.
 */
export function drawGlyph(
  strokes: readonly Stroke[],
  random: Random,
  pixels: Float32Array,
  offset = 0,
): void {
  const angle = rotation * random.normal();
  const [sx, sy] = [1 + scale * random.normal(), 1 + scale * random.normal()];
  const slant = shear * random.normal();
  const [dx, dy] = [shift * random.normal(), shift * random.normal()];
  const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
  pixels.fill(0, offset, offset + glyphSize ** 2);
  for (const stroke of strokes) {
    const [ox, oy] = [strokeOffset * random.normal(), strokeOffset * random.normal()];
    let before: readonly [number, number] | undefined;
    for (const [px, py] of stroke) {
      const x = sx * (px + ox + pointNoise * random.normal());
      const y = sy * (py + oy + pointNoise * random.normal());
      const slanted = x + slant * y;
      const point = [
        toPixel(cos * slanted - sin * y + dx),
        toPixel(-(sin * slanted + cos * y + dy)),
      ] as const;
      drawLine(before ?? point, point, pixels, offset);
      before = point;
    }
  }
}

/** ±1 stays a pixel off the border. */
function toPixel(coordinate: number): number {
  return ((coordinate + 1) / 2) * (glyphSize - 3) + 1;
}

/** Each pixel near the line from a to b becomes at least as bright as its distance says. */
function drawLine(
  [ax, ay]: readonly [number, number],
  [bx, by]: readonly [number, number],
  pixels: Float32Array,
  offset: number,
): void {
  const reach = halfWidth + edge;
  const [vx, vy] = [bx - ax, by - ay];
  const length = vx * vx + vy * vy;
  const range = (a: number, b: number): [number, number] => [
    Math.max(0, Math.ceil(Math.min(a, b) - reach)),
    Math.min(glyphSize - 1, Math.floor(Math.max(a, b) + reach)),
  ];
  const [left, right] = range(ax, bx);
  const [top, bottom] = range(ay, by);
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const along = length === 0 ? 0 : ((x - ax) * vx + (y - ay) * vy) / length;
      const share = Math.min(1, Math.max(0, along));
      const distance = Math.hypot(x - ax - share * vx, y - ay - share * vy);
      const light = Math.min(1, Math.max(0, (reach - distance) / edge));
      const at = offset + y * glyphSize + x;
      pixels[at] = Math.max(pixels[at] as number, light);
    }
  }
}
