/**
 * node scripts/precompile.mjs
 *
 * Writes packages/core/src/precompiled/*.data.ts, what the compiler makes of the optimizers that have an entry of
 * their own. Run it after a change to one of them, the planner or the WebAssembly backend; a test compares.
 */

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { root, tool } from "./prepare.mjs";

const folder = new URL("../packages/core/src/precompiled/", import.meta.url);
const { outputFiles } = await build({
  entryPoints: [fileURLToPath(new URL("precompile.ts", folder))],
  bundle: true,
  format: "esm",
  write: false,
  absWorkingDir: root,
});
const source = Buffer.from(outputFiles[0].contents).toString("base64");
const { precompile, PRECOMPILED } = await import(`data:text/javascript;base64,${source}`);

/** Where what a precompiled optimizer runs with comes from. */
const FILES = { operations: "../codegen/operations.ts", runtime: "../runtime/refresh.ts" };

for (const [name, optimizer] of Object.entries(PRECOMPILED)) {
  const { operations, runtime, ...data } = precompile(optimizer());
  const names = {
    operations: Object.keys(operations).join(", "),
    runtime: Object.keys(runtime).join(", "),
  };
  const imports = Object.entries(names).filter(([, list]) => list !== "");
  await writeFile(
    new URL(`${name}.data.ts`, folder),
    `/** Made by scripts/precompile.mjs; precompile.test.ts compares it with what the compiler makes. */

${imports.map(([key, list]) => `import { ${list} } from "${FILES[key]}";`).join("\n")}
import type { Precompiled } from "./precompiled.ts";

export const PRECOMPILED: Precompiled = {
  ${JSON.stringify(data).slice(1, -1)},
  operations: { ${names.operations} },
  runtime: { ${names.runtime} },
};
`,
  );
}
tool("@biomejs/biome/bin/biome", "check", "--write", fileURLToPath(folder));
