/** What the page and its worker say to each other. */

export interface Start {
  readonly kind: "start";
  readonly learningRate: number;
  /** Of the whole run. */
  readonly steps: number;
  /** Folder of onnxruntime-web's files. */
  readonly assets: string;
}

export type Command = Start | { readonly kind: "stop" };

export type Event =
  | { readonly kind: "ready"; readonly backend: string; readonly compileMs: number }
  | { readonly kind: "step"; readonly step: number; readonly loss: number; readonly ms: number }
  | {
      readonly kind: "tested";
      readonly step: number;
      /** Share of the test digits. */
      readonly accuracy: number;
      /** What the first test digits are taken for. */
      readonly predictions: readonly number[];
    }
  | { readonly kind: "ended"; readonly step: number }
  | { readonly kind: "failed"; readonly message: string };
