/** Checks of the public boundary, in the form that core's errors have. */

export function requireCount(where: string, name: string, value: number): void {
  if (!(Number.isSafeInteger(value) && value >= 1)) {
    throw new RangeError(`${where}: \`${name}\` must be an integer of at least 1, got ${value}`);
  }
}

export function requireOneOf<T extends string>(
  where: string,
  name: string,
  value: T,
  allowed: readonly T[],
): void {
  if (!allowed.includes(value)) {
    const listed = allowed.map((each) => `"${each}"`).join(", ");
    throw new RangeError(`${where}: \`${name}\` must be one of ${listed}, got "${value}"`);
  }
}
