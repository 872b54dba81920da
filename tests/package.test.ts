import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build, transformSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));
const NAMES = ["core", "engine", "meta", "swarm", "lab"] as const;

/** TypeScript blocks of the README, and the example files that they must show word for word. */
const EXAMPLES = [
  "examples/train.ts",
  "examples/ownOptimizer.ts",
  "examples/tfjs.ts",
  "examples/jax.ts",
] as const;

/** What each example prints in the end. */
const OUTPUT = /(step|epoch) \d+: loss 0\.0\d+|x after 200 steps/;

/**
 * An empty project with the packed packages installed. It lies below the repository's node_modules, so that
 * dependencies from npm are found there without a network; our packages come from the packed files alone.
 */
let project: string;

beforeAll(() => {
  const cache = join(root, "node_modules", ".cache");
  mkdirSync(cache, { recursive: true });
  project = mkdtempSync(join(cache, "adastra-package-"));
  writeFileSync(join(project, "package.json"), '{ "type": "module", "private": true }');
  for (const folder of NAMES) {
    const packed = join(root, "packages", folder);
    const [{ filename }] = JSON.parse(
      execFileSync("npm", ["pack", "--json", "--pack-destination", project], {
        cwd: packed,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        shell: process.platform === "win32",
      }),
    ) as [{ filename: string }];
    const { name } = JSON.parse(readFileSync(join(packed, "package.json"), "utf8")) as {
      name: string;
    };
    const target = join(project, "node_modules", name);
    mkdirSync(target, { recursive: true });
    execFileSync("tar", ["-xzf", join(project, filename), "-C", target, "--strip-components=1"]);
  }
}, 60_000);

afterAll(() => {
  rmSync(project, { recursive: true, force: true });
});

function node(...args: string[]): string {
  return execFileSync(process.execPath, args, { cwd: project, encoding: "utf8" });
}

/** TensorFlow.js publishes parts of itself, its gradients among them, for bundlers alone. */
async function bundleForNode(from: string, to: string): Promise<void> {
  await build({
    entryPoints: [join(project, from)],
    outfile: join(project, to),
    bundle: true,
    format: "esm",
    platform: "node",
    mainFields: ["module", "main"],
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "silent",
  });
}

describe("the packed packages", () => {
  it("hold the built files and no sources or tests", () => {
    for (const name of NAMES.map((folder) =>
      folder === "lab" ? "adastra" : `@adastra/${folder}`,
    )) {
      const files = readdirSync(join(project, "node_modules", name), {
        recursive: true,
        encoding: "utf8",
      });
      expect(files).toContain(join("dist", "index.js"));
      expect(files).toContain(join("dist", "index.d.ts"));
      expect(files.filter((file) => /\.test\.|^src/.test(file))).toEqual([]);
    }
  });

  it("import in an empty project", () => {
    const script = `
      const core = await import("@adastra/core");
      const checkpoint = await import("@adastra/core/checkpoint");
      const engine = await import("@adastra/engine");
      const lab = await import("adastra");
      const { toJax } = await import("@adastra/engine/jax");
      const { fromOnnx } = await import("@adastra/engine/onnx");
      const { startTraining } = await import("@adastra/engine/worker");
      const { toTf } = await import("@adastra/engine/tfjs");
      const bench = await import("adastra/bench");
      const data = await import("adastra/data");
      const { adashift, encodeCheckpoint } = { ...core, ...checkpoint };
      const found = [adashift, encodeCheckpoint, engine.compile, bench.interleave, toJax, toTf, startTraining, fromOnnx];
      const types = [...found, data.loadMnist].map((name) => typeof name);
      console.log([...types, core.encodeCheckpoint, Object.keys(lab).length > 0].join());`;
    expect(node("--input-type=module", "-e", script).trim()).toBe(
      "function,function,function,function,function,function,function,function,function,,true",
    );
  });

  it("bring the command", () => {
    const main = join("node_modules", "adastra", "bin", "adastra.mjs");
    expect(node(main, "--help")).toContain("compare");
  });

  /** Holds an example to the packages' types as published; returns the file to run. */
  async function compiled(file: string, types: readonly string[] = []): Promise<string> {
    const source = readFileSync(join(root, file), "utf8");
    const name = file.replaceAll(/\W/g, "_");
    writeFileSync(join(project, `${name}.ts`), source);
    writeFileSync(
      join(project, "tsconfig.json"),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          noEmit: true,
          module: "NodeNext",
          target: "ES2022",
          lib: ["ES2023", "DOM"],
          types,
          skipLibCheck: true,
        },
        files: [`${name}.ts`],
      }),
    );
    node(join(root, "node_modules", "typescript", "bin", "tsc"), "-p", ".");
    if (source.includes("@tensorflow")) {
      await bundleForNode(`${name}.ts`, `${name}.mjs`);
    } else {
      const { code } = transformSync(source, { loader: "ts", format: "esm" });
      writeFileSync(join(project, `${name}.mjs`), code);
    }
    return `${name}.mjs`;
  }

  it.each(EXAMPLES)("run %s, typed as published", async (file) => {
    expect(node(await compiled(file))).toMatch(OUTPUT);
  });

  it("run examples/resume.ts, typed as published, which goes on where it stopped", async () => {
    const main = await compiled("examples/resume.ts", ["node"]);
    expect(node(main)).toMatch(/^x after 100 steps: \d\.\d\d, \d\.\d\d\n$/);
    expect(node(main)).toMatch(/^resumed at step 100\nx after 200 steps: \d\.\d\d, \d\.\d\d\n$/);
  });
});

