/**
 * Mixing that a neighbour cannot abuse: what it may change in one round is bounded.
 *
 *     xᵢ += min(1, τ/‖x̃ⱼ − x̃ᵢ‖) w (x̃ⱼ − x̃ᵢ)
 *
 * Both ends of an honest edge find the same norm, so the mean stays.
 *
 * @see He, Karimireddy & Jaggi 2022, "Byzantine-robust decentralized learning via ClippedGossip", https://arxiv.org/abs/2202.01545
 */

/** The share of the difference that is mixed: `share`, or less where w‖x̃ⱼ − x̃ᵢ‖ would be above τ. */
export function clipFactor(share: number, squaredDistance: number, limit: number): number {
  const change = share * Math.sqrt(squaredDistance);
  return change <= limit ? share : (share * limit) / change;
}
