/** What tensors and attributes are, before there are nodes. */

export type DType = "float32" | "int32" | "uint32" | "bool";

export interface TensorType {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

export type Attributes = Readonly<Record<string, number | readonly number[]>>;
