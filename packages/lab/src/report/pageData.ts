/** What a page's script finds in its document. */
import type { Comparison } from "../protocol.ts";

export type PageData =
  | { readonly mode: "report"; readonly comparison: Comparison }
  | { readonly mode: "live"; readonly events: string };
