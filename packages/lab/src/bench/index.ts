/** adastra/bench: what a benchmark against named peers is made of. */

export { checkOutputs, type OutputCheck, relativeDifference } from "./compareOutputs.ts";
export { environment, type Stamp } from "./environment.ts";
export {
  type Contestant,
  type InterleaveOptions,
  interleave,
  type Timing,
  timed,
} from "./interleave.ts";
export { type PythonPeer, startPython } from "./python.ts";
