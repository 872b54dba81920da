/** How a case is run. */

import type { CompileOptions, DType } from "@adastra/core";

export interface ReplayOptions {
  readonly backend: NonNullable<CompileOptions["backend"]>;
  readonly dtype: DType;
}
