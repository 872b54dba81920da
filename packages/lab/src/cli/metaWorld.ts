/** What `adastra meta` needs of the world around it. */

import type { SwarmWorld } from "./swarmWorld.ts";

export interface MetaWorld extends SwarmWorld {
  /** Names the folder of a run that got none. */
  readonly now: () => Date;
}
