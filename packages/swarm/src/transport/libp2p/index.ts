/** @adastra/swarm/libp2p: peers of a run on many machines. */

export {
  formatIdentity,
  generateIdentity,
  type Identity,
  identityFromSeed,
  parseIdentity,
} from "./identity.ts";
export { loadIdentity } from "./identityFile.node.ts";
export { createInvitation, readInvitation } from "./invitation.ts";
export { type Libp2pTransportOptions, libp2pTransport } from "./libp2pTransport.ts";
export type { Roster, RosterPeer } from "./roster.ts";
