/** What stands for the native CPU backend in a page: bundlers put it there (`browser` in package.json). */

import type { Executable } from "./executable.ts";

const notHere = (): Promise<Executable> =>
  Promise.reject(
    new Error(
      'compile: backend "cpu" must run in Node, got a browser; pass backend: "wasm", "webgpu" or "auto"',
    ),
  );

export { notHere as createNodeExecutable, notHere as createReplicas };
