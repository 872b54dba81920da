/** A compiled model reads and writes one set of state leaves; each trial has a state of its own. */

import type { Leaves } from "@adastra/core";

type State = Leaves<Float32Array>;

export interface StateKeeper {
  /** What the model was compiled with. */
  readonly live: State;
  /** A trial's state, from `initial` on: what it returns brings it back after another trial had its turn. */
  claim(initial: State): () => void;
}

export function createKeeper(live: State): StateKeeper {
  let owner: State | undefined;
  return {
    live,
    claim: (initial) => () => {
      if (owner !== initial) {
        if (owner !== undefined) {
          copy(live, owner);
        }
        copy(initial, live);
        owner = initial;
      }
    },
  };
}

function copy(from: State, to: State): void {
  for (const [path, { data }] of Object.entries(from)) {
    to[path]?.data.set(data);
  }
}
