/** @adastra/core/threads: WebAssembly kernels on several threads over shared memory. */

export { nodeThread, webThread } from "./spawn.ts";
export type { StartedThread, ThreadOptions, Threads } from "./threads.ts";
export { startThreads } from "./threads.ts";
