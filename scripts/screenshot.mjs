/**
 * node scripts/screenshot.mjs REPORT.html OUT.png [--dark] [--width 1240] [--height 900] [--scale 2]
 *
 * A picture of a report as a reader sees it, from the top of the page; `--height 0` takes all of it.
 */
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "esbuild";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    dark: { type: "boolean", default: false },
    width: { type: "string", default: "1240" },
    height: { type: "string", default: "900" },
    scale: { type: "string", default: "2" },
  },
});
const [report, out] = positionals;
if (report === undefined || out === undefined) {
  throw new Error("screenshot: expected REPORT.html and OUT.png");
}

const { launchChromium } = await importTypeScript(
  new URL("../tests/browser/chromium.ts", import.meta.url),
);
const browser = await launchChromium();
try {
  const page = await browser.newPage({
    viewport: { width: Number(values.width), height: Number(values.height) || 900 },
    deviceScaleFactor: Number(values.scale),
    colorScheme: values.dark ? "dark" : "light",
  });
  await page.goto(pathToFileURL(resolve(report)).href);
  await page.locator("#chart-loss canvas").waitFor();
  await page.screenshot({ path: out, fullPage: Number(values.height) === 0 });
} finally {
  await browser.close();
}

/** Node 20 runs no TypeScript: the module is translated into the cache first, its own address kept. */
async function importTypeScript(file) {
  const cache = new URL("../node_modules/.cache/", import.meta.url);
  const outfile = new URL("screenshot-chromium.mjs", cache);
  await mkdir(cache, { recursive: true });
  await build({
    entryPoints: [fileURLToPath(file)],
    outfile: fileURLToPath(outfile),
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    define: { "import.meta.url": JSON.stringify(file.href) },
  });
  return import(outfile.href);
}
