/** Identifiers for generated code, which is read in snapshots and profilers and must parse whatever an array is called. */

/**
 * A function from labels to distinct identifiers of letters, digits and `_`, none of them in `taken`:
 * `mu/1` becomes `mu_1`, a second `mu` becomes `mu_2`.
 */
export function identifiers(taken: Iterable<string>): (label: string) => string {
  const used = new Set(taken);
  return (label) => {
    const cleaned = label.replace(/[^A-Za-z0-9_]/g, "_");
    const stem = /^[A-Za-z_]/.test(cleaned) ? cleaned : `_${cleaned}`;
    let name = stem;
    for (let n = 2; used.has(name); n++) {
      name = `${stem}_${n}`;
    }
    used.add(name);
    return name;
  };
}
