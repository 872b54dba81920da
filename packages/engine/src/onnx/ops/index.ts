/** Every op of ONNX that a model may have, one row each. A new op is a new row in one of these tables. */

import type { Row, RowTable } from "../call.ts";
import { ELEMENTWISE } from "./elementwise.ts";
import { MOVEMENT } from "./movement.ts";
import { NORMALIZATION } from "./normalization.ts";
import { PRODUCTS } from "./products.ts";
import { RECURRENT } from "./recurrent.ts";
import { WINDOWS } from "./windows.ts";

const ROWS: RowTable = {
  ...ELEMENTWISE,
  ...MOVEMENT,
  ...NORMALIZATION,
  ...PRODUCTS,
  ...RECURRENT,
  ...WINDOWS,
};

export function rowOf(op: string): Row | undefined {
  return Object.hasOwn(ROWS, op) ? ROWS[op] : undefined;
}

/** Names of the ops with a row. */
export const ONNX_OPS: readonly string[] = Object.keys(ROWS).sort();
