/** From a traced function to something that runs: which backend, with what reference beside it. */

import { type Clock, sizeOf } from "@adastra/core";
import type { Executable, InputData } from "./backends/executable.ts";
import { withReference } from "./backends/reference.ts";
import { UnsupportedOpError } from "./errors.ts";
import type { Graph } from "./graph/ir.ts";
import { lower } from "./graph/lower.ts";
import { optimize } from "./graph/passes/optimize.ts";
import type { Signature } from "./signature.ts";
import { slotsOf, type Trace, type Traceable } from "./trace/trace.ts";

/**
 * `"cpu"`: onnxruntime-node on the CPU, in Node. `"wasm"`: onnxruntime-web in WebAssembly. `"webgpu"`: a GPU,
 * by onnxruntime-web in a page and by onnxruntime-node in Node. `"jax"`: jax-js's own WebAssembly backend.
 */
export type BackendName = "cpu" | "wasm" | "webgpu" | "jax";

const BACKENDS: readonly BackendName[] = ["cpu", "wasm", "webgpu", "jax"];

/** A candidate of `"auto"`: milliseconds of a run of the example, or why it does not run here. */
export interface Probe {
  readonly backend: BackendName;
  readonly ms?: number;
  readonly reason?: string;
}

/** What was compiled, and how long each stage took where a clock was passed. */
export interface CompileReport {
  readonly backend: BackendName;
  /** What `"auto"` measured. */
  readonly probes?: readonly Probe[];
  /** The primitive for whose sake it runs on `"jax"` instead of the backend asked for. */
  readonly unsupported?: string;
  /** Graph nodes; undefined on backend `"jax"`. */
  readonly nodes?: number;
  readonly traceMs?: number;
  /** Lowering and passes. */
  readonly lowerMs?: number;
  /** Building the session. */
  readonly sessionMs?: number;
}

export interface PrepareOptions {
  readonly backend?: BackendName | "auto";
  readonly threads?: number;
  readonly assets?: string;
  readonly fallback?: boolean;
  readonly warn?: (message: string) => void;
  readonly clock?: Clock;
}

export interface Prepared extends Trace {
  readonly executable: Executable;
  readonly report: CompileReport;
}

type Times = Partial<Record<"traceMs" | "lowerMs" | "sessionMs", number>>;

/** What every stage reads. */
interface Job {
  readonly where: string;
  readonly traced: Traceable;
  readonly signature: Signature;
  readonly threads: number;
  readonly assets?: string;
  readonly clock?: Clock;
  readonly times: Times;
}

/**
 * @param example - The example's arrays in the traced function's order; `"auto"` runs on them.
 * @throws RangeError for an unknown backend, UnsupportedOpError as `compile` says.
 */
export async function prepare(
  where: string,
  options: PrepareOptions,
  signature: Signature,
  run: () => Traceable,
  example: () => InputData[],
): Promise<Prepared> {
  const { backend = "cpu", threads = 1, fallback = true, warn = console.warn } = options;
  const { assets, clock } = options;
  validate(where, backend, threads, clock);
  const times: Times = {};
  const traced = await timed(times, clock, "traceMs", run);
  const job: Job = {
    where,
    traced,
    signature,
    threads,
    times,
    ...(assets !== undefined && { assets }),
    ...(clock !== undefined && { clock }),
  };
  const finish = (executable: Executable, report: CompileReport): Prepared => {
    const { program, outputs, kept, bounds } = traced;
    return { executable, program, outputs, kept, bounds, report: { ...report, ...times } };
  };
  try {
    if (backend === "auto") {
      const { executable, report } = await fastest(job, example(), clock as Clock); // validated
      return finish(executable, report);
    }
    const { executable, nodes } = await open(job, backend);
    return finish(executable, { backend, ...(nodes !== undefined && { nodes }) });
  } catch (error) {
    if (!(fallback && error instanceof UnsupportedOpError)) {
      throw error;
    }
    const { primitive } = error;
    warn(
      `${where}: backend "${backend}" has no rule for "${primitive}", so all of it runs on jax-js, which is slower; pass fallback: false to refuse that`,
    );
    const { executable } = await open(job, "jax");
    return finish(executable, { backend: "jax", unsupported: primitive });
  }
}

function validate(where: string, backend: string, threads: number, clock: Clock | undefined): void {
  const names = [...BACKENDS, "auto"];
  if (!names.includes(backend)) {
    throw new RangeError(
      `${where}: \`backend\` must be one of ${names.map((name) => `"${name}"`).join(", ")}, got "${backend}"`,
    );
  }
  if (!(Number.isSafeInteger(threads) && threads >= 1)) {
    throw new RangeError(`${where}: \`threads\` must be an integer of at least 1, got ${threads}`);
  }
  if (backend === "auto" && clock === undefined) {
    throw new TypeError(
      `${where}: \`clock\` must be given with backend "auto", got none; pass clock: performance`,
    );
  }
}

