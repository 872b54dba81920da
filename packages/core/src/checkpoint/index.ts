/** Checkpoints: `@adastra/core/checkpoint`. */

export type { Checkpoint } from "./checkpoint.ts";
export { checkpointParts, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.ts";
export type { CheckpointDirectoryOptions } from "./directory.ts";
export { CheckpointDirectory } from "./directory.ts";
export type { DocumentValue } from "./document.ts";
export type { CheckpointErrorCode } from "./error.ts";
export { CheckpointError } from "./error.ts";
export type { CheckpointFile, CheckpointFileEntry, CheckpointFiles } from "./files.ts";
export { memoryFiles } from "./memoryFiles.ts";
export type { NodeFileHandle, NodeFileSystem } from "./nodeFiles.ts";
export { nodeFiles } from "./nodeFiles.ts";
export type { OpfsBlob, OpfsDirectory, OpfsFile, OpfsWritable } from "./opfsFiles.ts";
export { opfsFiles } from "./opfsFiles.ts";
export type { Safetensors, Tensor, TensorData } from "./safetensors.ts";
export { readSafetensors, safetensorsParts, writeSafetensors } from "./safetensors.ts";
export type { FromTorchOptions, TorchOptions } from "./torch.ts";
export { fromTorch, toTorch } from "./torch.ts";
