/** `nn`: layers, losses and metrics that know nothing of jax-js's ownership rules. */

export { glorotUniform, heNormal, type Initializer, zeros } from "./initializers.ts";
export {
  defineLayer,
  type Layer,
  type LayerDefinition,
  type ParamSpec,
  type ParamValues,
} from "./layer.ts";
export { type DenseOptions, dense, flatten, gelu, relu, sequential, tanh } from "./layers.ts";
export { accuracy, correct, l2, meanSquaredError, softmaxCrossEntropy } from "./losses.ts";
