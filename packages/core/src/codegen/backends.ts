/** Which backend runs here. */

import { requireOneOf } from "../errors.ts";
import { evaluateBackend } from "./interpreter.ts";
import { jsBackend } from "./js.ts";
import type { Backend, Kernel } from "./kernel.ts";
import { wasmBackend } from "./wasm/backend.ts";

/** From the fastest; the last runs everywhere. */
const BACKENDS: readonly Backend[] = [wasmBackend, jsBackend, evaluateBackend];

/** Negates one element: what a backend must manage to be taken. */
const PROBE: Kernel = {
  name: "probe",
  streams: ["x"],
  scalars: [],
  body: [
    { op: "load", stream: 0 },
    { op: "neg", a: 0 },
  ],
  stores: [{ stream: 0, value: 1 }],
  reductions: [],
};

/**
 * The backend of a name, or with `"auto"` the fastest that runs: wasm, else js, else evaluate.
 *
 * Whether one runs is tried, not guessed: engines without SIMD and Content-Security-Policies without
 * `wasm-unsafe-eval` or `unsafe-eval` refuse a kernel when it is compiled.
 *
 * @throws RangeError when a backend asked for by name does not run here, with the engine's reason.
 */
export function chooseBackend(name: "auto" | Backend["name"]): Backend {
  requireOneOf("chooseBackend", "backend", name, ["auto", "wasm", "js", "evaluate"]);
  if (name === "auto") {
    return BACKENDS.find((backend) => refusal(backend) === undefined) ?? evaluateBackend;
  }
  const backend = BACKENDS.find((each) => each.name === name) ?? evaluateBackend;
  const cause = refusal(backend);
  if (cause !== undefined) {
    throw new RangeError(
      `chooseBackend: backend "${name}" must run here, got ${cause.message}; pass "auto" to fall back`,
      { cause },
    );
  }
  return backend;
}

/** Names of the backends that run here, fastest first. */
export function availableBackends(): Backend["name"][] {
  return BACKENDS.filter((backend) => refusal(backend) === undefined).map(({ name }) => name);
}

/** Why a backend does not run here; undefined when it does. */
function refusal(backend: Backend): Error | undefined {
  try {
    const memory = backend.allocate(4096);
    const x = new Float32Array(memory.buffer, 2048, 1);
    x[0] = 1;
    const [kernel] = backend.load([PROBE], "float32", memory, 0);
    if (kernel !== undefined) {
      kernel.frame.count[0] = 1;
      kernel.frame.pointers[0] = 2048;
      kernel.run();
    }
    return x[0] === -1 ? undefined : new Error("a wrong result");
  } catch (cause) {
    return cause instanceof Error ? cause : new Error(String(cause));
  }
}
