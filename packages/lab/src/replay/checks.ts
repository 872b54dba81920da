/** Checks of what trace files hold. */

export function record(
  value: unknown,
  file: string,
  what: string,
): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw broken(file, `${what} must be an object`, value);
  }
  return value as Readonly<Record<string, unknown>>;
}

export function isList<T>(value: unknown, is: (item: unknown) => item is T): value is readonly T[];
export function isList(value: unknown, is: (item: unknown) => boolean): value is readonly unknown[];
export function isList(value: unknown, is: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every((item) => is(item));
}

export function isRow(value: unknown): value is readonly number[] {
  return isList(value, (item): item is number => typeof item === "number");
}

export function isTrajectory(value: unknown): value is readonly (readonly (readonly number[])[])[] {
  return isList(value, (step): step is readonly (readonly number[])[] => isList(step, isRow));
}

export function isShape(value: unknown): value is readonly number[] {
  return isRow(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

export function isTensors(
  value: unknown,
  sizes: readonly number[],
): value is readonly (readonly number[])[] {
  return (
    isList(value, isRow) &&
    value.length === sizes.length &&
    value.every((row, tensor) => row.length === sizes[tensor])
  );
}

export function broken(file: string, expected: string, got: unknown): TypeError {
  // JSON has no word for infinity, though 1e999 is read as one.
  const shown = typeof got === "number" ? String(got) : (JSON.stringify(got) ?? "nothing");
  const short = shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
  return new TypeError(`replay: ${file}: ${expected}, got ${short}; see fixtures/golden/README.md`);
}
