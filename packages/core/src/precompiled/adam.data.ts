/** Made by scripts/precompile.mjs; precompile.test.ts compares it with what the compiler makes. */

import type { Precompiled } from "./precompiled.ts";

export const PRECOMPILED: Precompiled = {
  plan: {
    name: "adam",
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
              name: "adam_0",
              streams: ["p", "mu", "g", "nu"],
              scalars: ["s11", "s12", "s13", "s15"],
              body: [],
              stores: [
                { stream: 0, value: 19 },
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
            scalars: [11, 12, 13, 15],
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
        slots: 16,
        vectors: [],
        constants: [{ slot: 1, value: 1 }],
        inputs: [
          { name: "lr", slot: 0 },
          { name: "b2", slot: 2 },
          { name: "t", slot: 3 },
          { name: "b1", slot: 8 },
          { name: "eps", slot: 14 },
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
    "AGFzbQEAAAABCQJgAX8AYAF/AAIQAQRob3N0Bm1lbW9yeQIAAAMDAgABBxICBmFkYW1fMAAABWd1YXJkAAEKxwgC/AUqAX8BfwF/AX8BfwF/AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7IAAoAgQhAyAAKAIIIQQgACgCDCEFIAAoAhAhBiAAKwIYtv0TIQkgACsCILb9EyEQIAArAii2/RMhHSAAKwIwtv0TISQgACgCAEEDdiEBIAEEQANAIAP9AAIAIQcgA/0AAhAhCCAE/QACACEKIAT9AAIQIQsgBf0AAgAhDCAF/QACECENIAwgCv3lASEOIA0gC/3lASEPIA4gEP3mASERIA8gEP3mASESIAogEf3kASETIAsgEv3kASEUIAkgE/3mASEVIAkgFP3mASEWIAb9AAIAIRcgBv0AAhAhGCAMIAz95gEhGSANIA395gEhGiAZIBf95QEhGyAaIBj95QEhHCAbIB395gEhHiAcIB395gEhHyAXIB795AEhICAYIB/95AEhISAg/eMBISIgIf3jASEjICIgJP3kASElICMgJP3kASEmIBUgJf3nASEnIBYgJv3nASEoIAcgJ/3lASEpIAggKP3lASEqIAMgKf0LAgAgAyAq/QsCECAEIBP9CwIAIAQgFP0LAhAgBiAg/QsCACAGICH9CwIQIANBIGohAyAEQSBqIQQgBUEgaiEFIAZBIGohBiABQQFrIgENAAsLIAAoAgBBB3EhASAAIQIgAQRAA0AgA/1cAgAhByAE/VwCACEKIAX9XAIAIQwgDCAK/eUBIQ4gDiAQ/eYBIREgCiAR/eQBIRMgCSAT/eYBIRUgBv1cAgAhFyAMIAz95gEhGSAZIBf95QEhGyAbIB395gEhHiAXIB795AEhICAg/eMBISIgIiAk/eQBISUgFSAl/ecBIScgByAn/eUBISkgAyAp/VoCAAAgBCAT/VoCAAAgBiAg/VoCAAAgA0EEaiEDIARBBGohBCAFQQRqIQUgBkEEaiEGIAJBCGohAiABQQFrIgENAAsLC8YCCQF/AX8BfwF7AXsBewF7AXsBeyAAKAIEIQMgACgCAEEDdiEBIAEEQEMAAID//RMhCEMAAID//RMhCQNAIAP9AAIAIQQgA/0AAhAhBSAE/eABIQYgBf3gASEHIAggBv3gAf24ASEIIAkgB/3gAf24ASEJIANBIGohAyABQQFrIgENAAsgACAA/QACCCAI/V/99QH9CwIIIAAgAP0AAhggCCAI/Q0ICQoLDA0ODwgJCgsMDQ4P/V/99QH9CwIYIAAgAP0AAiggCf1f/fUB/QsCKCAAIAD9AAI4IAkgCf0NCAkKCwwNDg8ICQoLDA0OD/1f/fUB/QsCOAsgACgCAEEHcSEBIAAhAiABBEADQCAD/VwCACEEIAT94AEhBiACIAIrAgggBv0fALulOQIIIANBBGohAyACQQhqIQIgAUEBayIBDQALCws=",
  functions: ["adam_0", "guard"],
};
