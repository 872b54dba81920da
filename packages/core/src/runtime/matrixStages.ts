/**
 * Matrix stages of a plan, on kernels: matrix products as rows that take in multiples of other rows.
 *
 *     C ← C + AB      for each row i of C, for each k in order:   Cᵢ ← Cᵢ + Aᵢₖ Bₖ
 *
 * Every number of a product is the sum of its terms from the first to the last, each rounded, whatever the size of the
 * tile: so all backends give the same bits. Kernels run over a block of columns that stays in the cache.
 */

import { bytesOf, numbersAt } from "../arena.ts";
import type { Matrix } from "../codegen/host.ts";
import type { BackendMemory, DType, Instruction, Kernel, LoadedKernel } from "../codegen/kernel.ts";
import type { Pass, PhasePlan } from "../codegen/passes.ts";
import type { NumericArray } from "../contracts.ts";
import { type LeafInfo, matrixOf } from "../expr/node.ts";
import type { MatrixStages, RunMatrixStage } from "./parts.ts";

/** Rows and terms of the largest tile: 17 · 10⁹ operations a second where 4 × 8, 2 × 8, 8 × 4 and 6 × 4 made 11 to 15. */
const TILE_ROWS = 4;
const TILE_TERMS = 4;
/** Columns of a block: with these terms of B and rows of C, 8 KB of float32 numbers. */
const BLOCK = 256;

/** `rows` rows, each plus `terms` multiples of the same other rows. */
function tile(rows: number, terms: number): Kernel {
  const streams = [...names("c", rows), ...names("b", terms)];
  const scalars = names("a", rows * terms);
  const body: Instruction[] = [];
  const push = (instruction: Instruction): number => body.push(instruction) - 1;
  let sums = Array.from({ length: rows }, (_, row) => push({ op: "load", stream: row }));
  for (let k = 0; k < terms; k++) {
    const b = push({ op: "load", stream: rows + k });
    sums = sums.map((sum, row) => {
      const a = push({ op: "scalar", index: row * terms + k });
      return push({ op: "add", a: sum, b: push({ op: "mul", a, b }) });
    });
  }
  const stores = sums.map((value, stream) => ({ stream, value }));
  return { name: `tile_${rows}x${terms}`, streams, scalars, body, stores, reductions: [] };
}

