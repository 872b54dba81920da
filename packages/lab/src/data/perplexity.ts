/** Perplexity of count models: the floors that a language model must get below. */

/**
 * exp of the mean of -ln p(w) over the held-out tokens, p(w) = c(w) / N counted in training.
 *
 * @param vocabulary - number of token ids.
 * @returns Infinity where a held-out token was never trained on.
 */
export function unigramPerplexity(
  train: Int32Array,
  heldOut: Int32Array,
  vocabulary: number,
): number {
  const counts = new Float64Array(vocabulary);
  for (const token of train) {
    counts[token] = at(counts, token) + 1;
  }
  let logs = 0;
  for (const token of heldOut) {
    logs += Math.log(at(counts, token) / train.length);
  }
  return Math.exp(-logs / heldOut.length);
}

/**
 * The same of the interpolated Kneser-Ney bigram model, over the held-out tokens from the second on:
 *
 *     p(w | v) = max(c(v w) − D, 0) / c(v •) + D N₁₊(v •) / c(v •) · pₖₙ(w)
 *     pₖₙ(w)   = N₁₊(• w) / N₁₊(• •)                   D = n₁ / (n₁ + 2 n₂)
 *
 * c counts pairs, N₁₊ different ones, n₁ and n₂ those seen once and twice. After a v that was never followed by
 * anything, p(w | v) = pₖₙ(w).
 *
 * @param vocabulary - number of token ids, at most 2²⁶.
 * @returns Infinity where a held-out token never followed another in training.
 * @see Chen & Goodman 1998, An empirical study of smoothing techniques for language modeling, sections 2.6 (D) and 2.7
 */
export function bigramPerplexity(
  train: Int32Array,
  heldOut: Int32Array,
  vocabulary: number,
): number {
  const pairs = new Map<number, number>();
  for (let i = 1; i < train.length; i++) {
    const pair = at(train, i - 1) * vocabulary + at(train, i);
    pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
  }
  const followed = new Float64Array(vocabulary); // c(v •)
  const followers = new Float64Array(vocabulary); // N₁₊(v •)
  const preceders = new Float64Array(vocabulary); // N₁₊(• w)
  let once = 0;
  let twice = 0;
  for (const [pair, count] of pairs) {
    const v = Math.floor(pair / vocabulary);
    const w = pair % vocabulary;
    followed[v] = at(followed, v) + count;
    followers[v] = at(followers, v) + 1;
    preceders[w] = at(preceders, w) + 1;
    once += count === 1 ? 1 : 0;
    twice += count === 2 ? 1 : 0;
  }
  const discount = once === 0 ? 0 : once / (once + 2 * twice);
  let logs = 0;
  for (let i = 1; i < heldOut.length; i++) {
    const v = at(heldOut, i - 1);
    const w = at(heldOut, i);
    const continuation = at(preceders, w) / pairs.size;
    const seen = at(followed, v);
    const count = pairs.get(v * vocabulary + w) ?? 0;
    logs += Math.log(
      seen === 0
        ? continuation
        : (Math.max(count - discount, 0) + discount * at(followers, v) * continuation) / seen,
    );
  }
  return Math.exp(-logs / (heldOut.length - 1));
}

function at(array: Int32Array | Float64Array, i: number): number {
  return array[i] as number;
}
