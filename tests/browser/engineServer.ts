/** A page with the engine in it, and the files of onnxruntime-web, on loopback. */

import { createReadStream, existsSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const TYPES: Readonly<Record<string, string>> = {
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
};

export interface EngineServer {
  readonly url: string;
  close(): void;
}

/** Serves `entry`, bundled as for any page from the built packages, and `/ort/` for the runtime's own files. */
export async function serveEngine(entry: string): Promise<EngineServer> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    write: false,
    format: "esm",
    platform: "browser",
    // The runtime's modules find their .wasm beside them; here they lie under /ort/.
    conditions: ["onnxruntime-web-use-extern-wasm"],
    logLevel: "error",
  });
  const script = outputFiles[0]?.text ?? "";
  const require = createRequire(new URL("../../packages/engine/package.json", import.meta.url));
  const runtime = dirname(require.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm"));
  const server: Server = createServer((request, response) => {
    const path = normalize(new URL(request.url ?? "/", "http://localhost").pathname);
    if (path === "/page.js") {
      response.writeHead(200, { "content-type": "text/javascript" }).end(script);
      return;
    }
    const file = path.startsWith("/ort/") ? join(runtime, path.slice("/ort/".length)) : undefined;
    if (file !== undefined && existsSync(file)) {
      const type = TYPES[path.slice(path.lastIndexOf("."))] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type });
      createReadStream(file).pipe(response);
      return;
    }
    response
      .writeHead(200, { "content-type": "text/html" })
      .end('<!doctype html><title>engine</title><script type="module" src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return { url: `http://localhost:${port}/`, close: () => server.close() };
}
