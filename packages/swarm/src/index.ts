/** @adastra/swarm: decentralized training. */

export type { Timers } from "./clock.ts";
export {
  type FederationClient,
  type FederationClientOptions,
  federationClient,
} from "./federation/client.ts";
export {
  type FederationServer,
  type FederationServerOptions,
  federationServer,
} from "./federation/server.ts";
export type { Edge, Graph } from "./graph/graphs.ts";
export {
  complete,
  edgesOf,
  erdosRenyi,
  exponential,
  fromEdges,
  hypercube,
  isBipartite,
  isConnected,
  path,
  randomRegular,
  ring,
  star,
  torus,
} from "./graph/graphs.ts";
export type { DAdagradOptions } from "./methods/dAdagrad.ts";
export { dadagrad } from "./methods/dAdagrad.ts";
export type { DAdamOptions } from "./methods/dAdam.ts";
export { dadam } from "./methods/dAdam.ts";
export type { DAmsgradOptions } from "./methods/dAmsgrad.ts";
export { damsgrad } from "./methods/dAmsgrad.ts";
export { dpsgd } from "./methods/dPsgd.ts";
export type { FrameworkOptions, Method } from "./methods/framework.ts";
export { decentralized } from "./methods/framework.ts";
export type { Mixing } from "./mixing/mixing.ts";
export {
  fromMatrix,
  lambda,
  lazy,
  maxDegree,
  metropolis,
  periodicity,
  spectralGap,
  toMatrix,
} from "./mixing/mixing.ts";
export type { Compute } from "./peer/compute.ts";
export type { DeadlineOptions } from "./peer/deadline.ts";
export { PeerLoop } from "./peer/peer.ts";
export type { PeerOptions, RoundReport } from "./peer/peerOptions.ts";
export type { Compression } from "./protocol/compression.ts";
export { type Layout, layoutId } from "./protocol/layout.ts";
export type { Message, Payload, Peer, Round, Settlement } from "./protocol/message.ts";
export { Network, type NetworkOptions, type Partition } from "./simulator/network.ts";
export {
  type Fault,
  type PeerSummary,
  type SimulateOptions,
  type Simulation,
  simulate,
} from "./simulator/simulate.ts";
export { VirtualTime } from "./simulator/virtualTime.ts";
export { createMixer, type Mixer, type Pull } from "./train/mixer.ts";
export type { Trainer, TrainerOptions } from "./train/trainer.ts";
export { createTrainer } from "./train/trainer.ts";
export type { Values } from "./train/values.ts";
export type { Listener, Traffic, Transport } from "./transport/transport.ts";
