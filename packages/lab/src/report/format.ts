/** How figures are written, in Node and in the page alike. */

/** Thousands apart, no decimals: `12,800`. */
export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Four significant digits, without trailing zeros: `0.01234`, `1.5e-7`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) {
    return "not finite";
  }
  const size = Math.abs(value);
  const plain = size === 0 || (size >= 1e-4 && size < 1e6);
  return plain
    ? Number(value.toPrecision(4)).toString()
    : value
        .toExponential(2)
        .replace(/\.?0+e/, "e")
        .replace("e+", "e");
}

/** Two significant digits, as rates are compared by factors: `0.0032`, `3.2e-5`. */
export function formatRate(value: number): string {
  return formatNumber(Number(value.toPrecision(2)));
}

/** Percentages with two decimals, everything else with four significant digits. */
export function formatMetric(value: number, unit: "%" | ""): string {
  return unit === "%" && Number.isFinite(value) ? `${value.toFixed(2)} %` : formatNumber(value);
}

/** A difference of two metrics: percentages differ by points. */
export function formatDifference(value: number, unit: "%" | ""): string {
  if (unit === "") {
    return formatNumber(value);
  }
  return Math.abs(value) < 0.005 ? "less than 0.01 points" : `${value.toFixed(2)} points`;
}

/** `0.42 s`, `12.3 s`, `4 min 5 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) {
    return `${seconds.toFixed(2)} s`;
  }
  if (seconds < 99.95) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes} min ${whole % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** `1 run`, `2 runs`, `0.25 runs`. */
export function plural(count: number, noun: string): string {
  const figure = Number.isInteger(count) ? formatCount(count) : formatNumber(count);
  return `${figure} ${noun}${count === 1 ? "" : "s"}`;
}

/** `a`, `a and b`, `a, b and c`. */
export function listed(items: readonly string[]): string {
  const last = items.at(-1) ?? "";
  return items.length < 2 ? last : `${items.slice(0, -1).join(", ")} and ${last}`;
}
