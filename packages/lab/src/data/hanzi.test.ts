import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { drawGlyph, glyphSize } from "./glyphs.ts";
import { loadHanzi } from "./hanzi.ts";

const characters = loadHanzi();

describe("HanziStrokes", () => {
  test("holds 1,600 different characters, each in one split, as strokes within the square", () => {
    expect(new Set(characters.map(({ character }) => character)).size).toBe(1600);
    const count = (split: string) => characters.filter((each) => each.split === split).length;
    expect(["train", "valid", "test"].map(count)).toEqual([1000, 200, 400]);
    const points = characters.flatMap(({ strokes }) => strokes.flat(2));
    expect(points.every((value) => Math.abs(value) <= 1.1)).toBe(true);
  });

  test("with another file or none is refused", () => {
    const folder = mkdtempSync(join(tmpdir(), "adastra-hanzi-"));
    try {
      expect(() => loadHanzi({ folder })).toThrow(
        /^loadHanzi: "一\.json" must lie in .*, got no such file; run npm install hanzi-writer-data@2\.0\.1/,
      );
      writeFileSync(join(folder, "一.json"), "{}");
      expect(() => loadHanzi({ folder })).toThrow(
        /^loadHanzi: the 1600 characters in .* must have SHA-256 bb5e7eb8be03.*, got .*; delete them/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("a glyph", () => {
  const one = characters.find(({ strokes }) => strokes.length > 4);
  const draw = (seed: number): Float32Array => {
    const pixels = new Float32Array(glyphSize ** 2);
    drawGlyph(one?.strokes ?? [], mulberry32(seed), pixels);
    return pixels;
  };

  test("is the same by the same seed, another by another, in shades of 0 to 1", () => {
    expect(draw(1)).toEqual(draw(1));
    expect(draw(1)).not.toEqual(draw(2));
    expect(draw(1).every((pixel) => pixel >= 0 && pixel <= 1)).toBe(true);
  });

  test("fills a part of its square", () => {
    const inked = draw(1).reduce((sum, pixel) => sum + pixel, 0) / glyphSize ** 2;
    expect(inked).toBeGreaterThan(0.05);
    expect(inked).toBeLessThan(0.6);
  });
});
