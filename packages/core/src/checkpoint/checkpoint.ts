/**
 * Checkpoints: everything a run needs to go on, in one safetensors file.
 *
 *     params/<path>              the parameters of a leaf, of its shape
 *     state/<key>/<path>         state of the leaf; a history of several steps as state/<key>/<i>/<path>, 0 the oldest
 *     accumulation/<path>        gradients of a step that is not complete
 *     schedule/…, extra/…        typed arrays in the rest, by their path
 *     __metadata__["adastra"]    the document: all that is no array, and where each array belongs
 *
 * The document is the checkpoint itself, packed (`document.ts`); the names only make the file readable to others. So
 * what an optimizer comes to keep beside today's state is saved without a line here.
 */

import type { OptimizerState } from "../state.ts";
import { sizeOf } from "../tree.ts";
import { checkShapes, type DocumentValue, type Place, pack, unpack } from "./document.ts";
import { requireFile, sentence } from "./error.ts";
import { isRecord, parseJson } from "./json.ts";
import { checkOptimizerState } from "./optimizerState.ts";
import { join, layOut, parse, type TensorData } from "./safetensors.ts";

export interface Checkpoint {
  /** What `optimizer.save()` returns: parameters, state, step counts. */
  readonly optimizer: OptimizerState;
  /** State of a schedule that is not a function of the step count alone. */
  readonly schedule?: DocumentValue;
  /** What `random.save()` returns, or several by name. */
  readonly random?: DocumentValue;
  /** The place in the data: epoch, index, seed of the order. */
  readonly cursor?: DocumentValue;
  /** Whatever else the caller wants back. */
  readonly extra?: DocumentValue;
}

const FORMAT = "adastra-checkpoint/1";
const KEY = "adastra";
const PARTS: readonly string[] = ["optimizer", "schedule", "random", "cursor", "extra"];

/**
 * A checkpoint as the bytes of a file, format "adastra-checkpoint/1". Numbers come back bit for bit, NaN, infinities
 * and -0 among them; only which NaN it was is lost outside typed arrays.
 *
 * @throws TypeError naming the path of what cannot be saved; RangeError for more than 100 MB outside typed arrays.
 * @example encodeCheckpoint({ optimizer: optimizer.save(), random: random.save(), cursor: { epoch, index } })
 */
export function encodeCheckpoint(checkpoint: Checkpoint): Uint8Array {
  return join(encode("encodeCheckpoint", checkpoint));
}

/**
 * `encodeCheckpoint` in pieces to write one after the other: a header, then the checkpoint's own arrays, which must
 * not change until they are written.
 */
export function checkpointParts(checkpoint: Checkpoint): readonly Uint8Array[] {
  return encode("checkpointParts", checkpoint);
}

/**
 * The checkpoint in the bytes of a file. Its arrays are views on `bytes` where these are aligned in memory, so
 * neither may be written to; `optimizer.load` copies.
 *
 * @throws TypeError unless `bytes` is a Uint8Array; CheckpointError naming the first thing that is wrong. No more is
 * allocated than 40 times the bytes of the header, and once the bytes of tensors that lie unaligned in memory.
 */
export function decodeCheckpoint(bytes: Uint8Array): Checkpoint {
  const where = "decodeCheckpoint";
  const { tensors, metadata } = parse(where, bytes, true);
  const text = Object.hasOwn(metadata, KEY) ? metadata[KEY] : undefined;
  requireFile(
    text !== undefined,
    where,
    "NOT_A_CHECKPOINT",
    `the file must hold a document \`${KEY}\` in its metadata`,
    text,
    "read plain tensors with readSafetensors",
  );
  const json = parseJson(where, "the document", text);
  requireFile(isRecord(json), where, "DOCUMENT", "the document must be a record", json);
  const { format, ...rest } = json;
  requireFile(
    format === FORMAT,
    where,
    "VERSION",
    `the document must have format "${FORMAT}"`,
    format,
    "read it with the version of @adastra/core that wrote it",
  );
  const { document, paths } = unpack(where, { json: rest, tensors });
  const stranger = Object.keys(document as object).find((key) => !PARTS.includes(key));
  requireFile(
    stranger === undefined,
    where,
    "DOCUMENT",
    `the document must hold ${PARTS.join(", ")} alone`,
    stranger,
  );
  const checkpoint = document as Partial<Checkpoint>;
  const { optimizer } = checkpoint;
  checkOptimizerState(optimizer, (ok, expected, got, hint) => {
    requireFile(ok, where, "STATE", expected, got, hint);
  });
  checkShapes(where, paths, placeIn(optimizer));
  return { ...checkpoint, optimizer };
}

function encode(where: string, checkpoint: Checkpoint): readonly Uint8Array[] {
  if (!isRecord(checkpoint)) {
    throw new TypeError(sentence(where, "a checkpoint must be a record", checkpoint));
  }
  for (const key of Object.keys(checkpoint)) {
    if (!PARTS.includes(key)) {
      const expected = `a checkpoint must hold ${PARTS.join(", ")} alone`;
      throw new TypeError(sentence(where, expected, key, "put it into `extra`"));
    }
  }
  const { optimizer } = checkpoint;
  checkOptimizerState(optimizer, (ok, expected, got, hint) => {
    if (!ok) {
      throw new TypeError(sentence(where, expected, got, hint));
    }
  });
  const document = { format: FORMAT, ...checkpoint };
  const { json, tensors } = pack(where, document, placeIn(optimizer));
  return layOut(where, tensors, { [KEY]: JSON.stringify(json) });
}

/** Names and shapes of the tensors of a checkpoint with this optimizer. */
function placeIn({ leaves }: OptimizerState): Place {
  const shapeOf = (path: string, data: TensorData): readonly number[] => {
    const leaf = Object.hasOwn(leaves, path) ? leaves[path] : undefined;
    return leaf !== undefined && sizeOf(leaf.shape) === data.length ? leaf.shape : [data.length];
  };
  return (path, data) => {
    const [part, field, second, third, ...rest] = path.map(String);
    if (part === "optimizer" && field === "leaves" && second !== undefined && third !== undefined) {
      return { name: nameInLeaf(second, third, rest, leaves), shape: shapeOf(second, data) };
    }
    if (part === "optimizer" && field === "accumulation" && third !== undefined) {
      return { name: `accumulation/${third}`, shape: shapeOf(third, data) };
    }
    return { name: path.join("/"), shape: [data.length] };
  };
}

function nameInLeaf(
  leaf: string,
  field: string,
  keys: readonly string[],
  leaves: OptimizerState["leaves"],
): string {
  if (field === "params") {
    return `params/${leaf}`;
  }
  const [key = ""] = keys;
  if (field === "arrays") {
    const alone = leaves[leaf]?.arrays[key]?.length === 1;
    return `state/${alone ? key : keys.join("/")}/${leaf}`;
  }
  return `state/${(field === "vectors" ? keys : [field, ...keys]).join("/")}/${leaf}`;
}
