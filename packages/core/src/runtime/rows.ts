/** Passes row by row: what is one number a row or a column is read or reduced on the way. */

import { numbersAt } from "../arena.ts";
import { valuesAt } from "../codegen/host.ts";
import { foldPartials, PARTIALS, reductionIdentity, startPartials } from "../codegen/kernel.ts";
import type { NumericArray } from "../contracts.ts";
import type { PassCall, RowRange, Runner } from "./parts.ts";
import type { Tensor } from "./tensor.ts";

/**
 * Runs a pass over one tensor, a row at a time or in the ranges of the call; what it reduces stands in the tensor's values
 * afterwards, the identity for a row without any.
 */
export function runRows(runner: Runner, call: PassCall): void {
  const { phase, pass, first } = call;
  const values = first.valuesOf(phase);
  prepareColumns(call);
  let partials: Float64Array = new Float64Array(pass.reductions.length * PARTIALS);
  startPartials(partials, pass.reductions);
  for (const range of call.ranges ?? rowsOf(first)) {
    // Rows start anew, the tensor's own reductions go on from row to row.
    pass.reductions.forEach(({ kind, over }, position) => {
      if (over === "row") {
        partials.fill(reductionIdentity(kind), position * PARTIALS, (position + 1) * PARTIALS);
      }
    });
    partials = runner.runRange(call, range, range.row, partials);
    pass.reductions.forEach(({ kind, over, slot }, position) => {
      if (over === "row") {
        valuesAt(values, slot)[range.row] = foldPartials(kind, partials, position);
      }
    });
  }
  pass.reductions.forEach(({ kind, over, slot }, position) => {
    if (over !== "row") {
      values.numbers[slot] = foldPartials(kind, partials, position);
    }
  });
  collectColumns(call);
}

/** A tensor row by row. */
export function rowsOf({ extent: { start }, matrix: { rows, columns } }: Tensor): RowRange[] {
  return Array.from({ length: rows }, (_, row) => ({
    start: start + row * columns,
    end: start + (row + 1) * columns,
    row,
  }));
}

/** Lays the numbers of the columns beside the pass: what it reads, or the identity of what it reduces. */
function prepareColumns(call: PassCall): void {
  const values = call.first.valuesOf(call.phase);
  call.pass.columns.forEach(({ role, slot }, index) => {
    const beside = columnAt(call, index);
    if (role === "read") {
      beside.set(valuesAt(values, slot));
    } else {
      beside.fill(reductionIdentity(role));
    }
  });
}

function collectColumns(call: PassCall): void {
  const values = call.first.valuesOf(call.phase);
  call.pass.columns.forEach(({ role, slot }, index) => {
    if (role !== "read") {
      valuesAt(values, slot).set(columnAt(call, index));
    }
  });
}

function columnAt({ owner, first }: PassCall, index: number): NumericArray {
  const at = owner.layout.columns[index] as number;
  return numbersAt(owner.memory, owner.dtype, at, first.matrix.columns);
}