function names(letter: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${letter}${i}`);
}

/** Large in rows and terms, in rows, in terms, in neither. */
const TILES: readonly Kernel[] = /* @__PURE__ */ tiles();

function tiles(): Kernel[] {
  return [TILE_ROWS, 1].flatMap((rows) => [TILE_TERMS, 1].map((terms) => tile(rows, terms)));
}

function tileOf(rows: number, terms: number): Kernel {
  return TILES[(rows === 1 ? 2 : 0) + (terms === 1 ? 1 : 0)] as Kernel;
}

/** y ← s·x */
const SCALE: Kernel = {
  name: "scale",
  streams: ["y", "x"],
  scalars: ["s"],
  body: [
    { op: "load", stream: 1 },
    { op: "scalar", index: 0 },
    { op: "mul", a: 1, b: 0 },
  ],
  stores: [{ stream: 0, value: 2 }],
  reductions: [],
};

/** The kernels that stages run on. */
const MATRIX_KERNELS: readonly Kernel[] = /* @__PURE__ */ TILES.concat(SCALE);

/** Elements of working memory that the stages of these phases need for the largest of the leaves. */
function workElements(phases: readonly PhasePlan[], leaves: readonly LeafInfo[]): number {
  const stages = phases.flatMap(({ passes }) =>
    passes.flatMap(({ matrices = [] }: Pass) => matrices),
  );
  return stages.length === 0
    ? 0
    : Math.max(...leaves.map(({ shape }) => places(matrixOf(shape)).end));
}

export const MATRIX_STAGES: MatrixStages = {
  runs: "matrix stages",
  kernels: MATRIX_KERNELS,
  workElements,
  bind: bindMatrixStages,
};

/** Where the parts of one stage lie in its working memory: X and what it becomes, Xᵀ, XXᵀ and its polynomial. */
function places({
  rows,
  columns,
}: Matrix): Record<"x" | "next" | "across" | "gram" | "mixed" | "end", number> {
  const [size, whole] = [Math.min(rows, columns), rows * columns];
  // Each part begins at a line of the cache.
  const [square, full] = [size * size, whole].map((n) => Math.ceil(n / 16) * 16) as [
    number,
    number,
  ];
  const gram = 3 * full;
  return { x: 0, next: full, across: 2 * full, gram, mixed: gram + square, end: gram + 2 * square };
}

/** A matrix in the memory: its numbers, and the byte at which they begin. */
interface Placed {
  readonly at: number;
  readonly numbers: NumericArray;
}

/**
 * Binds matrix stages to a memory.
 *
 * @param work - byte offset of the working memory, `workElements` numbers.
 */
function bindMatrixStages(
  memory: BackendMemory,
  dtype: DType,
  loaded: ReadonlyMap<Kernel, LoadedKernel>,
  work: number,
): RunMatrixStage {
  const bytes = bytesOf(dtype);
  const place = (offset: number, size: number): Placed => {
    const at = work + offset * bytes;
    return { at, numbers: numbersAt(memory, dtype, at, size) };
  };

  const scale = (to: Placed, factor: number, from: Placed): void => {
    const kernel = loaded.get(SCALE) as LoadedKernel;
    const { frame } = kernel;
    frame.count[0] = to.numbers.length;
    frame.pointers.set([to.at, from.at]);
    frame.scalars[0] = factor;
    kernel.run();
  };

  /** C ← C + factor·AB, where C is m × n and A m × k; of a symmetric C the part right of the diagonal, and some left of it. */
  const multiply = (
    c: Placed,
    factor: number,
    a: Placed,
    b: Placed,
    [m, k, n]: readonly [number, number, number],
    symmetric: boolean,
  ): void => {
    for (let from = 0; from < n; from += BLOCK) {
      const count = Math.min(BLOCK, n - from);
      // Below the diagonal there is nothing left to compute in this block.
      const rows = symmetric ? Math.min(m, from + count) : m;
      for (let row = 0, height = TILE_ROWS; row < rows; row += height) {
        height = rows - row >= TILE_ROWS ? TILE_ROWS : 1;
        for (let term = 0, depth = TILE_TERMS; term < k; term += depth) {
          depth = k - term >= TILE_TERMS ? TILE_TERMS : 1;
          const multiplied = loaded.get(tileOf(height, depth)) as LoadedKernel;
          const { frame } = multiplied;
          const { pointers, scalars } = frame;
          frame.count[0] = count;
          for (let i = 0; i < height; i++) {
            pointers[i] = c.at + ((row + i) * n + from) * bytes;
            const line = (row + i) * k + term;
            for (let j = 0; j < depth; j++) {
              scalars[i * depth + j] = factor * (a.numbers[line + j] as number);
            }
          }
          for (let j = 0; j < depth; j++) {
            pointers[height + j] = b.at + ((term + j) * n + from) * bytes;
          }
          multiplied.run();
        }
      }
    }
    if (symmetric) {
      mirror(c.numbers, n);
    }
  };

  return ({ coefficients }, at, { rows, columns }) => {
    const matrix = { rows, columns };
    const whole = rows * columns;
    const [short, long] = rows <= columns ? [rows, columns] : [columns, rows];
    const parts = places(matrix);
    const origin = numbersAt(memory, dtype, at, whole);
    let x = place(parts.x, whole);
    let next = place(parts.next, whole);
    const across = place(parts.across, whole);
    const gram = place(parts.gram, short * short);
    const mixed = place(parts.mixed, short * short);
    if (rows <= columns) {
      x.numbers.set(origin);
    } else {
      transpose(x.numbers, origin, rows, columns);
    }
    for (const [a, b, c] of coefficients) {
      transpose(across.numbers, x.numbers, short, long);
      gram.numbers.fill(0);
      multiply(gram, 1, x, across, [short, long, short], true);
      scale(mixed, b, gram);
      multiply(mixed, c, gram, gram, [short, short, short], true);
      scale(next, a, x);
      multiply(next, 1, mixed, x, [short, short, long], false);
      [x, next] = [next, x];
    }
    if (rows <= columns) {
      origin.set(x.numbers);
    } else {
      transpose(origin, x.numbers, short, long);
    }
  };
}

/** `to` ← the transpose of `from`, which has so many rows and columns. */
function transpose(to: NumericArray, from: NumericArray, rows: number, columns: number): void {
  // Square by square, so that both are met line by line.
  const edge = 16;
  for (let top = 0; top < rows; top += edge) {
    for (let left = 0; left < columns; left += edge) {
      const [bottom, right] = [Math.min(top + edge, rows), Math.min(left + edge, columns)];
      for (let i = top; i < bottom; i++) {
        for (let j = left; j < right; j++) {
          to[j * rows + i] = from[i * columns + j] as number;
        }
      }
    }
  }
}

/** Copies what lies right of the diagonal to the left of it. */
function mirror(numbers: NumericArray, size: number): void {
  for (let i = 1; i < size; i++) {
    for (let j = 0; j < i; j++) {
      numbers[i * size + j] = numbers[j * size + i] as number;
    }
  }
}