describe("the README", () => {
  const readme = readFileSync(join(root, "README.md"), "utf8");

  it("shows the example files word for word", () => {
    const blocks = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
    expect(blocks).toEqual(EXAMPLES.map((file) => readFileSync(join(root, file), "utf8")));
  });

  it("names files that exist", () => {
    const links = [...readme.matchAll(/\]\(((?!http)[^)#]+)\)/g)].map(
      (match) => match[1] as string,
    );
    const missing = links.filter((link) => {
      try {
        readFileSync(join(root, link));
        return false;
      } catch {
        return true;
      }
    });
    expect(missing).toEqual([]);
  });
});

describe("bundles", () => {
  const bundled = async (source: string): Promise<{ bytes: number; text: string }> => {
    const result = await build({
      stdin: { contents: source, resolveDir: project, loader: "js" },
      bundle: true,
      minify: true,
      format: "esm",
      write: false,
      logLevel: "silent",
    });
    const text = result.outputFiles[0]?.text ?? "";
    return { bytes: gzipSync(text).length, text };
  };

  // Ceilings in bytes of gzip: a few percent above what stands, so that growth is a decision.
  it.each([
    ["everything", 'export * from "@adastra/core";', 55_000],
    ["Adam bound to parameters", 'export { adam, compileOptimizer } from "@adastra/core";', 31_000],
    ["checkpoints", 'export * from "@adastra/core/checkpoint";', 9_300],
    [
      "weights as safetensors",
      'export { writeSafetensors } from "@adastra/core/checkpoint";',
      1_500,
    ],
    ["Adam compiled in advance", 'export * from "@adastra/core/adam";', 9_500],
    ["AdamW compiled in advance", 'export * from "@adastra/core/adamw";', 9_600],
    ["AdaShift compiled in advance", 'export * from "@adastra/core/adashift";', 11_300],
    ["momentum compiled in advance", 'export * from "@adastra/core/momentum";', 8_800],
    ["one schedule alone", 'export { cosine } from "@adastra/core";', 730],
    ["optimizers on WebGPU", 'export * from "@adastra/core/webgpu";', 28_700],
    [
      "kernels on WebGPU",
      'export { createGpuExecutor, emitWgsl } from "@adastra/core/webgpu";',
      7_700,
    ],
    ["threads", 'export * from "@adastra/core/threads";', 7_400],
    ["the seeded generator alone", 'export { mulberry32 } from "@adastra/core";', 340],
  ])("of core, %s: at most the ceiling, nothing from Node", async (_, source, ceiling) => {
    const { bytes, text } = await bundled(source);
    expect(bytes).toBeLessThanOrEqual(ceiling);
    expect(text).not.toMatch(/node:|require\(/);
  });

  it("leave out optimizers that are not used", async () => {
    const { text } = await bundled('export { adam, compileOptimizer } from "@adastra/core";');
    expect(text).not.toContain("fastAdaBelief");
    expect(text).not.toContain("adashift");
    expect(text).not.toContain("reduceOnPlateau");
  });

  it("leave out what runs words of the language that are not used", async () => {
    const small = await bundled('export { adam, compileOptimizer } from "@adastra/core";');
    const large = await bundled('export * from "@adastra/core";');
    // A coefficient of exp, kernels of matrix products and of state in 8 bits, errors of masks and of `chain`.
    for (const own of [
      ".16666543",
      "tile_",
      "pack_stochastic",
      "must take at least one leaf",
      "chain: ",
    ]) {
      expect(large.text).toContain(own);
      expect(small.text).not.toContain(own);
    }
  });
});
