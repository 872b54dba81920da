/**
 * Joins ES modules into one script, as far as the page's own code needs it.
 *
 * The page must open from a file, where a module cannot import its neighbour, and the product is built
 * by `tsc` alone, which does not bundle. Each module becomes a function that returns its exports, in
 * the order of their imports; names of different modules stay apart. Understood are the forms that
 * `tsc` writes for code in the house style, each at the start of a line:
 *
 *     import { a, b as c } from "./other.js";
 *     export function f, export async function f, export class C, export const x
 *     export {};
 *
 * Anything else that begins with `import` or `export` is refused, and so is a cycle.
 */

/** Reads a module, named by its path from the folder that `entry` is named from. */
export type ReadModule = (path: string) => string;

export function linkModules(entry: string, read: ReadModule): string {
  const order: string[] = [];
  const bodies = new Map<string, string>();
  const open = new Set<string>();

  function visit(path: string): void {
    if (bodies.has(path)) {
      return;
    }
    if (open.has(path)) {
      throw new Error(`linkModules: imports must not form a cycle, got one through "${path}"`);
    }
    open.add(path);
    const body = wrap(path, read(path), visit);
    bodies.set(path, body);
    order.push(path);
  }

  visit(entry);
  const modules = order.map((path) => `modules[${JSON.stringify(path)}] = ${bodies.get(path)};`);
  return `"use strict";\n(() => {\nconst modules = {};\n${modules.join("\n")}\n})();`;
}

const importForm = /^import \{([^}]*)\} from "(\.[^"]+)";$/gm;
const exportForm = /^export (?=(?:async )?(?:function|class|const) (\w+))/gm;

function wrap(path: string, source: string, visit: (path: string) => void): string {
  const exported: string[] = [];
  const body = source
    .replace(/^\/\/# sourceMappingURL=.*$/gm, "")
    .replace(/^export \{\};$/gm, "")
    .replace(importForm, (_, names: string, from: string) => {
      const target = new URL(from, `file:///${path}`).pathname.slice(1);
      visit(target);
      return `const {${names.replace(/ as /g, ": ")}} = modules[${JSON.stringify(target)}];`;
    })
    .replace(exportForm, (_, name: string) => {
      exported.push(name);
      return "";
    });
  const rest = /^(?:import|export)\b.*$/m.exec(body);
  if (rest !== null) {
    throw new Error(
      `linkModules: "${path}" must import and export by name only, got \`${rest[0]}\``,
    );
  }
  return `(() => {\n${body.trim()}\nreturn { ${exported.join(", ")} };\n})()`;
}
