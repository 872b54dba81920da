/** A page of a browser with the WebGPU backend in it; `webgpuPage.ts` is what it offers. */

import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";

export async function openWebgpuPage(from: Browser): Promise<Page> {
  const opened = await from.newPage();
  // navigator.gpu exists on secure origins only; file: counts.
  await opened.goto(new URL("./blank.html", import.meta.url).href);
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("./webgpuPage.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
  });
  await opened.addScriptTag({ content: outputFiles[0]?.text ?? "" });
  return opened;
}
