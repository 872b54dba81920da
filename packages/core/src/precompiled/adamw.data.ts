/** Made by scripts/precompile.mjs; precompile.test.ts compares it with what the compiler makes. */

import { div, mul, pow, sqrt, sub } from "../codegen/operations.ts";
import type { Precompiled } from "./precompiled.ts";

export const PRECOMPILED: Precompiled = {
  plan: {
    name: "adamw",
    arrays: [
      { name: "p", slots: 1, init: 0 },
      { name: "g", slots: 1, init: 0 },
      { name: "mu", slots: 1, init: 0 },
      { name: "nu", slots: 1, init: 0 },
    ],
    step: {
      status: "stepped",
      passes: [
        {
          steady: {
            kernel: {
              name: "adamw_0",
              streams: ["p", "mu", "g", "nu"],
              scalars: ["s11", "s12", "s13", "s15", "s17"],
              body: [],
              stores: [
                { stream: 0, value: 23 },
                { stream: 1, value: 7 },
                { stream: 3, value: 14 },
              ],
              reductions: [],
            },
            streams: [
              { array: 0, delay: 0 },
              { array: 2, delay: 0 },
              { array: 1, delay: 0 },
              { array: 3, delay: 0 },
            ],
            scalars: [11, 12, 13, 15, 17],
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
        slots: 18,
        vectors: [],
        constants: [{ slot: 1, value: 1 }],
        inputs: [
          { name: "lr", slot: 0 },
          { name: "b2", slot: 2 },
          { name: "t", slot: 3 },
          { name: "b1", slot: 8 },
          { name: "eps", slot: 14 },
          { name: "weightDecay", slot: 16 },
        ],
        queues: [],
        delays: [],
        levels: [
          [
            { op: "pow", out: 4, operands: [2, 3] },
            { op: "sub", out: 5, operands: [1, 4] },
            { op: "sqrt", out: 6, operands: [5] },
            { op: "mul", out: 7, operands: [0, 6] },
            { op: "pow", out: 9, operands: [8, 3] },
            { op: "sub", out: 10, operands: [1, 9] },
            { op: "div", out: 11, operands: [7, 10] },
            { op: "sub", out: 12, operands: [1, 8] },
            { op: "sub", out: 13, operands: [1, 2] },
            { op: "mul", out: 15, operands: [14, 6] },
            { op: "mul", out: 17, operands: [0, 16] },
          ],
          [],
        ],
      },
    },
    before: [],
    hostState: [],
    twins: {},
  },
  module:
    "0061736d0100000001090260017f0060017f0002100104686f7374066d656d6f72790200000303020001071302076164616d775f30000005677561726400010aaa0902df0631017f017f017f017f017f017f017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b017b2000280204210320002802082104200028020c21052000280210210620002b0218b6fd13210920002b0220b6fd13211020002b0228b6fd13211d20002b0230b6fd13212420002b0238b6fd13212b200028020041037621012001044003402003fd00020021072003fd00021021082004fd000200210a2004fd000210210b2005fd000200210c2005fd000210210d200c200afde501210e200d200bfde501210f200e2010fde6012111200f2010fde6012112200a2011fde4012113200b2012fde401211420092013fde601211520092014fde60121162006fd00020021172006fd0002102118200c200cfde6012119200d200dfde601211a20192017fde501211b201a2018fde501211c201b201dfde601211e201c201dfde601211f2017201efde40121202018201ffde40121212020fde30121222021fde301212320222024fde401212520232024fde401212620152025fde701212720162026fde70121282027fde10121292028fde101212a202b2007fde601212c202b2008fde601212d2029202cfde501212e202a202dfde501212f2007202efde40121302008202ffde401213120032030fd0b020020032031fd0b021020042013fd0b020020042014fd0b021020062020fd0b020020062021fd0b0210200341206a2103200441206a2104200541206a2105200641206a2106200141016b22010d000b0b20002802004107712101200021022001044003402003fd5c020021072004fd5c0200210a2005fd5c0200210c200c200afde501210e200e2010fde6012111200a2011fde401211320092013fde60121152006fd5c02002117200c200cfde601211920192017fde501211b201b201dfde601211e2017201efde40121202020fde301212220222024fde401212520152025fde70121272027fde1012129202b2007fde601212c2029202cfde501212e2007202efde401213020032030fd5a02000020042013fd5a02000020062020fd5a020000200341046a2103200441046a2104200541046a2105200641046a2106200241086a2102200141016b22010d000b0b0bc60209017f017f017f017b017b017b017b017b017b20002802042103200028020041037621012001044043000080fffd13210843000080fffd13210903402003fd00020021042003fd00021021052004fde00121062005fde001210720082006fde001fdb801210820092007fde001fdb8012109200341206a2103200141016b22010d000b20002000fd0002082008fd5ffdf501fd0b020820002000fd00021820082008fd0d08090a0b0c0d0e0f08090a0b0c0d0e0ffd5ffdf501fd0b021820002000fd0002282009fd5ffdf501fd0b022820002000fd00023820092009fd0d08090a0b0c0d0e0f08090a0b0c0d0e0ffd5ffdf501fd0b02380b20002802004107712101200021022001044003402003fd5c020021042004fde0012106200220022b02082006fd1f00bba5390208200341046a2103200241086a2102200141016b22010d000b0b0b",
  operations: { div, mul, pow, sqrt, sub },
  runtime: {},
};
