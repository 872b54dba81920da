import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";
import { expect, test } from "vitest";
import { pageAssets } from "./clientScript.ts";
import { linkModules } from "./linkModules.ts";

/** The names of the functions and classes of a script, in their order. */
function declared(script: string): string[] {
  return [...script.matchAll(/^(?:async )?(?:function|class) (\w+)/gm)].map((found) => found[1]!);
}

test("what tsc emits is joined to the same script as what the tests run", () => {
  const source = fileURLToPath(new URL("..", import.meta.url));
  const out = mkdtempSync(join(tmpdir(), "adastra-client-"));
  const require = createRequire(import.meta.url);
  const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
  try {
    const settings =
      "--ignoreConfig --noCheck --module nodenext --target es2022 --rewriteRelativeImportExtensions";
    execFileSync(process.execPath, [
      tsc,
      join(source, "report", "client", "main.ts"),
      ...settings.split(" "),
      "--rootDir",
      source,
      "--outDir",
      out,
    ]);
    expect(existsSync(join(out, "report", "client", "main.js"))).toBe(true);
    const built = linkModules("report/client/main.js", (path) =>
      readFileSync(join(out, path), "utf8"),
    );
    const tested = pageAssets().scripts.at(-1)!;
    expect(() => new Script(built)).not.toThrow();
    expect(declared(built)).toContain("Dashboard");
    expect(declared(built)).toEqual(declared(tested));
  } finally {
    rmSync(out, { recursive: true });
  }
});
