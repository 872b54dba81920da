/**
 * Decentralized SGD (D-PSGD, DGD): peers mix, and step by their own gradients
 *
 *     xₜ₊₁ = Σⱼ Wᵢⱼ xₜ,ⱼ − αₜ gₜ
 */

import { type Optimizer, sgd } from "@adastra/core";
import type { Method } from "./framework.ts";

/**
 * D-PSGD, and any optimizer whose parameters alone are mixed.
 *
 *     xₜ₊₁ = Σⱼ Wᵢⱼ xₜ,ⱼ − αₜ gₜ
 *
 * State: none; the optimizer's where one is given, which stays with its peer. Exchanges p alone.
 *
 * @remarks The gradient is that of xₜ, before it is mixed.
 * @see Lian et al. 2017, Algorithm 1, https://arxiv.org/abs/1705.09056
 */
export function dpsgd(optimizer: Optimizer = sgd()): Method {
  return {
    name: optimizer.name === "sgd" ? "dpsgd" : `mixed-${optimizer.name}`,
    optimizer,
    exchanged: [],
    delayed: true,
  };
}
