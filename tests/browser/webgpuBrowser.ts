/** A page of a browser with the WebGPU backend in it; `webgpuPage.ts` is what it offers. */

import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { openBundledPage } from "./bundledPage.ts";
import type { PageApi } from "./webgpuPage.ts";

export function openWebgpuPage(from: Browser): Promise<Page> {
  return openBundledPage(from, {
    entryPoints: [fileURLToPath(new URL("./webgpuPage.ts", import.meta.url))],
    // `adastra` is what it offers by itself.
    globalName: "webgpuPage",
  });
}

/** A function of the page's that takes nothing. */
export function call<K extends Exclude<keyof PageApi, "outcomes" | "optimizer" | "row" | "draws">>(
  on: Page,
  name: K,
): ReturnType<PageApi[K]> {
  const reply: Promise<unknown> = on.evaluate(
    (key) => (globalThis as unknown as { adastra: Record<string, () => unknown> }).adastra[key]?.(),
    name as string,
  );
  return reply as ReturnType<PageApi[K]>;
}
