/** Decentralized methods by the names of the command line. */

import { adabelief, adam, adashift } from "@adastra/core";
import { dadagrad, dadam, damsgrad, decentralized, dpsgd, type Method } from "@adastra/swarm";

export interface MethodEntry {
  readonly name: string;
  readonly title: string;
  readonly build: (options: MethodOptions) => Method;
}

export interface MethodOptions {
  /** β₁, β₂, β₃ where the method has them. */
  readonly b1?: number;
  readonly b2?: number;
  readonly b3?: number;
  readonly eps?: number;
  readonly delayed?: boolean;
}

export const methods: readonly MethodEntry[] = [
  { name: "damsgrad", title: "decentralized AMSGrad", build: (options) => damsgrad(options) },
  { name: "dadagrad", title: "decentralized AdaGrad", build: (options) => dadagrad(options) },
  { name: "dadam", title: "DADAM", build: (options) => dadam(options) },
  { name: "dpsgd", title: "D-PSGD", build: () => dpsgd() },
  {
    name: "d-adashift",
    title: "decentralized AdaShift",
    build: ({ b1, b2, ...framework }) => decentralized(adashift(given({ b1, b2 })), framework),
  },
  {
    name: "d-adabelief",
    title: "decentralized AdaBelief",
    build: ({ b1, b2, ...framework }) => decentralized(adabelief(given({ b1, b2 })), framework),
  },
  {
    name: "d-adam",
    title: "decentralized Adam",
    build: ({ b1, b2, ...framework }) => decentralized(adam(given({ b1, b2 })), framework),
  },
];

function given(options: { readonly b1: number | undefined; readonly b2: number | undefined }): {
  readonly b1?: number;
  readonly b2?: number;
} {
  return {
    ...(options.b1 !== undefined && { b1: options.b1 }),
    ...(options.b2 !== undefined && { b2: options.b2 }),
  };
}
