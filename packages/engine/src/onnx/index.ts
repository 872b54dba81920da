/** @adastra/engine/onnx: pretrained models from ONNX files, trained further, and back. */

export { OnnxError, UnsupportedOnnxOpError } from "./errors.ts";
export { type ToOnnxOptions, toOnnx } from "./export.ts";
export type { OnnxInput } from "./file.ts";
export { type FromOnnxOptions, fromOnnx, type OnnxModel } from "./model.ts";
export { ONNX_OPS } from "./ops/index.ts";
