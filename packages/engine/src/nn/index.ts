/** `nn`: layers, losses and metrics that know nothing of jax-js's ownership rules. */

export {
  type Fans,
  glorotUniform,
  heNormal,
  type Initializer,
  normal,
  ones,
  orthogonal,
  truncatedNormal,
  uniform,
  zeros,
} from "./initializers.ts";
export {
  defineLayer,
  type Layer,
  type LayerDefinition,
  type ParamSpec,
  type ParamValues,
  type Scope,
} from "./layer.ts";
export { type DenseOptions, dense, flatten, gelu, relu, tanh } from "./layers.ts";
export { accuracy, correct, l2, meanSquaredError, softmaxCrossEntropy } from "./losses.ts";
export { residual, sequential } from "./sequential.ts";
