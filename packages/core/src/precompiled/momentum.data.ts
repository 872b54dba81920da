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
    "AGFzbQEAAAABCQJgAX8AYAF/AAIQAQRob3N0Bm1lbW9yeQIAAAMDAgABBxECBXNnZF8wAAAFZ3VhcmQAAQrxBQKmAxUBfwF/AX8BfwF/AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsBewF7AXsgACgCBCEDIAAoAgghBCAAKAIMIQUgACsCELb9EyEIIAArAhi2/RMhCSAAKAIAQQN2IQEgAQRAA0AgA/0AAgAhBiAD/QACECEHIAT9AAIAIQogBP0AAhAhCyAJIAr95gEhDCAJIAv95gEhDSAF/QACACEOIAX9AAIQIQ8gDCAO/eQBIRAgDSAP/eQBIREgCCAQ/eYBIRIgCCAR/eYBIRMgBiAS/eUBIRQgByAT/eUBIRUgAyAU/QsCACADIBX9CwIQIAQgEP0LAgAgBCAR/QsCECADQSBqIQMgBEEgaiEEIAVBIGohBSABQQFrIgENAAsLIAAoAgBBB3EhASAAIQIgAQRAA0AgA/1cAgAhBiAE/VwCACEKIAkgCv3mASEMIAX9XAIAIQ4gDCAO/eQBIRAgCCAQ/eYBIRIgBiAS/eUBIRQgAyAU/VoCAAAgBCAQ/VoCAAAgA0EEaiEDIARBBGohBCAFQQRqIQUgAkEIaiECIAFBAWsiAQ0ACwsLxgIJAX8BfwF/AXsBewF7AXsBewF7IAAoAgQhAyAAKAIAQQN2IQEgAQRAQwAAgP/9EyEIQwAAgP/9EyEJA0AgA/0AAgAhBCAD/QACECEFIAT94AEhBiAF/eABIQcgCCAG/eAB/bgBIQggCSAH/eAB/bgBIQkgA0EgaiEDIAFBAWsiAQ0ACyAAIAD9AAIIIAj9X/31Af0LAgggACAA/QACGCAIIAj9DQgJCgsMDQ4PCAkKCwwNDg/9X/31Af0LAhggACAA/QACKCAJ/V/99QH9CwIoIAAgAP0AAjggCSAJ/Q0ICQoLDA0ODwgJCgsMDQ4P/V/99QH9CwI4CyAAKAIAQQdxIQEgACECIAEEQANAIAP9XAIAIQQgBP3gASEGIAIgAisCCCAG/R8Au6U5AgggA0EEaiEDIAJBCGohAiABQQFrIgENAAsLCw==",
  functions: ["sgd_0", "guard"],
};
