/** Reading tar archives as they arrive. */

export interface TarFile {
  /** As the archive has it: `"cifar-10-batches-bin/test_batch.bin"`. */
  readonly path: string;
  /** To be read before the next file is asked for; what is left unread is passed over. */
  readonly content: AsyncIterable<Uint8Array>;
}

const blockBytes = 512;

/**
 * The regular files of an archive, in its order. Links, folders and extended headers are passed over.
 *
 * @throws Error when the archive ends inside a file or a header is none.
 * @see POSIX.1-1988 ustar: path at 0, size in octal at 124, type at 156; contents padded to 512 bytes
 */
export async function* tarFiles(archive: AsyncIterable<Uint8Array>): AsyncGenerator<TarFile> {
  const chunks = archive[Symbol.asyncIterator]();
  try {
    yield* filesOf(byteReader(chunks));
  } finally {
    await chunks.return?.(); // a caller that has enough ends the transfer too
  }
}

async function* filesOf(reader: ByteReader): AsyncGenerator<TarFile> {
  for (;;) {
    const header = await reader.exactly(blockBytes);
    if (header.every((byte) => byte === 0)) {
      return; // two such blocks end an archive; one will do
    }
    const field = (start: number, length: number) =>
      Buffer.from(header.subarray(start, start + length))
        .toString("latin1")
        .replace(/\0.*$/s, "");
    const octal = field(124, 12).trim();
    if (!/^[0-7]+$/.test(octal)) {
      throw new Error(`tarFiles: a header must hold a size in octal, got "${octal}"`);
    }
    const size = Number.parseInt(octal, 8);
    const content = reader.next(size);
    if (["0", ""].includes(field(156, 1))) {
      yield { path: field(0, 100), content };
    }
    for await (const _ of content) {
      // what the caller left
    }
    await reader.exactly((blockBytes - (size % blockBytes)) % blockBytes);
  }
}

interface ByteReader {
  readonly exactly: (length: number) => Promise<Uint8Array>;
  /** The next `length` bytes; iterated again, it goes on where it was. */
  readonly next: (length: number) => AsyncIterable<Uint8Array>;
}

function byteReader(chunks: AsyncIterator<Uint8Array>): ByteReader {
  let held: Uint8Array = new Uint8Array(0);

  /** Some bytes, at least one and at most `limit`. */
  const some = async (limit: number): Promise<Uint8Array> => {
    while (held.length === 0) {
      const { done, value } = await chunks.next();
      if (done) {
        throw new Error(`tarFiles: the archive must go on for ${limit} bytes, got its end`);
      }
      held = value;
    }
    const part = held.subarray(0, limit);
    held = held.subarray(part.length);
    return part;
  };

  return {
    exactly: async (length) => {
      const block = new Uint8Array(length);
      for (let filled = 0; filled < length; ) {
        const part = await some(length - filled);
        block.set(part, filled);
        filled += part.length;
      }
      return block;
    },
    next: (length) => {
      let left = length;
      return {
        async *[Symbol.asyncIterator]() {
          while (left > 0) {
            const part = await some(left);
            left -= part.length;
            yield part;
          }
        },
      };
    },
  };
}
