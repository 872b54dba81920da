/** A traced computation in plain data: what the lowering reads, free of jax-js types. */

export type DType = "float32" | "int32" | "uint32" | "bool";

export interface ArrayType {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** The result of one equation or an input; compared by identity. */
export interface Variable extends ArrayType {
  readonly kind: "variable";
}

/** A scalar written into the program. */
export interface Literal extends ArrayType {
  readonly kind: "literal";
  readonly value: number;
}

export type Operand = Variable | Literal;

/** `outputs = primitive[params](inputs)`; params are those of the jax-js primitive. */
export interface Equation {
  readonly primitive: string;
  readonly inputs: readonly Operand[];
  readonly params: Readonly<Record<string, unknown>>;
  readonly outputs: readonly Variable[];
}

/** An array captured while tracing, such as the class indices of a one-hot comparison. */
export interface CapturedArray {
  readonly variable: Variable;
  readonly data: Float32Array | Int32Array | Uint32Array;
}

/** Equations in execution order, each variable defined once. */
export interface Program {
  readonly inputs: readonly Variable[];
  readonly captured: readonly CapturedArray[];
  readonly equations: readonly Equation[];
  readonly outputs: readonly Operand[];
}
