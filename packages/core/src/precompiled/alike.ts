/** States by comparison with one's own: refuses what `checkState` refuses in a few lines, without saying where. */

import type { OptimizerState } from "../state.ts";

/** @throws TypeError for a state with other names, kinds, shapes or lengths than an optimizer's own. */
export function requireAlike(
  where: string,
  state: OptimizerState,
  own: () => OptimizerState,
): void {
  const mine = own();
  const leaves = isAlike(mine, state) ? Object.values(state.leaves) : [];
  if (leaves.length === 0 || leaves.some(({ count }) => count > state.count)) {
    throw new TypeError(
      `${where}: state must be what "${mine.optimizer}" saved for these parameters, got another; \`load\` of compileOptimizer says what differs`,
    );
  }
}

/** Whether a value has the keys, kinds and lengths of one's own, its text and shapes, and counts that can be. */
function isAlike(own: unknown, other: unknown, key?: string): boolean {
  if (tagOf(own) !== tagOf(other)) {
    return false;
  }
  if (typeof own === "number") {
    const isCount = Number.isSafeInteger(other) && (other as number) >= 0;
    return key === "count" ? isCount : key !== "phase" || own === other;
  }
  if (typeof own === "string" || (key === "shape" && Array.isArray(own))) {
    return String(own) === String(other);
  }
  // Of one kind: both have parts, by key or in number.
  const [mine, theirs] = [own, other] as [Record<string, unknown>, Record<string, unknown>];
  if (ArrayBuffer.isView(own)) {
    return mine["length"] === theirs["length"];
  }
  const keys = Object.keys(mine);
  return (
    Object.keys(theirs).length === keys.length &&
    keys.every((each) => Object.hasOwn(theirs, each) && isAlike(mine[each], theirs[each], each))
  );
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value);
}
