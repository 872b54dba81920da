/** Models by name, as the lab trains them. Each is a layer: `model.init(random, inputShape)`. */

import { concat } from "../trace/value.ts";
import { multiHeadAttention } from "./attention.ts";
import { conv2d } from "./convolution.ts";
import { dropout } from "./dropout.ts";
import { embedding, positionEmbedding } from "./embedding.ts";
import { normal, zeros } from "./initializers.ts";
import { defineLayer, type Layer, type ParamSpec } from "./layer.ts";
import { dense, flatten, gelu, relu } from "./layers.ts";
import { batchNorm, layerNorm } from "./normalization.ts";
import { requireCount, requireRate } from "./options.ts";
import { avgPool, globalAvgPool, maxPool } from "./pooling.ts";
import { lstm } from "./recurrent.ts";
import { residual, sequential } from "./sequential.ts";

/**
 * Two convolutions of 16 and 32 filters of 5x5, each with ReLU and 2x2 max pooling, then 128 units: LeCun's
 * plan of 1998 with the activations and pooling of today. [C, H, W] to [classes].
 *
 * @see LeCun et al. 1998, section II, https://doi.org/10.1109/5.726791
 */
export function lenet(classes = 10): Layer {
  requireCount("lenet", "classes", classes);
  const stage = (filters: number): Layer[] => [
    conv2d(filters, 5, { padding: "same" }),
    relu(),
    maxPool(2),
  ];
  return sequential(...stage(16), ...stage(32), flatten(), dense(128), relu(), dense(classes));
}

export interface ResnetOptions {
  readonly classes?: number;
  /** Residual blocks in each of the three stages; 3 gives ResNet-20. Default 3. */
  readonly blocks?: number;
  /** Filters of the first stage, doubled in each of the other two; default 16. */
  readonly filters?: number;
}

/**
 * A residual network for small pictures: a 3x3 convolution, three stages of blocks of two, each stage after
 * the first at half the extents, global mean, one dense layer. 6 blocks + 2 layers deep.
 *
 * Where a stage begins, the shortcut is a convolution of 1x1 (He's option B; his figures for small pictures
 * are for option A, zeros).
 *
 * @see He et al. 2016, section 4.2, https://arxiv.org/abs/1512.03385
 */
export function resnet({ classes = 10, blocks = 3, filters = 16 }: ResnetOptions = {}): Layer {
  requireCount("resnet", "classes", classes);
  requireCount("resnet", "blocks", blocks);
  requireCount("resnet", "filters", filters);
  const block = (width: number, first: boolean, stride: number): Layer[] => {
    const conv = (strides: number): Layer => conv2d(width, 3, { strides, padding: 1, bias: false });
    const body = sequential(conv(stride), batchNorm(), relu(), conv(1), batchNorm());
    const shortcut = conv2d(width, 1, { strides: stride, bias: false });
    return [first && stride > 1 ? residual(body, shortcut) : residual(body), relu()];
  };
  const stages = [1, 2, 2].flatMap((stride, stage) =>
    Array.from({ length: blocks }, (_, i) =>
      block(filters * 2 ** stage, i === 0, i === 0 ? stride : 1),
    ).flat(),
  );
  return sequential(
    conv2d(filters, 3, { padding: 1, bias: false }),
    batchNorm(),
    relu(),
    ...stages,
    globalAvgPool(),
    dense(classes),
  );
}

/** ResNet-20. */
export function resnet20(classes = 10): Layer {
  return resnet({ classes });
}

export interface DensenetOptions {
  readonly classes?: number;
  /** Filters that each layer adds; default 12. */
  readonly growth?: number;
  /** Layers in each of the three dense blocks; default 12 (40 deep). */
  readonly layers?: number;
}

/**
 * A densely connected network for small pictures: in a block, each layer (norm, ReLU, 3x3 convolution of
 * `growth` filters) sees what all before it made; between blocks a 1x1 convolution and 2x2 mean pooling.
 *
 * @see Huang et al. 2017, section 3, https://arxiv.org/abs/1608.06993
 */
export function densenet({ classes = 10, growth = 12, layers = 12 }: DensenetOptions = {}): Layer {
  requireCount("densenet", "classes", classes);
  requireCount("densenet", "growth", growth);
  requireCount("densenet", "layers", layers);
  const first = 2 * growth;
  const block = (): Layer[] => Array.from({ length: layers }, () => grown(growth));
  const transition = (channels: number): Layer[] => [
    batchNorm(),
    relu(),
    conv2d(channels, 1, { bias: false }),
    avgPool(2),
  ];
  const after = (blocks: number): number => first + blocks * layers * growth;
  return sequential(
    conv2d(first, 3, { padding: 1, bias: false }),
    ...block(),
    ...transition(after(1)),
    ...block(),
    ...transition(after(2)),
    ...block(),
    batchNorm(),
    relu(),
    globalAvgPool(),
    dense(classes),
  );
}

/** x beside what a layer of `growth` filters makes of it; parameters under `layer/`. */
function grown(growth: number): Layer {
  const layer = sequential(batchNorm(), relu(), conv2d(growth, 3, { padding: 1, bias: false }));
  const under = (specs: Readonly<Record<string, ParamSpec>>): Record<string, ParamSpec> =>
    Object.fromEntries(Object.entries(specs).map(([path, spec]) => [`layer/${path}`, spec]));
  return defineLayer({
    kind: "grown",
    params: (inputShape) => under(layer.params(inputShape)),
    state: (inputShape) => under(layer.state?.(inputShape) ?? {}),
    outputShape: ([channels = 0, ...xs]) => [channels + growth, ...xs],
    forward: (scope, x) => concat([x, layer.forward(scope.within("layer"), x)], 1),
  });
}

