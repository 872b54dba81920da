/**
 * What a page or program and its training worker tell each other.
 *
 *     worker   ready ─▶                 steps ─▶            steps ─▶ ...    paused ─▶        done or failed ─▶
 *     owner          start ─▶               ◀─ seen             ◀─ seen       pause ─▶ resume ─▶ stop ─▶
 *
 * Reports wait in the worker until the owner has seen those before: a busy owner gets more at a time, and none is lost.
 */

import type { EpochReport, StepReport } from "../fit/report.ts";

export type ToWorker =
  | { readonly kind: "start"; readonly data: unknown }
  | { readonly kind: "seen" | "pause" | "resume" | "stop" };

export type Report =
  | { readonly kind: "step"; readonly report: StepReport }
  | { readonly kind: "epoch"; readonly report: EpochReport };

export type FromWorker =
  | { readonly kind: "ready" | "paused" }
  | { readonly kind: "reports"; readonly reports: readonly Report[] }
  | { readonly kind: "done"; readonly result: unknown }
  | { readonly kind: "failed"; readonly error: SentError };

/** An error as plain data: what it says, and its fields that can be sent. */
export interface SentError {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function toSent(error: unknown): SentError {
  if (!(error instanceof Error)) {
    return { name: "Error", message: String(error), fields: {} };
  }
  const { name, message, stack } = error;
  const fields = Object.entries(error).filter(([, value]) => isSendable(value));
  return {
    name,
    message,
    ...(stack !== undefined && { stack }),
    fields: Object.fromEntries(fields),
  };
}

/** An Error with the name, text, stack and fields of the one that was sent, such as `code`. */
export function fromSent({ name, message, stack, fields }: SentError): Error {
  return Object.assign(new Error(message), fields, { name }, stack === undefined ? {} : { stack });
}

function isSendable(value: unknown): boolean {
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
}
