/** The part of WebAssembly that core uses: core compiles without DOM and Node types. */
declare namespace WebAssembly {
  class Memory {
    constructor(descriptor: { initial: number; maximum?: number; shared?: boolean });
    readonly buffer: ArrayBuffer;
  }
  class Module {
    constructor(bytes: Uint8Array);
  }
  class Instance {
    constructor(module: Module, imports?: Record<string, Record<string, Memory>>);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  function validate(bytes: Uint8Array): boolean;
}

/** Bytes of base64 text, as characters: in every browser and in Node. */
declare function atob(text: string): string;
/** The base64 text of bytes, given as characters. */
declare function btoa(characters: string): string;
