/** The formats that state may be kept in, each with what it needs. */

import { bf16, bf16Stochastic, int8, int8Stochastic, uniform } from "../expr/build.ts";
import type { KeptFormat, StateFormat } from "../optimizer.ts";
import { PACKING } from "../runtime/packing.ts";

export const FORMATS: Readonly<Record<StateFormat, KeptFormat>> = {
  bf16: { name: "bf16", round: (e) => bf16(e) },
  "bf16-stochastic": {
    name: "bf16-stochastic",
    round: (e, draws) => bf16Stochastic(e, uniform(draws)),
  },
  int8: { name: "int8", round: (e) => int8(e), packing: PACKING },
  "int8-stochastic": {
    name: "int8-stochastic",
    round: (e, draws) => int8Stochastic(e, uniform(draws)),
    packing: PACKING,
  },
};
