/** A worker's module as a URL: threads of Node 20 load no TypeScript. */

import { build } from "esbuild";

/** @param entry - From the root of the repository. */
export async function bundledWorker(entry: string): Promise<URL> {
  const { outputFiles } = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    conditions: ["@adastra/source"],
    packages: "external",
    alias: { "@adastra/core": "./packages/core/src/index.ts" },
  });
  // A data URL resolves no packages, so the few imports of the bundle are made absolute.
  const code = (outputFiles[0]?.text ?? "").replaceAll(
    /(from |import\()"(@?[a-z][^"]*)"/g,
    (_, before: string, name: string) =>
      `${before}"${name.startsWith("node:") ? name : import.meta.resolve(name)}"`,
  );
  return new URL(`data:text/javascript,${encodeURIComponent(code)}`);
}
