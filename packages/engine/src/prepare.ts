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
  readonly replicas?: number;
  readonly assets?: string;
  readonly fallback?: boolean;
  readonly warn?: (message: string) => void;
  readonly clock?: Clock;
}

export interface Prepared extends Trace {
  readonly executable: Executable;
  readonly report: CompileReport;
}

type Times = Pick<CompileReport, "traceMs" | "lowerMs" | "sessionMs">;

/** What every stage reads. */
interface Job {
  readonly where: string;
  readonly traced: Traceable;
  readonly signature: Signature;
  readonly threads: number;
  readonly replicas: number;
  readonly assets?: string;
  readonly clock?: Clock;
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
  const { replicas = 1, assets, clock } = options;
  validate(where, backend, threads, clock);
  const [traced, traceTime] = await timed(clock, "traceMs", run);
  const job: Job = {
    where,
    traced,
    signature,
    threads,
    replicas,
    ...(assets !== undefined && { assets }),
    ...(clock !== undefined && { clock }),
  };
  const finish = ({ executable, report }: Opened): Prepared => {
    const { program, outputs, kept, bounds } = traced;
    return { executable, program, outputs, kept, bounds, report: { ...report, ...traceTime } };
  };
  try {
    return finish(
      backend === "auto"
        ? await fastest(job, example(), clock as Clock) // validated
        : await open(job, backend),
    );
  } catch (error) {
    if (!(fallback && replicas === 1 && error instanceof UnsupportedOpError)) {
      throw error;
    }
    const { primitive } = error;
    warn(
      `${where}: backend "${backend}" has no rule for "${primitive}", so all of it runs on jax-js, which is slower; pass fallback: false to refuse that`,
    );
    const { executable, report } = await open(job, "jax");
    return finish({ executable, report: { ...report, unsupported: primitive } });
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

/** A backend ready to run, and what its report says of it. */
interface Opened {
  readonly executable: Executable;
  readonly report: CompileReport;
}

async function open(job: Job, backend: BackendName): Promise<Opened> {
  const { traced, signature, clock } = job;
  if (backend === "jax") {
    const { createJaxExecutable } = await import("./backends/jax.ts");
    const slots = slotsOf(signature);
    const [executable, sessionTime] = await timed(clock, "sessionMs", () =>
      createJaxExecutable(traced.call, slots),
    );
    return { executable, report: { backend, ...sessionTime } };
  }
  const [graph, lowerTime] = await timed(clock, "lowerMs", () =>
    optimize(lower(traced.program, backend === "webgpu" ? "webgpu" : "cpu")),
  );
  const [executable, sessionTime] = await timed(clock, "sessionMs", () =>
    job.replicas > 1 ? createReplicas(job, graph) : createExecutable(job, backend, graph),
  );
  const reference = referenceFor(backend);
  return {
    report: { backend, nodes: graph.nodes.length, ...lowerTime, ...sessionTime },
    executable:
      reference === undefined
        ? executable
        : withReference(job.where, backend, executable, async () => ({
            name: reference,
            executable: (await open(job, reference)).executable,
          })),
  };
}

/** A graph on one thread of the CPU, wherever this is. */
export function createPlainExecutable(graph: Graph, assets?: string): Promise<Executable> {
  const backend = inNode() ? "cpu" : "wasm";
  return createExecutable({ threads: 1, ...(assets !== undefined && { assets }) }, backend, graph);
}

/** On backend "cpu" in Node, as was checked: each copy on its part of the rows of a batch. */
async function createReplicas(
  { replicas, threads, signature }: Job,
  graph: Graph,
): Promise<Executable> {
  const { createReplicas: create } = await import("./backends/replicas.node.ts");
  const { params, batch, state } = signature;
  const byRows = [params, batch, state].flatMap((slots) => slots.map(() => slots === batch));
  return create(graph, { replicas, threads, byRows });
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

/** The candidate that runs the example in the least time; the others are disposed of. */
async function fastest(job: Job, inputs: readonly InputData[], clock: Clock): Promise<Opened> {
  const tried: (Running | Failed)[] = [];
  for (const backend of candidates()) {
    tried.push(await probe(job, backend, inputs, clock));
  }
  const running = tried.filter((each) => "executable" in each);
  const [best, ...others] = running.toSorted((a, b) => a.ms - b.ms);
  await Promise.all(others.map(({ executable }) => executable.dispose()));
  if (best === undefined) {
    throw nothingRuns(
      job.where,
      tried.filter((each) => "error" in each),
    );
  }
  const probes = tried.map(
    (each): Probe =>
      "error" in each
        ? { backend: each.backend, reason: messageOf(each.error) }
        : { backend: each.report.backend, ms: each.ms },
  );
  return { executable: best.executable, report: { ...best.report, probes } };
}

interface Running extends Opened {
  readonly ms: number;
}

interface Failed {
  readonly backend: BackendName;
  readonly error: unknown;
}

const PROBE_RUNS = 3;

/** The quickest of three runs of the example, after one that warms it up and is checked. */
async function probe(
  job: Job,
  backend: BackendName,
  inputs: readonly InputData[],
  clock: Clock,
): Promise<Running | Failed> {
  const outputs = job.traced.program.outputs.map(({ shape }) => new Float32Array(sizeOf(shape)));
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
    return { ...opened, ms };
  } catch (error) {
    await opened?.executable.dispose();
    return { backend, error };
  }
}

/** A primitive without a rule is the model's matter, whatever else is missing here. */
function nothingRuns(where: string, failures: readonly Failed[]): Error {
  const unsupported = failures.find(({ error }) => error instanceof UnsupportedOpError);
  if (unsupported !== undefined) {
    return unsupported.error as UnsupportedOpError; // as found
  }
  const reasons = failures.map(({ backend, error }) => `${backend}: ${messageOf(error)}`);
  return new Error(
    `${where}: backend "auto" must find one that runs here, got none: ${reasons.join("; ")}`,
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function candidates(): readonly BackendName[] {
  if (inNode()) {
    return ["cpu"];
  }
  const { navigator } = globalThis as { navigator?: object };
  return navigator !== undefined && "gpu" in navigator ? ["wasm", "webgpu"] : ["wasm"];
}

export function inNode(): boolean {
  return typeof process === "object" && process.versions?.node !== undefined;
}

/** What a stage returns, and its time by name where there is a clock. */
async function timed<T>(
  clock: Clock | undefined,
  key: keyof Times,
  stage: () => T | Promise<T>,
): Promise<readonly [T, Times]> {
  const start = clock?.now();
  const result = await stage();
  return [result, clock === undefined || start === undefined ? {} : { [key]: clock.now() - start }];
}
