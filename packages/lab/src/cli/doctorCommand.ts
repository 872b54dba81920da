/** `adastra doctor`: what runs here, what is missing and how to get it. */

import { createRequire } from "node:module";
import { availableParallelism, cpus } from "node:os";
import { adam, compileOptimizer } from "@adastra/core";
import { findMnist, loadMnist, mnistData } from "../data/mnist.ts";
import { exitCodes, type Terminal } from "./terminal.ts";

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Whether a comparison can do without it. */
  readonly optional: boolean;
  /** What was found. */
  readonly detail: string;
  /** How to get what is missing. */
  readonly fix?: string;
}

/** @returns 0 when everything a comparison needs is there, 1 otherwise. */
export async function doctorCommand(
  { json }: { readonly json?: boolean },
  terminal: Terminal,
): Promise<number> {
  const checks = [
    checkNode(process.versions.node),
    ...(["wasm", "js", "evaluate"] as const).map(checkBackend),
    await checkEngine(),
    {
      name: "threads",
      ok: true,
      optional: false,
      detail: `${availableParallelism()} of ${cpus()[0]?.model.trim() ?? "an unknown processor"}: as many trials at a time`,
    },
    checkData(),
  ];
  terminal.out(
    json
      ? `${JSON.stringify({ checks })}\n`
      : checks
          .map(({ name, ok, optional, detail, fix }) => {
            const mark = ok ? "ok     " : optional ? "absent " : "MISSING";
            return `${mark}  ${name.padEnd(19)}  ${detail}${fix === undefined ? "" : `\n${" ".repeat(30)}to get it: ${fix}`}\n`;
          })
          .join(""),
  );
  return checks.every(({ ok, optional }) => ok || optional) ? exitCodes.ok : exitCodes.failed;
}

/** Node from 20.19 on. */
export function checkNode(version: string): Check {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const ok = major > 20 || (major === 20 && minor >= 19);
  return {
    name: "node",
    ok,
    optional: false,
    detail: version,
    ...(!ok && { fix: "install Node 20.19 or later from https://nodejs.org" }),
  };
}

/** Takes one step on the backend. */
function checkBackend(backend: "wasm" | "js" | "evaluate"): Check {
  const name = `optimizer: ${backend}`;
  try {
    const optimizer = compileOptimizer(adam(), {
      params: { x: { shape: [8], data: new Float32Array(8) } },
      learningRate: 0.1,
      backend,
    });
    optimizer.step({ x: Float32Array.from({ length: 8 }, (_, i) => i - 4) });
    return { name, ok: true, optional: backend !== "evaluate", detail: "a step ran" };
  } catch (error) {
    return {
      name,
      ok: false,
      optional: backend !== "evaluate",
      detail: sentence(error),
      fix:
        backend === "wasm"
          ? "run on a processor and Node with WebAssembly SIMD; steps are slower without"
          : "run where code may be generated; steps are slower without",
    };
  }
}

/** Compiles a one-layer model and computes a gradient. */
async function checkEngine(): Promise<Check> {
  const name = "engine: onnxruntime";
  try {
    const { compile } = await import("@adastra/engine");
    const { version } = createRequire(import.meta.url)("onnxruntime-node/package.json") as {
      version: string;
    };
    const w = { shape: [2], data: Float32Array.of(3, 4) };
    const into = { w: { shape: [2], data: new Float32Array(2) } };
    const source = await compile((p) => p.w.square().sum(), { params: { w }, example: {} });
    await source.run({}, { w }, into);
    await source.dispose();
    const [first, second] = into.w.data;
    if (first !== 6 || second !== 8) {
      throw new Error(`the gradient of x² at 3, 4 must be 6, 8, got ${first}, ${second}`);
    }
    return {
      name,
      ok: true,
      optional: false,
      detail: `onnxruntime-node ${version}, a gradient ran`,
    };
  } catch (error) {
    return {
      name,
      ok: false,
      optional: false,
      detail: sentence(error),
      fix: "run npm ci on Linux, macOS or Windows, x64 or arm64",
    };
  }
}

/** Reads MNIST, hashes included. */
function checkData(): Check {
  const name = "data: mnist";
  try {
    const folder = findMnist();
    const { train, test } = loadMnist({ folder });
    const hash = mnistData[0]?.sha256.slice(0, 12);
    return {
      name,
      ok: true,
      optional: false,
      detail: `${train.count} + ${test.count} images in ${folder}, SHA-256 ${hash}... as published`,
    };
  } catch (error) {
    return {
      name,
      ok: false,
      optional: false,
      detail: sentence(error),
      fix: "run npm ci, or set ADASTRA_DATA_DIR to a folder with the four IDX files",
    };
  }
}

function sentence(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
