/** @adastra/engine/jax: optimizers over jax-js arrays, in the shape of optax. */

export type { OptState } from "./state.ts";
export {
  applyUpdates,
  type GradientTransformation,
  type JaxOptions,
  toJax,
  type UpdateOptions,
} from "./toJax.ts";
