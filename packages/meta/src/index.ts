/** @adastra/meta: initialisations and learning rates learned over many tasks. */

export type { Aruba, ArubaOptions, ArubaState } from "./aruba.ts";
export { aruba } from "./aruba.ts";
export type { FedavgOptions } from "./fedavg.ts";
export { fedavg } from "./fedavg.ts";
export type { FomamlOptions } from "./fomaml.ts";
export { fomaml } from "./fomaml.ts";
export type { LocalTraining, LocalTrainingOptions } from "./localTraining.ts";
export { localTraining } from "./localTraining.ts";
export type { MetaLearner, MetaLearnerOptions, RoundResult } from "./metaLearner.ts";
export { metaLearner } from "./metaLearner.ts";
export type { MetaTraining, MetaTrainingOptions, Place } from "./metaTraining.ts";
export type { BatchPlan, Duration } from "./minibatches.ts";
export { minibatches } from "./minibatches.ts";
export type { ReptileOptions } from "./reptile.ts";
export { reptile } from "./reptile.ts";
export type { SinusoidBatch, SinusoidOptions } from "./sources/sinusoid.ts";
export { sinusoids } from "./sources/sinusoid.ts";
export type { Client, Start, Task, TaskResult, TaskSource } from "./task.ts";
export { shuffled, tasksOf } from "./task.ts";
export type { ArubaSgdOptions, RateMode } from "./withinTask.ts";
export { arubaSgd, collectingSgd } from "./withinTask.ts";
