/** Tick positions of a logarithmic axis. */

/** Powers of ten in [low, high], with 2 and 5 between them where fewer than three would show. */
export function logTicks(low: number, high: number): number[] {
  const decades = ticksAt(low, high, [1]);
  return decades.length >= 3 ? every(decades, 8) : ticksAt(low, high, [1, 2, 5]);
}

function ticksAt(low: number, high: number, factors: readonly number[]): number[] {
  const ticks: number[] = [];
  for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
    for (const factor of factors) {
      // From the text, so that 1e-3 is 0.001 and not a product beside it.
      const tick = Number(`${factor}e${e}`);
      if (tick >= low && tick <= high) {
        ticks.push(tick);
      }
    }
  }
  return ticks;
}

/** As many of them as `limit`, at an even stride. */
function every(ticks: readonly number[], limit: number): number[] {
  const stride = Math.ceil(ticks.length / limit);
  return ticks.filter((_, i) => i % stride === 0);
}
