/**
 * node scripts/bundleSizes.mjs
 *
 * Prints the tables of docs/bundle-size.md: what imports of @adastra/core cost as a bundle, and what its parts add to
 * a bundle of everything. Bytes of gzip of what esbuild minifies; of a part, what the bundle loses without its text.
 */

import { gzipSync } from "node:zlib";
import { build, transform } from "esbuild";
import { root } from "./prepare.mjs";

const core = (names) => `export { ${names} } from "@adastra/core";`;

const IMPORTS = [
  ["@adastra/core/adam", 'export * from "@adastra/core/adam";'],
  ["@adastra/core/adashift", 'export * from "@adastra/core/adashift";'],
  ["compileOptimizer", core("compileOptimizer")],
  ["compileOptimizer, sgd", core("compileOptimizer, sgd")],
  ["compileOptimizer, adam", core("compileOptimizer, adam")],
  ["… and cosine", core("compileOptimizer, adam, cosine")],
  ["… and group", core("compileOptimizer, adam, group")],
  ["… and chain, clipByGlobalNorm", core("compileOptimizer, adam, chain, clipByGlobalNorm")],
  ["… and compress", core("compileOptimizer, adam, compress")],
  ["compileOptimizer, muon", core("compileOptimizer, muon")],
  ["compileOptimizer, cpropAdam", core("compileOptimizer, cpropAdam")],
  ["compileOptimizer, adashift", core("compileOptimizer, adashift")],
  ["everything", 'export * from "@adastra/core";'],
];

const PARTS = [
  [
    "planner",
    /^codegen\/(plan|passes|levels|demand|twins|specialise|windows|kernelBuilder|host|operations|names)\b/,
  ],
  ["backend wasm", /^codegen\/(wasm\/|memory)/],
  ["backend js", /^codegen\/(js|format|backends)\b/],
  ["backend evaluate", /^codegen\/interpreter\b/],
  ["expressions", /^expr\/(build|node|rewrite|verify|bf16|draw)\b/],
  ["functions of elements", /^expr\/math\b/],
  ["matrix products", /^(runtime\/matrixStages|expr\/newtonSchulz)\b/],
  ["8 bits", /^(runtime\/packing|codegen\/packing|expr\/int8|transforms\/formats)\b/],
  [
    "binding and runtime",
    /^(binding|compileOptimizer|state|arena|tree|errors|optimizer\.|contracts|random|codegen\/kernel|runtime\/(?!inspection|sample|packing|matrixStages))/,
  ],
  ["inspection", /^(inspect|runtime\/(inspection|sample))\b/],
  ["optimizers", /^optimizers\//],
  ["transforms", /^transforms\/(?!formats)/],
  ["schedules", /^schedules\//],
  ["guard, diagnose", /^(guard|diagnose)\b/],
];

const gzip = (text) => gzipSync(text).length;

async function bundle(contents, options) {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root, loader: "js" },
    bundle: true,
    format: "esm",
    write: false,
    conditions: ["@adastra/source"],
    ...options,
  });
  return outputFiles[0].text;
}

/** The modules of a bundle, each with its minified text. */
async function modulesOf(contents) {
  const text = await bundle(contents, { minifyIdentifiers: true, minifySyntax: true });
  const [, ...pieces] = text
    .replace(/^export \{[^}]*\};$/m, "")
    .split(/^\/\/ packages\/core\/src\/(.*)$/m);
  const modules = [];
  for (let i = 0; i < pieces.length; i += 2) {
    const { code } = await transform(pieces[i + 1], { minifyWhitespace: true });
    modules.push([pieces[i], code]);
  }
  return modules;
}

function row(...cells) {
  console.log(`| ${cells.join(" | ")} |`);
}

row("import", "minified", "gzip");
row("---", "---:", "---:");
for (const [name, source] of IMPORTS) {
  const text = await bundle(source, { minify: true });
  row(
    name.startsWith("…") || name === "everything" ? name : `\`${name}\``,
    text.length,
    gzip(text),
  );
}

const modules = await modulesOf('export * from "@adastra/core";');
const textOf = (some) => some.map(([, code]) => code).join("");
const whole = gzip(textOf(modules));
const partOf = (file) => PARTS.find(([, pattern]) => pattern.test(file))?.[0] ?? "the rest";
console.log();
row("part", "minified", "gzip");
row("---", "---:", "---:");
for (const name of [...PARTS.map(([part]) => part), "the rest"]) {
  const own = modules.filter(([file]) => partOf(file) === name);
  const others = modules.filter(([file]) => partOf(file) !== name);
  row(name, textOf(own).length, whole - gzip(textOf(others)));
}
row("all", textOf(modules).length, whole);
const rest = modules.filter(([file]) => partOf(file) === "the rest").map(([file]) => file);
if (rest.length > 0) {
  console.log(`\nThe rest: ${rest.join(", ")}`);
}