interface Opened {
  readonly executable: Executable;
  readonly nodes?: number;
}

async function open(job: Job, backend: BackendName): Promise<Opened> {
  const { traced, signature, clock, times } = job;
  if (backend === "jax") {
    const { createJaxExecutable } = await import("./backends/jax.ts");
    const slots = slotsOf(signature);
    return {
      executable: await timed(times, clock, "sessionMs", () =>
        createJaxExecutable(traced.call, slots),
      ),
    };
  }
  const graph = await timed(times, clock, "lowerMs", () =>
    optimize(lower(traced.program, backend === "webgpu" ? "webgpu" : "cpu")),
  );
  const executable = await timed(times, clock, "sessionMs", () =>
    createExecutable(job, backend, graph),
  );
  const reference = referenceFor(backend);
  return {
    nodes: graph.nodes.length,
    executable:
      reference === undefined
        ? executable
        : withReference(job.where, backend, executable, async () => ({
            name: reference,
            executable: (await open({ ...job, times: {} }, reference)).executable,
          })),
  };
}

/** A graph on one thread of the CPU, wherever this is. */
export function createPlainExecutable(graph: Graph, assets?: string): Promise<Executable> {
  const backend = inNode() ? "cpu" : "wasm";
  return createExecutable({ threads: 1, ...(assets !== undefined && { assets }) }, backend, graph);
}

async function createExecutable(
  { threads, assets }: Pick<Job, "threads" | "assets">,
  backend: Exclude<BackendName, "jax">,
  graph: Graph,
): Promise<Executable> {
  if (backend === "cpu" || (backend === "webgpu" && inNode())) {
    const { createNodeExecutable } = await import("./backends/cpu.node.ts");
    return createNodeExecutable(graph, threads, backend);
  }
  const { createWebExecutable } = await import("./backends/web.ts");
  return createWebExecutable(graph, {
    provider: backend,
    threads,
    ...(assets !== undefined && { assets }),
  });
}

/**
 * What a backend's first run is compared with. In a page `"wasm"` has nothing beside it but jax-js, which
 * takes hundreds of times as long: it runs the CPU provider's own kernels, compiled to WebAssembly.
 */
function referenceFor(backend: BackendName): BackendName | undefined {
  if (backend === "webgpu") {
    return inNode() ? "cpu" : "wasm";
  }
  return backend === "wasm" && inNode() ? "cpu" : undefined;
}

const PROBE_RUNS = 3;

/** The candidate whose quickest of three runs of the example, after one that warms it up, is the quickest. */
async function fastest(
  job: Job,
  inputs: readonly InputData[],
  clock: Clock,
): Promise<Pick<Prepared, "executable" | "report">> {
  const outputs = job.traced.program.outputs.map(({ shape }) => new Float32Array(sizeOf(shape)));
  const probes: Probe[] = [];
  let best: (Opened & { readonly backend: BackendName; readonly ms: number }) | undefined;
  for (const backend of candidates()) {
    let opened: Opened | undefined;
    try {
      opened = await open(job, backend);
      await opened.executable.run(inputs, outputs);
      let ms = Number.POSITIVE_INFINITY;
      for (let run = 0; run < PROBE_RUNS; run++) {
        const started = clock.now();
        await opened.executable.run(inputs, outputs);
        ms = Math.min(ms, clock.now() - started);
      }
      probes.push({ backend, ms });
      const loser = best !== undefined && best.ms <= ms ? opened : best;
      best = loser === opened ? best : { ...opened, backend, ms };
      await loser?.executable.dispose();
    } catch (error) {
      await opened?.executable.dispose();
      if (error instanceof UnsupportedOpError) {
        throw error;
      }
      probes.push({ backend, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  if (best === undefined) {
    throw new Error(
      `${job.where}: backend "auto" must find one that runs here, got none: ${probes.map(({ backend, reason }) => `${backend}: ${reason}`).join("; ")}`,
    );
  }
  const { executable, backend, nodes } = best;
  return { executable, report: { backend, probes, ...(nodes !== undefined && { nodes }) } };
}

function candidates(): readonly BackendName[] {
  if (inNode()) {
    return ["cpu"];
  }
  const { navigator } = globalThis as { navigator?: object };
  return navigator !== undefined && "gpu" in navigator ? ["wasm", "webgpu"] : ["wasm"];
}

function inNode(): boolean {
  return typeof process === "object" && process.versions?.node !== undefined;
}

async function timed<T>(
  times: Times,
  clock: Clock | undefined,
  key: keyof Times,
  stage: () => T | Promise<T>,
): Promise<T> {
  const start = clock?.now();
  const result = await stage();
  if (clock !== undefined && start !== undefined) {
    times[key] = clock.now() - start;
  }
  return result;
}
