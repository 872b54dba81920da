/**
 * A script beside a module, for a thread or process to run: compiled, also where the module itself is run from its source
 * as tests do.
 *
 * @param module - `import.meta.url` of the module.
 * @param name - such as `"./worker.js"`.
 */
export function compiledScript(module: string, name: string): URL {
  const script = new URL(name, module);
  return module.endsWith(".ts") ? new URL(script.href.replace("/lab/src/", "/lab/dist/")) : script;
}
