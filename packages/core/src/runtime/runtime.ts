/** The parts that run plans, but for those that a word brings; a precompiled optimizer brings those that its own plan needs instead. */

import { runHost } from "../codegen/host.ts";
import { keyOf } from "../expr/draw.ts";
import { checkState, encodeBf16 } from "../state.ts";
import { evaluate } from "./evaluate.ts";
import { inspection } from "./inspection.ts";
import type { Runtime } from "./parts.ts";
import { refreshed } from "./refresh.ts";
import { runRows } from "./rows.ts";
import { levelByLevel } from "./sequence.ts";

export const RUNTIME: Runtime = {
  runHost,
  levelByLevel,
  runRows,
  refreshed,
  keyOf,
  evaluate,
  encode: encodeBf16,
  checkState: (where, state, _, shape) => checkState(where, state, shape),
  inspection,
};
