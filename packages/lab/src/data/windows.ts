/** Batches for language models: windows of a token array, the targets one token further. */

/** Arrays of one batch, written again and again; both `[batch, length]`. */
export interface TokenBatch {
  readonly inputs: { readonly shape: readonly number[]; readonly data: Int32Array };
  readonly targets: { readonly shape: readonly number[]; readonly data: Int32Array };
}

export function emptyTokenBatch(size: number, length: number): TokenBatch {
  const shape = [size, length];
  return {
    inputs: { shape, data: new Int32Array(size * length) },
    targets: { shape, data: new Int32Array(size * length) },
  };
}

/** Windows of `length` that lie one after another in so many tokens, each with a target for its last one. */
export function windowCount(tokens: number, length: number): number {
  return Math.max(0, Math.floor((tokens - 1) / length));
}

/**
 * What fills a batch with the windows `order[first]`, `order[first + 1]`, ...: window w holds the tokens from
 * `w * length` on. Draw the order with `shuffle(inOrder(windowCount(tokens.length, length)), random)`.
 *
 * @param length - T, tokens in a window.
 * @throws RangeError unless there is one window at least.
 */
export function windowFiller(
  tokens: Int32Array,
  length: number,
): (batch: TokenBatch, order: Uint32Array, first: number) => void {
  if (!(Number.isSafeInteger(length) && length >= 1 && length < tokens.length)) {
    throw new RangeError(
      `windowFiller: \`length\` must be an integer from 1 to ${tokens.length - 1}, one less than the tokens, got ${length}`,
    );
  }
  return ({ inputs, targets }, order, first) => {
    const rows = inputs.data.length / length;
    for (let row = 0; row < rows; row++) {
      const start = (order[first + row] as number) * length;
      inputs.data.set(tokens.subarray(start, start + length), row * length);
      targets.data.set(tokens.subarray(start + 1, start + length + 1), row * length);
    }
  };
}
