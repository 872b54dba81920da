/** @adastra/engine/worker: training in a worker, so that a page or a server goes on answering. Loads no engine. */

export { serveTraining, type TrainingContext } from "./serveTraining.ts";
export {
  type NodeWorker,
  startTraining,
  type Training,
  type TrainingOptions,
  type WebWorker,
} from "./startTraining.ts";
