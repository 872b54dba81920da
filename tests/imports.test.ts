import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Who may import whom; nothing points up, and the middle packages do not know each other. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  "@adastra/core": [],
  "@adastra/engine": ["@adastra/core"],
  "@adastra/meta": ["@adastra/core"],
  "@adastra/swarm": ["@adastra/core"],
  adastra: ["@adastra/core", "@adastra/engine", "@adastra/meta", "@adastra/swarm"],
};

interface Package {
  readonly name: string;
  readonly folder: string;
  readonly dependencies: readonly string[];
  readonly files: readonly string[];
}

const packages: readonly Package[] = readdirSync(join(root, "packages")).map((entry) => {
  const folder = join(root, "packages", entry);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    name: string;
    dependencies?: Record<string, string>;
    peerDependencies?: Record<string, string>;
  };
  return {
    name: manifest.name,
    folder,
    dependencies: Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }),
    files: readdirSync(join(folder, "src"), { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".ts"))
      .map((file) => join(folder, "src", file)),
  };
});

/** Module names in `import … from "x"`, `export … from "x"` and `import("x")`. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, "utf8").replaceAll(/\/\*[\s\S]*?\*\//g, "");
  const pattern =
    /(?:^|\s)(?:import|export)\s[^;"']*?from\s*["']([^"']+)["']|import\(\s*["']([^"']+)["']|^import\s+["']([^"']+)["']/gm;
  return [...text.matchAll(pattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

const isTest = (file: string): boolean => file.endsWith(".test.ts");

const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

describe.each(packages)("$name", ({ name, folder, dependencies, files }) => {
  const sources = files.filter((file) => !isTest(file));
  const outside = (list: readonly string[]): (readonly [string, string])[] =>
    list.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => !specifier.startsWith("."))
        .map((specifier) => [relative(root, file), specifier] as const),
    );

  it("imports only packages of ours below it", () => {
    const ours = outside(files).filter(([, specifier]) => packageOf(specifier) in ALLOWED);
    const wrong = ours.filter(
      ([, specifier]) =>
        packageOf(specifier) !== name && !ALLOWED[name]?.includes(packageOf(specifier)),
    );
    expect(wrong).toEqual([]);
  });

  it("imports only what its package.json declares", () => {
    const undeclared = outside(sources).filter(
      ([, specifier]) =>
        !specifier.startsWith("node:") && !dependencies.includes(packageOf(specifier)),
    );
    expect(undeclared).toEqual([]);
  });

  it("leaves its sources only through package names, its tests its folder", () => {
    const escapes = files.flatMap((file) =>
      importsOf(file)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => resolve(dirname(file), specifier))
        .filter((target) => !target.startsWith(join(folder, isTest(file) ? "" : "src"))),
    );
    expect(escapes).toEqual([]);
  });

  it("has no cycle among its files", () => {
    const edges = new Map(
      sources.map((file) => [
        file,
        importsOf(file)
          .filter((specifier) => specifier.startsWith("."))
          .map((specifier) => resolve(dirname(file), specifier)),
      ]),
    );
    expect(cycleIn(edges)?.map((file) => relative(root, file))).toBeUndefined();
  });
});

it("TensorFlow.js, an optional peer, is imported in one folder, which nothing else imports", () => {
  const engine = packages.find(({ name }) => name === "@adastra/engine");
  const outside = (engine?.files ?? []).filter((file) => !/[\\/]src[\\/]tfjs[\\/]/.test(file));
  const imports = outside.flatMap(importsOf);
  expect(imports.length).toBeGreaterThan(50);
  expect(imports.filter((specifier) => /@tensorflow|\/tfjs\//.test(specifier))).toEqual([]);
});

it("core imports nothing from Node and nothing from npm", () => {
  const core = packages.find(({ name }) => name === "@adastra/core");
  const sources = core?.files.filter((file) => !isTest(file)) ?? [];
  expect(sources.length).toBeGreaterThan(20);
  const outside = sources.flatMap(importsOf).filter((specifier) => !specifier.startsWith("."));
  expect(outside).toEqual([]);
});

/** A cycle as the files along it, or undefined. Type-only imports count: a cycle of types is one of ideas. */
function cycleIn(edges: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): readonly string[] | undefined => {
    if (path.includes(file)) {
      return [...path.slice(path.indexOf(file)), file];
    }
    if (done.has(file)) {
      return undefined;
    }
    for (const next of edges.get(file) ?? []) {
      const found = visit(next, [...path, file]);
      if (found !== undefined) {
        return found;
      }
    }
    done.add(file);
    return undefined;
  };
  for (const file of edges.keys()) {
    const found = visit(file, []);
    if (found !== undefined) {
      return found;
    }
  }
  return undefined;
}
