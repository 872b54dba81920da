/**
 * The ops of the graph: a subset of ONNX opset 18, one row each.
 *
 * A row says how many inputs an op takes, which attributes it must carry, and what it returns.
 * The builder reads it to type new nodes, the verifier to check them, the encoder to write them.
 * Static operands that ONNX passes as int64 tensors (`shape`, `axes`, ...) are attributes of kind
 * "operand" here, so that equal nodes look equal.
 */

import { CONVOLUTION_OPS, type ConvolutionOp } from "./convolution.ts";
import { ELEMENTWISE_OPS, type ElementwiseOp } from "./elementwise.ts";
import { INDEXING_OPS, type IndexingOp } from "./indexing.ts";
import { MOVEMENT_OPS, type MovementOp } from "./movement.ts";
import { PRODUCT_OPS, type ProductOp } from "./products.ts";
import type { OpTable } from "./spec.ts";

export type OpName = ElementwiseOp | MovementOp | ProductOp | ConvolutionOp | IndexingOp;

export const OPS: OpTable<OpName> = {
  ...ELEMENTWISE_OPS,
  ...MOVEMENT_OPS,
  ...PRODUCT_OPS,
  ...CONVOLUTION_OPS,
  ...INDEXING_OPS,
};

export {
  type AttributeKind,
  broadcastShape,
  ELEMENT_TYPE,
  int,
  ints,
  type OpSpec,
  text,
} from "./spec.ts";
