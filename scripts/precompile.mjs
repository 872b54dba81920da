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

/** Where the parts of the runtime that a precompiled optimizer may bring come from. */
const PARTS = {
  hostMemory: "../runtime/hostState.ts",
  refreshed: "../runtime/refresh.ts",
};

for (const [name, optimizer] of Object.entries(PRECOMPILED)) {
  const { operations, runtime, ...data } = precompile(optimizer());
  const names = {
    operations: Object.keys(operations).join(", "),
    runtime: Object.keys(runtime).join(", "),
  };
  const imports = [
    ...(names.operations === ""
      ? []
      : [`import { ${names.operations} } from "../codegen/operations.ts";`]),
    ...Object.keys(runtime).map((part) => `import { ${part} } from "${PARTS[part]}";`),
  ];
  await writeFile(
    new URL(`${name}.data.ts`, folder),
    `/** Made by scripts/precompile.mjs; precompile.test.ts compares it with what the compiler makes. */

${imports.join("\n")}
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
