/**
 * The framework of decentralized adaptive methods: peers agree on x by mixing it, and on the second moment by tracking it.
 *
 *     mₜ      = the rule's direction of g₁ … gₜ                       local
 *     v̂ₜ      = rₜ(g₁, …, gₜ),  v̂₀ = ε                                local
 *     ũₜ      = Σⱼ Wᵢⱼ ũₜ₋½,ⱼ,  ũ_½ = v̂₀                              exchanged
 *     uₜ      = max(ũₜ, ε)
 *     xₜ₊₁    = Σⱼ Wᵢⱼ xₜ,ⱼ − αₜ mₜ / √uₜ                             exchanged
 *     ũₜ₊½    = ũₜ − v̂ₜ₋₁ + v̂ₜ                                        injects the local change
 *
 * W is doubly stochastic, so the mean of ũₜ₊½ over the peers is that of v̂ₜ. uₜ depends on v̂ₜ₋₁ only: the exchange of a
 * step runs while its gradient is computed. `delayed: false` injects first, at the price of waiting for the gradient:
 *
 *     ũₜ = Σⱼ Wᵢⱼ (ũₜ₋₁ − v̂ₜ₋₁ + v̂ₜ)ⱼ
 *
 * As a program of one peer: whoever runs it mixes p and `utilde` in place, where they are exchanged, and the step does the
 * rest. The gradient is that of the parameters before they were mixed.
 *
 * @see Chen, Karimi, Zhao & Li 2023, Algorithm 2, https://arxiv.org/abs/2109.03194
 */

import {
  add,
  defineOptimizer,
  div,
  type Expr,
  type Hyperparameters,
  max,
  mul,
  type NamedInputs,
  neg,
  type Optimizer,
  perElement,
  positive,
  type StateSpec,
  sqrt,
  sub,
} from "@adastra/core";
import { toProgram } from "@adastra/core/program";

/** A decentralized method: the program of a peer, and what of it is exchanged. */
export interface Method {
  readonly name: string;
  /**
   * Delayed: a step after p and `exchanged` have been mixed. Else a step before the exchange, and a call after it (the call
   * before the next step), which moves p.
   */
  readonly optimizer: Optimizer;
  /** Keys of the state that peers mix beside p, in the order in which they travel. */
  readonly exchanged: readonly string[];
  /** Whether the exchange of a step needs nothing of its gradient. */
  readonly delayed: boolean;
}

export interface FrameworkOptions {
  /** ε, greater than 0, default 1e-6: v̂₀, and the least that u may be. */
  readonly eps?: number;
  /** Whether step t scales by v̂ up to t − 1, default true. */
  readonly delayed?: boolean;
}

/**
 * The decentralized form of an optimizer whose update is −α m/√v: m and v are the optimizer's, corrected for starting at
 * zero where it corrects them.
 *
 * State: the optimizer's, `vhat` = v̂ and `utilde` = ũ, each of the parameter's shape and dtype; `vhat` is the optimizer's
 * own where it has that key. Exchanges p and ũ: 8 bytes a float32 parameter, edge and direction.
 *
 * @throws TypeError for an optimizer of another form, or with calls before its step; RangeError for `eps` out of range.
 * @remarks The first delayed step divides by √ε: it is 1/√ε times α m long. With one peer the delayed form is not the
 * method it was made from.
 * @example decentralized(adashift())
 */
export function decentralized(
  rule: Optimizer,
  { eps = 1e-6, delayed = true }: FrameworkOptions = {},
): Method {
  const name = rule.name.startsWith("d-") ? rule.name : `d-${rule.name}`;
  if (rule.before !== undefined && rule.before.length > 0) {
    refuse(`"${rule.name}" with calls before its step`);
  }
  const state: Record<string, StateSpec> = {
    vhat: perElement(eps),
    ...rule.state,
    utilde: perElement(eps),
  };
  const hyperparameters: Hyperparameters = { ...rule.hyperparameters, eps: positive(eps) };

  if (delayed) {
    const optimizer = defineOptimizer(name, state, hyperparameters, (inputs) => {
      const { lr, utilde, eps } = inputs as Tracked;
      const { m, next } = injected(rule, inputs);
      return { update: neg(div(mul(lr, m), root(utilde, eps))), next };
    });
    return checked({ name, optimizer, exchanged: ["utilde"], delayed });
  }

  // αₜ mₜ waits from the step that makes it to the call after the exchange; only a step may look back at past gradients.
  const waiting: Record<string, StateSpec> = { ...state, step: perElement() };
  const injecting: Optimizer = defineOptimizer(name, waiting, hyperparameters, (inputs) => {
    const { m, next } = injected(rule, inputs);
    const step = mul(inputs.lr, m);
    return { update: mul(0, step), params: inputs.p, next: { ...next, step } };
  });
  const optimizer: Optimizer = {
    ...injecting,
    before: [
      {
        status: "accumulated",
        step: (inputs) => {
          const { step, utilde, eps } = inputs as Tracked & Readonly<Record<"step", Expr>>;
          return { update: neg(div(step, root(utilde, eps))), next: {} };
        },
      },
    ],
  };
  return checked({ name, optimizer, exchanged: ["utilde"], delayed });
}

/** Runs the program once, so that what it cannot be made of is said here. */
function checked(method: Method): Method {
  toProgram(method.optimizer);
  return method;
}

type Tracked = NamedInputs & Readonly<Record<"vhat" | "utilde" | "eps", Expr>>;

const root = (utilde: Expr, eps: Expr): Expr => sqrt(max(utilde, eps));

/** The local part: m, v̂ₜ, and ũ with the change of v̂ in it. */
function injected(
  rule: Optimizer,
  inputs: NamedInputs,
): { readonly m: Expr; readonly next: Readonly<Record<string, Expr>> } {
  const { vhat, utilde } = inputs as Tracked;
  const made = rule.step(inputs);
  const { m, v } = made.moments ?? refuse(`"${rule.name}"`);
  return { m, next: { ...made.next, vhat: v, utilde: add(sub(utilde, vhat), v) } };
}

function refuse(got: string): never {
  throw new TypeError(
    `decentralized: the optimizer must be one whose update is −α m/√v and that steps at every gradient, got ${got}; pass adam(), adashift() and the like, without decoupled decay`,
  );
}
