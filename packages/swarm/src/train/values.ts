/** Exchanged numbers, one vector after the other, each leaf after leaf. */
export type Values = Float32Array | Float64Array;
