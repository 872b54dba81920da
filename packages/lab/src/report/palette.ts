/**
 * Eight colours for each theme, told apart under the common forms of colour blindness too.
 *
 * Found by a search over OKLab: one hue a slot, so that a method keeps its colour name when the theme
 * changes; contrast with the page at least 3 : 1; the smallest distance between any two, seen with
 * normal sight and simulated protan-, deuter- and tritanopia (Machado 2009), as large as it gets: 0.107
 * (light) and 0.109 (dark), against 0.076 for the palette of Okabe and Ito. A second channel (dashes,
 * labels at the lines) tells methods apart from the ninth on.
 */
export const lightColours = [
  "#2857e5",
  "#de7515",
  "#115c55",
  "#47137c",
  "#6c0910",
  "#876114",
  "#1997cf",
  "#898183",
] as const;

export const darkColours = [
  "#5aa3ec",
  "#e58212",
  "#a0d2b1",
  "#9a57f0",
  "#de4451",
  "#fab72a",
  "#3383ad",
  "#a49c9e",
] as const;

/** Dash patterns: solid for the first eight methods, then dashed, dotted, and around again. */
const dashes: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

/** How method `index` is drawn: `colour` indexes the palettes, `dash` is in CSS pixels. */
export function strokeOf(index: number): {
  readonly colour: number;
  readonly dash: readonly number[];
} {
  const colours = lightColours.length;
  return {
    colour: index % colours,
    dash: dashes[Math.floor(index / colours) % dashes.length] ?? [],
  };
}
