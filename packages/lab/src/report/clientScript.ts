/**
 * The script of report and studio, as one text.
 *
 * It is written as TypeScript modules in `client/`, compiled by `tsc -b` to `dist/report/client/` like
 * everything else, and joined by `linkModules` when a page is rendered: the packed package needs no
 * bundler and no file beside its own. In a checkout, where the tests run on `src` and a build may be
 * missing or old, the same modules are translated one by one by esbuild, which is a development
 * dependency and never loaded from `dist`.
 *
 * uPlot comes as published, from its own package: it has a script for pages and a style sheet.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { linkModules } from "./linkModules.ts";

const require = createRequire(import.meta.url);
const fromSource = import.meta.url.endsWith(".ts");

export interface PageAssets {
  /** In this order; uPlot before the page's own script. */
  readonly scripts: readonly string[];
  readonly uPlotStyle: string;
}

/** Under the locale `POSIX` Chromium calls its language `en-US@posix`, on which uPlot's start fails. */
const languageGuard = `try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US" });
}`;

let assets: PageAssets | undefined;

/** Reads and joins once; every page of a process shares the text. */
export function pageAssets(): PageAssets {
  assets ??= {
    scripts: [
      languageGuard,
      `/* uPlot 1.6.32, copyright (c) 2022 Leon Sorokin, MIT License */\n${published("uPlot.iife.min.js")}`,
      linkModules("report/client/main.js", fromSource ? translated : compiled),
    ].map(forInlineScript),
    uPlotStyle: published("uPlot.min.css"),
  };
  return assets;
}

function published(file: string): string {
  return readFileSync(require.resolve(`uplot/dist/${file}`), "utf8");
}

function compiled(path: string): string {
  return readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
}

/** The part of esbuild that is used; its own types would make a dependency of what is not one. */
interface Translator {
  transformSync(code: string, options: { loader: "ts"; target: string }): { code: string };
}

function translated(path: string): string {
  const file = new URL(`../${path.replace(/\.js$/, ".ts")}`, import.meta.url);
  const esbuild: Translator = require("esbuild");
  const { code } = esbuild.transformSync(readFileSync(file, "utf8"), {
    loader: "ts",
    target: "es2022",
  });
  return code.replace(/ from "(\.[^"]*)\.ts";$/gm, ' from "$1.js";');
}

/** Inside a script element only these two can end it or change how it is read. */
function forInlineScript(script: string): string {
  return script.replace(/<\/(?=script)/gi, "<\\/").replace(/<!--/g, "<\\!--");
}
