/** A page with a bundle of our modules in it. */

import { type BuildOptions, build } from "esbuild";
import type { Browser, Page } from "playwright-core";

/** Opens one; what the bundle exports lies where `globalName` says, `adastra` by default. */
export async function openBundledPage(from: Browser, bundle: BuildOptions): Promise<Page> {
  const page = await from.newPage();
  // navigator.gpu exists on secure origins only; file: counts.
  await page.goto(new URL("./blank.html", import.meta.url).href);
  const { outputFiles } = await build({
    conditions: ["@adastra/source"],
    globalName: "adastra",
    ...bundle,
    bundle: true,
    format: "iife",
    write: false,
  });
  await page.addScriptTag({ content: outputFiles?.[0]?.text ?? "" });
  return page;
}
