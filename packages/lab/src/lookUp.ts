/** Things by name, and the nearest name for one that is not there. */

import { closest, distance } from "fastest-levenshtein";

/**
 * The entry of that name.
 *
 * @throws RangeError listing the names, the nearest first when it is near (at most three edits and half of the name).
 */
export function lookUp<T extends { readonly name: string }>(
  where: string,
  kind: string,
  name: string,
  entries: readonly T[],
): T {
  const found = entries.find((entry) => entry.name === name);
  if (found === undefined) {
    const names = entries.map((entry) => entry.name);
    const hint = nearest(name, names);
    throw new RangeError(
      `${where}: ${kind} must be one of ${names.join(", ")}, got "${name}"${hint === undefined ? "" : `; did you mean "${hint}"?`}`,
    );
  }
  return found;
}

/** The name closest to a misspelt one, or undefined when none is close; case does not count. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  if (names.length === 0) {
    return undefined;
  }
  const best = closest(name.toLowerCase(), names as string[]); // the library's type lacks `readonly`; it only reads
  return distance(name.toLowerCase(), best) <= Math.min(3, best.length / 2) ? best : undefined;
}
