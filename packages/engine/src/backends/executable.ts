/** What a backend returns: a traced function ready to run on arrays. */

export type InputData = Float32Array | Int32Array;

export interface Executable {
  /**
   * Reads `inputs` in place and fills `outputs`, both in the order of the traced function.
   * Arrays may lie on a WebAssembly.Memory, but not on a shared one.
   */
  run(inputs: readonly InputData[], outputs: readonly Float32Array[]): Promise<void>;
  dispose(): Promise<void>;
}
