/** Who has which examples: evenly, or skewed by label as data that stays where it is made usually is. */

import type { Random } from "@adastra/core";
import { shuffle } from "../data/images.ts";

/** How examples are dealt to peers. */
export type Skew =
  /** Shuffled, the same number for everybody. */
  | { readonly kind: "none" }
  /** Each peer has so many labels of its own, as far as there are enough; the examples of a label are split among its peers. */
  | { readonly kind: "labels"; readonly each: number }
  /** Each label is dealt by shares drawn from a Dirichlet distribution: the smaller α, the more skewed. */
  | { readonly kind: "dirichlet"; readonly alpha: number };

/**
 * Examples by peer, out of `examples`; each stands with exactly one peer.
 *
 * @param labels - by example.
 * @throws RangeError where a peer would be left without any, or for a skew out of range.
 */
export function splitExamples(
  examples: Uint32Array,
  labels: ArrayLike<number>,
  peers: number,
  skew: Skew,
  random: Random,
): Uint32Array[] {
  const shuffled = shuffle(examples.slice(), random);
  const parts = partsOf(shuffled, labels, peers, skew, random);
  const empty = parts.findIndex((part) => part.length === 0);
  if (empty >= 0) {
    throw new RangeError(
      `splitExamples: every peer must have examples, got none for peer ${empty} of ${peers}; take fewer peers or less skew`,
    );
  }
  return parts.map((part) => Uint32Array.from(part));
}

function partsOf(
  shuffled: Uint32Array,
  labels: ArrayLike<number>,
  peers: number,
  skew: Skew,
  random: Random,
): number[][] {
  const parts = Array.from({ length: peers }, (): number[] => []);
  if (skew.kind === "none") {
    shuffled.forEach((example, i) => parts[i % peers]?.push(example));
    return parts;
  }
  const byLabel = new Map<number, number[]>();
  for (const example of shuffled) {
    const label = labels[example] as number;
    const known = byLabel.get(label);
    if (known === undefined) {
      byLabel.set(label, [example]);
    } else {
      known.push(example);
    }
  }
  const classes = [...byLabel.keys()].toSorted((a, b) => a - b);
  if (skew.kind === "labels") {
    requireRange(Number.isSafeInteger(skew.each) && skew.each >= 1, "labels", skew.each);
    const owners = new Map(classes.map((label) => [label, [] as number[]]));
    for (let i = 0; i < Math.max(peers * skew.each, classes.length); i++) {
      owners.get(classes[i % classes.length] as number)?.push(Math.floor(i / skew.each) % peers);
    }
    for (const label of classes) {
      const own = owners.get(label) ?? [];
      byLabel
        .get(label)
        ?.forEach((example, i) => parts[own[i % own.length] as number]?.push(example));
    }
    return parts;
  }
  requireRange(skew.alpha > 0 && Number.isFinite(skew.alpha), "dirichlet", skew.alpha);
  for (const label of classes) {
    const all = byLabel.get(label) ?? [];
    const shares = dirichlet(peers, skew.alpha, random);
    let [sum, from] = [0, 0];
    shares.forEach((share, peer) => {
      sum += share;
      const to = peer === peers - 1 ? all.length : Math.round(sum * all.length);
      parts[peer]?.push(...all.slice(from, to));
      from = to;
    });
  }
  return parts;
}

function requireRange(isRight: boolean, name: string, value: number): void {
  if (!isRight) {
    throw new RangeError(`splitExamples: \`${name}\` must be above 0, got ${value}`);
  }
}

/** Shares from Gamma(α, 1) draws over their sum. */
function dirichlet(count: number, alpha: number, random: Random): number[] {
  const draws = Array.from({ length: count }, () => gamma(alpha, random));
  const sum = draws.reduce((total, draw) => total + draw, 0);
  // All draws underflow for a tiny α: then one peer has everything.
  return sum > 0 ? draws.map((draw) => draw / sum) : draws.map((_, i) => (i === 0 ? 1 : 0));
}

/**
 * A draw of Gamma(α, 1).
 *
 * @see Marsaglia & Tsang 2000, "A Simple Method for Generating Gamma Variables", with their boost for α < 1
 */
function gamma(alpha: number, random: Random): number {
  if (alpha < 1) {
    return gamma(alpha + 1, random) * (1 - random.next()) ** (1 / alpha);
  }
  const d = alpha - 1 / 3;
  for (;;) {
    const x = random.normal();
    const v = (1 + x / Math.sqrt(9 * d)) ** 3;
    if (v > 0 && Math.log(1 - random.next()) < 0.5 * x * x + d - d * v + d * Math.log(v)) {
      return d * v;
    }
  }
}
