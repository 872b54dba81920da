/** Every lowering rule, by jax-js primitive. A new primitive is a new row in one of these tables. */

import { BITS } from "./bits.ts";
import { CONVOLUTION } from "./convolution.ts";
import { DOT } from "./dot.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { INDEXING } from "./indexing.ts";
import { MOVEMENT } from "./movement.ts";
import { POOLING } from "./pooling.ts";
import { REDUCE } from "./reduce.ts";
import type { RuleTable } from "./rule.ts";

export const RULES: RuleTable = {
  ...ELEMENTWISE,
  ...MOVEMENT,
  ...REDUCE,
  ...DOT,
  ...CONVOLUTION,
  ...POOLING,
  ...INDEXING,
  ...BITS,
};
