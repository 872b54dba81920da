/** Errors of the GPU that callers branch on. */

import type { GpuErrorFilter } from "./device.ts";

/**
 * The device is gone, and with it every arena: nothing of them can be read any more, and nobody can say how far a
 * batch came that had not resolved. What resolved before was complete. The executor refuses all later calls with
 * this error; go on with a new device, a new executor, and the values read last.
 */
export class GpuDeviceLostError extends Error {
  readonly code = "GPU_DEVICE_LOST";
  /** "destroyed" when the program ended the device, else "unknown". */
  readonly reason: string;
  /** Batches that had resolved before the loss. */
  readonly batches: number;

  constructor(where: string, lost: { reason: string; message: string }, batches: number) {
    super(
      `${where}: the GPU device must stay until results are read, got its loss (${lost.reason}: ${sentence(lost.message)}) after ${batches} complete batches; create device and executor anew and write back what was read last`,
    );
    this.name = "GpuDeviceLostError";
    this.reason = lost.reason;
    this.batches = batches;
  }
}

/**
 * The GPU refused a kernel, an allocation or a batch. Nothing of it was executed and arenas are as they were; the
 * executor, if there was one, stays usable.
 */
export class GpuRefusalError extends Error {
  readonly code = "GPU_REFUSED";
  readonly kind: GpuErrorFilter;
  /** The kernel whose shader or pipeline was refused. */
  readonly kernel: string | undefined;

  constructor(
    where: string,
    { what, kernel, refusal }: { what: string; kernel?: string; refusal: Refusal },
  ) {
    const { kind, message, cause } = refusal;
    super(`${where}: the GPU must accept ${what}, got the ${kind} error: ${sentence(message)}`, {
      cause,
    });
    this.name = "GpuRefusalError";
    this.kind = kind;
    this.kernel = kernel;
  }
}

export interface Refusal {
  readonly kind: GpuErrorFilter;
  readonly message: string;
  readonly cause?: unknown;
}

/** What an implementation says, in one line without a full stop. */
function sentence(message: string): string {
  return message.trim().replaceAll(/\s+/g, " ").replace(/\.$/, "");
}
