/** Made by scripts/precompile.mjs; precompile.test.ts compares it with what the compiler makes. */

import type { Precompiled } from "./precompiled.ts";

export const PRECOMPILED: Precompiled = {
  plan: {
    name: "sgd",
    arrays: [
      { name: "p", slots: 1, init: 0 },
      { name: "g", slots: 1, init: 0 },
      { name: "trace", slots: 1, init: 0 },
    ],
    step: {
      status: "stepped",
      passes: [
        {
          steady: {
            kernel: {
              name: "sgd_0",
              streams: ["p", "trace", "g"],
              scalars: ["s0", "s1"],
              body: [],
              stores: [
                { stream: 0, value: 8 },
                { stream: 1, value: 6 },
              ],
              reductions: [],
            },
            streams: [
              { array: 0, delay: 0 },
              { array: 2, delay: 0 },
              { array: 1, delay: 0 },
            ],
            scalars: [0, 1],
          },
          reductions: [],
          columns: [],
          perTensor: false,
          perRow: false,
        },
      ],
      next: [],
      inspect: [],
      shared: [],
      host: {
        slots: 2,
        vectors: [],
        constants: [],
        inputs: [
          { name: "lr", slot: 0 },
          { name: "momentum", slot: 1 },
        ],
        queues: [],
        delays: [],
        levels: [[], []],
      },
    },
    before: [],
    hostState: [],
    twins: {},
  },
  module:
    "0061736d0100000001090260017f0060017f0002100104686f7374066d656d6f72790200000303020001071102057367645f30000005677561726400010af10502a60315017f017f017f017f017f017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b2000280204210320002802082104200028020c210520002b0210b6fd13210820002b0218b6fd132109200028020041037621012001044003402003fd00020021062003fd00021021072004fd000200210a2004fd000210210b2009200afde601210c2009200bfde601210d2005fd000200210e2005fd000210210f200c200efde4012110200d200ffde401211120082010fde601211220082011fde601211320062012fde501211420072013fde501211520032014fd0b020020032015fd0b021020042010fd0b020020042011fd0b0210200341206a2103200441206a2104200541206a2105200141016b22010d000b0b20002802004107712101200021022001044003402003fd5c020021062004fd5c0200210a2009200afde601210c2005fd5c0200210e200c200efde401211020082010fde601211220062012fde501211420032014fd5a02000020042010fd5a020000200341046a2103200441046a2104200541046a2105200241086a2102200141016b22010d000b0b0bc60209017f017f017f017b017b017b017b017b017b20002802042103200028020041037621012001044043000080fffd13210843000080fffd13210903402003fd00020021042003fd00021021052004fde00121062005fde001210720082006fde001fdb801210820092007fde001fdb8012109200341206a2103200141016b22010d000b20002000fd0002082008fd5ffdf501fd0b020820002000fd00021820082008fd0d08090a0b0c0d0e0f08090a0b0c0d0e0ffd5ffdf501fd0b021820002000fd0002282009fd5ffdf501fd0b022820002000fd00023820092009fd0d08090a0b0c0d0e0f08090a0b0c0d0e0ffd5ffdf501fd0b02380b20002802004107712101200021022001044003402003fd5c020021042004fde0012106200220022b02082006fd1f00bba5390208200341046a2103200241086a2102200141016b22010d000b0b0b",
  operations: {},
  runtime: {},
};
