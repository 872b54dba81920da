/** IDX, the format of MNIST: magic 0x0000 08 <axes>, one big-endian uint32 an axis, then the bytes, row-major. */

/** An array of unsigned bytes. */
export interface ByteArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array<SharedArrayBuffer>;
}

const UNSIGNED_BYTE = 0x08;

/**
 * Parses an IDX file of unsigned bytes into memory that threads share.
 *
 * @param name - the file's name, for errors.
 * @throws RangeError naming the file when the header is not IDX, or says more or fewer bytes than there are.
 */
export function parseIdx(bytes: Uint8Array, name: string): ByteArray {
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const axes = bytes[3];
  if (bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== UNSIGNED_BYTE || axes === undefined) {
    throw new RangeError(
      `parseIdx: "${name}" must start with the bytes 0 0 8, got ${[...bytes.subarray(0, 3)].join(" ") || "an empty file"}; pass an IDX file of unsigned bytes`,
    );
  }
  const start = 4 + 4 * axes;
  if (axes === 0 || bytes.length < start) {
    throw new RangeError(
      `parseIdx: the header of "${name}" must hold ${axes} axes in ${start} bytes, got ${bytes.length}; the file is cut off, get it again`,
    );
  }
  const shape = Array.from({ length: axes }, (_, axis) => header.getUint32(4 + 4 * axis));
  const size = shape.reduce((product, extent) => product * extent, 1);
  if (bytes.length !== start + size) {
    throw new RangeError(
      `parseIdx: "${name}" must hold [${shape.join(", ")}] in ${start + size} bytes, got ${bytes.length}; the file is cut off or damaged, get it again`,
    );
  }
  const data = new Uint8Array(new SharedArrayBuffer(size));
  data.set(bytes.subarray(start));
  return { shape, data };
}
