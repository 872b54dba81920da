/** What tensors and attributes are, before there are nodes. */

/** int64 is that of coordinates only: no value of a traced program has it. */
export type DType = "float32" | "int32" | "uint32" | "bool" | "int64";

export interface TensorType {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

export type Attributes = Readonly<Record<string, number | string | readonly number[]>>;
