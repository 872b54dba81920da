/** `nn`: layers, losses and metrics that know nothing of jax-js's ownership rules. */

export {
  type AttentionOptions,
  attention,
  type MultiHeadAttentionOptions,
  multiHeadAttention,
} from "./attention.ts";
export {
  type ConvLayerOptions,
  conv1d,
  conv2d,
  type DepthwiseOptions,
  depthwiseConv2d,
} from "./convolution.ts";
export { dropout } from "./dropout.ts";
export { type EmbeddingOptions, embedding, positionEmbedding } from "./embedding.ts";
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
export { type DenseOptions, dense, flatten, gelu, relu, sigmoid, silu, tanh } from "./layers.ts";
export { accuracy, correct, l2, meanSquaredError, softmax, softmaxCrossEntropy } from "./losses.ts";
export {
  type DensenetOptions,
  densenet,
  type GptMiniOptions,
  gptMini,
  type LanguageModelOptions,
  type LstmLmOptions,
  lenet,
  lstmLm,
  type ResnetOptions,
  resnet,
  resnet20,
  vggSmall,
} from "./models.ts";
export {
  type BatchNormOptions,
  batchNorm,
  groupNorm,
  layerNorm,
  type NormOptions,
  rmsNorm,
} from "./normalization.ts";
export { avgPool, globalAvgPool, maxPool, type PoolOptions } from "./pooling.ts";
export { gru, lstm, type RecurrentOptions } from "./recurrent.ts";
export { residual, sequential } from "./sequential.ts";
