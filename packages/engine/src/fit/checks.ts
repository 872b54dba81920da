/** Checks of what `fit` is given. */

export function requireThat(
  ok: boolean,
  where: string,
  expected: string,
  value: unknown,
  hint?: string,
): asserts ok {
  if (!ok) {
    throw new RangeError(
      `${where}: ${expected}, got ${String(value)}${hint === undefined ? "" : `; ${hint}`}`,
    );
  }
}

export function requireCount(where: string, name: string, value: number): void {
  const ok = Number.isSafeInteger(value) && value >= 1;
  requireThat(ok, where, `\`${name}\` must be an integer of at least 1`, value);
}
