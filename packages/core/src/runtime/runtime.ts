/** The parts that run plans, but for those that a word brings; a precompiled optimizer brings those that its own plan needs instead. */

import { runHost } from "../codegen/host.ts";
import { checkState, encodeBf16 } from "../state.ts";
import { keyOfCall } from "./draws.ts";
import { evaluate } from "./evaluate.ts";
import { hostMemory } from "./hostState.ts";
import { inspection } from "./inspection.ts";
import type { Runtime } from "./parts.ts";
import { refreshed } from "./refresh.ts";
import { runRows } from "./rows.ts";
import { levelByLevel } from "./sequence.ts";
import { inFewerBits } from "./stored.ts";

export const RUNTIME: Runtime = {
  runHost,
  hostMemory,
  levelByLevel,
  runRows,
  refreshed,
  keyOfCall,
  inFewerBits,
  evaluate,
  encode: encodeBf16,
  checkState: (where, state, _, shape) => checkState(where, state, shape),
  inspection,
};