/**
 * Pairs of 3x3 convolutions of 32, 64 and 128 filters with batch norm, each pair with max pooling, then
 * 256 units with dropout: VGG's plan for small pictures.
 *
 * @see Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556
 */
export function vggSmall(classes = 10): Layer {
  requireCount("vggSmall", "classes", classes);
  const conv = (filters: number): Layer[] => [
    conv2d(filters, 3, { padding: 1, bias: false }),
    batchNorm(),
    relu(),
  ];
  return sequential(
    ...[32, 64, 128].flatMap((filters) => [...conv(filters), ...conv(filters), maxPool(2)]),
    flatten(),
    dense(256),
    relu(),
    dropout(0.5),
    dense(classes),
  );
}

export interface LanguageModelOptions {
  /** Tokens; inputs are integers below it. */
  readonly vocabulary: number;
  /** Size of vectors; default 256. */
  readonly size?: number;
  /** Of every connection that is not recurrent, while training; default 0. */
  readonly dropout?: number;
}

export interface LstmLmOptions extends LanguageModelOptions {
  /** LSTMs on top of each other; default 1. */
  readonly layers?: number;
}

/**
 * A language model of LSTMs: [length] tokens to [length, vocabulary] logits of the next ones. The output
 * layer is the embedding's table, transposed, and a bias.
 *
 * Parameters: `embedding/table`, `lstm<n>/...`, `bias` [vocabulary].
 *
 * @see Zaremba et al. 2014, https://arxiv.org/abs/1409.2329; Press & Wolf 2017 for the table, https://arxiv.org/abs/1608.05859
 */
export function lstmLm({
  vocabulary,
  size = 256,
  dropout: rate = 0,
  layers = 1,
}: LstmLmOptions): Layer {
  requireCount("lstmLm", "layers", layers);
  const body = sequential(
    ...Array.from({ length: layers }, () => [
      dropout(rate),
      lstm(size, { sequences: true }),
    ]).flat(),
    dropout(rate),
  );
  return tied("lstmLm", { vocabulary, size, dropout: rate }, body);
}

export interface GptMiniOptions extends LanguageModelOptions {
  /** Longest input. */
  readonly length: number;
  /** Default 4. */
  readonly heads?: number;
  /** Default 2. */
  readonly blocks?: number;
}

/**
 * A small decoder-only transformer: token and position embeddings, blocks of causal attention and of 4 `size`
 * units with GELU, both behind a layer norm and beside their input, a last norm; the output layer is the
 * embedding's table, transposed. [length] to [length, vocabulary].
 *
 * @see Radford et al. 2019 (GPT-2)
 */
export function gptMini(options: GptMiniOptions): Layer {
  const { vocabulary, length, size = 256, heads = 4, blocks = 2, dropout: rate = 0 } = options;
  requireCount("gptMini", "blocks", blocks);
  const init = normal(0.02);
  const block = (): Layer[] => [
    residual(
      sequential(
        layerNorm(),
        multiHeadAttention({ heads, causal: true, kernelInit: init }),
        dropout(rate),
      ),
    ),
    residual(
      sequential(
        layerNorm(),
        dense(4 * size, { kernelInit: init }),
        gelu(),
        dense(size, { kernelInit: init }),
        dropout(rate),
      ),
    ),
  ];
  const body = sequential(
    positionEmbedding(length, { init }),
    dropout(rate),
    ...Array.from({ length: blocks }, block).flat(),
    layerNorm(),
  );
  return tied("gptMini", { vocabulary, size, dropout: rate }, body);
}

/** embedding - body - the embedding's table, transposed; parameters `embedding/table`, `body/...`, `bias`. */
function tied(
  kind: string,
  { vocabulary, size = 256, dropout: rate = 0 }: LanguageModelOptions,
  body: Layer,
): Layer {
  requireCount(kind, "vocabulary", vocabulary);
  requireCount(kind, "size", size);
  requireRate(kind, "dropout", rate);
  const table = embedding(vocabulary, size, { init: normal(size ** -0.5) });
  const under = (
    name: string,
    specs: Readonly<Record<string, ParamSpec>>,
  ): Record<string, ParamSpec> =>
    Object.fromEntries(Object.entries(specs).map(([path, spec]) => [`${name}/${path}`, spec]));
  return defineLayer({
    kind,
    params: (inputShape) => ({
      ...under("embedding", table.params(inputShape)),
      ...under("body", body.params([...inputShape, size])),
      bias: { shape: [vocabulary], init: zeros },
    }),
    state: (inputShape) => under("body", body.state?.([...inputShape, size]) ?? {}),
    outputShape: (inputShape) => [...inputShape, vocabulary],
    forward: (scope, x) => {
      const hidden = body.forward(
        scope.within("body"),
        table.forward(scope.within("embedding"), x),
      );
      const [batch = 1, length = 1] = hidden.shape;
      const transposed = scope.param("embedding/table").transpose([1, 0]);
      return hidden
        .reshape([batch * length, size])
        .matmul(transposed)
        .add(scope.param("bias"))
        .reshape([batch, length, vocabulary]);
    },
  });
}
