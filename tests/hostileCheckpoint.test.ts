import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Bytes of the header of each file, and what `decodeCheckpoint` says it may need: 40 times as much. */
const BYTES = 2_000_000;
const HEAP_MB = Math.ceil((40 * BYTES) / 2 ** 20);

/** Text that takes most memory for its length once it is parsed; `{}` is repeated to fill the file. */
const DOCUMENTS: readonly (readonly [string, string, string])[] = [
  ["empty objects", '{"format":"adastra-checkpoint/1","extra":[', "{},"],
  ["objects of one key", '{"format":"adastra-checkpoint/1","extra":[', '{"":[]},'],
  ["wide characters", '{"format":"adastra-checkpoint/1","extra":["\u1234",', "{},"],
  ["nesting", '{"format":"adastra-checkpoint/1","extra":[', `${"[".repeat(60)}${"]".repeat(60)},`],
];

let folder: string;
let script: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "adastra-hostile-"));
  script = join(folder, "checkpoint.mjs");
  buildSync({
    entryPoints: [
      fileURLToPath(new URL("../packages/core/src/checkpoint/index.ts", import.meta.url)),
    ],
    bundle: true,
    format: "esm",
    outfile: script,
    logLevel: "silent",
  });
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** Decodes, in a process with a heap of `HEAP_MB`, a file with this header; returns the code of the error. */
function decode(header: string): string {
  const program = `
    import { decodeCheckpoint } from ${JSON.stringify(pathToFileURL(script).href)};
    import { readFileSync } from "node:fs";
    const text = readFileSync(0);
    const length = Math.ceil(text.length / 8) * 8;
    const bytes = new Uint8Array(8 + length).fill(0x20);
    new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
    bytes.set(text, 8);
    try {
      decodeCheckpoint(bytes);
    } catch (error) {
      console.log(error.code ?? error);
    }`;
  return execFileSync(
    process.execPath,
    [`--max-old-space-size=${HEAP_MB}`, "--input-type=module", "-e", program],
    { input: header, encoding: "utf8", stdio: ["pipe", "pipe", "ignore"] },
  ).trim();
}

describe(`a hostile file of ${BYTES / 1e6} MB needs at most 40 times its size`, () => {
  it.each(DOCUMENTS)(
    "when its document is %s",
    (_, start, piece) => {
      const document = `${start}${piece.repeat(Math.floor(BYTES / piece.length))}0]}`;
      expect(decode(JSON.stringify({ __metadata__: { adastra: document } }))).toBe("STATE");
    },
    120_000,
  );

  it("when its header has a tensor in every few bytes", () => {
    const entries: string[] = [];
    for (let length = 0; length < BYTES; length += entries.at(-1)?.length ?? 0) {
      entries.push(
        `"${entries.length.toString(36)}":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`,
      );
    }
    expect(decode(`{${entries.join()}}`)).toBe("NOT_A_CHECKPOINT");
  }, 120_000);

  it("and this heap is too small for a file three times as long", () => {
    const document = `${'{"format":"adastra-checkpoint/1","extra":['}${"{},".repeat(BYTES)}0]}`;
    expect(() => decode(JSON.stringify({ __metadata__: { adastra: document } }))).toThrow();
  }, 120_000);
});
