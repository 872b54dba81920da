/** What ONNX Runtime says where memory does not suffice, as one sentence. */

const ALLOCATION =
  /bad_alloc|failed to allocate|out of memory|Array buffer allocation failed|Allocation failed/i;

/**
 * The result, or, where it failed for want of memory, a RangeError that says so; nothing was written then.
 *
 * @param where - the function that the caller called.
 */
export async function orOutOfMemory<T>(where: string, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    if (!ALLOCATION.test(message)) {
      throw cause;
    }
    throw new RangeError(
      `${where}: the arrays of the graph must fit into memory, got "${message}"; take a smaller batch or a smaller model`,
      { cause },
    );
  }
}
