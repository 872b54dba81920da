/** Errors of ONNX files that callers branch on. Messages: `<function>: <expected>, got <value>; <what to do>`. */

/** A file that is no ONNX model, is cut short, contradicts itself, or holds what is not computed here. */
export class OnnxError extends Error {
  readonly code = "ONNX";

  constructor(message: string, options: { readonly cause?: unknown } = {}) {
    super(readable(message), options);
    this.name = "OnnxError";
  }
}

/** A node on the way to the outputs has an op without a row in the table. */
export class UnsupportedOnnxOpError extends Error {
  readonly code = "UNSUPPORTED_ONNX_OP";
  readonly op: string;
  readonly node: string;

  constructor(op: string, node: string) {
    const message = `fromOnnx: every node on the way to the outputs must have a supported op, got ${op} in node "${node}"; pass outputs: [...] with tensors computed before it`;
    super(readable(message));
    this.name = "UnsupportedOnnxOpError";
    this.op = op;
    this.node = node;
  }
}

/** One line of a length that a terminal can take: names come from the file, and a broken file's are anything. */
function readable(message: string): string {
  const line = message.replaceAll(/\p{C}/gu, "?");
  return line.length <= LONGEST ? line : `${line.slice(0, LONGEST)}...`;
}

const LONGEST = 1000;
