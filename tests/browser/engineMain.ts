/** Puts `trainFew` where a test can call it. */

import { trainFew as train } from "./enginePage.ts";

declare global {
  var trainFew: typeof train;
}

globalThis.trainFew = train;
