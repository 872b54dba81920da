/** How an answer of the device becomes a result or one clear error: error scopes, and watching for its loss. */

import type { GpuDevice, GpuErrorFilter } from "./device.ts";
import { GpuDeviceLostError, GpuRefusalError, type Refusal } from "./errors.ts";

/** The outermost first; of several errors the innermost explains the others. */
const SCOPES: readonly GpuErrorFilter[] = ["validation", "internal", "out-of-memory"];

/** Issues commands inside error scopes: what `issue` returned, and the first error the scopes caught. */
export function scoped<T>(
  device: GpuDevice,
  issue: () => T,
): readonly [T, Promise<Refusal | undefined>] {
  for (const scope of SCOPES) {
    device.pushErrorScope(scope);
  }
  const pop = (kind: GpuErrorFilter): Promise<Refusal | undefined> =>
    device.popErrorScope().then(
      (error) => (error === null ? undefined : { kind, message: error.message }),
      // A lost device has no scopes; the loss is reported on its own.
      () => undefined,
    );
  let result: T;
  try {
    result = issue();
  } catch (error) {
    for (const scope of SCOPES) {
      void pop(scope);
    }
    throw error;
  }
  const refusals = Promise.all(SCOPES.toReversed().map(pop));
  return [result, refusals.then((found) => found.find((refusal) => refusal !== undefined))];
}

/** Whether the device is still there, and the executor on it; tells those that wait for an answer when not. */
export class Watch {
  /** Batches that ran to the end and were answered. */
  complete = 0;
  private readonly device: GpuDevice;
  private lost: { readonly reason: string; readonly message: string } | undefined;
  private ended = false;
  private readonly waiting = new Set<() => void>();

  constructor(device: GpuDevice) {
    this.device = device;
    void device.lost.then((lost) => {
      this.lost = lost;
      this.giveUp();
    });
  }

  /** The executor is destroyed. */
  end(): void {
    this.ended = true;
    this.giveUp();
  }

  /** @throws GpuDeviceLostError when the device is known to be lost; Error when the executor is destroyed. */
  check(where: string): void {
    if (this.lost !== undefined) {
      throw new GpuDeviceLostError(where, this.lost, this.complete);
    }
    if (this.ended) {
      throw new Error(
        `${where}: the executor must stay until results are read, got destroy(); create a new one`,
      );
    }
  }

  /** The device's answer; rejects as `check` throws when the end comes first, or is the reason for a refusal. */
  async answer<T>(where: string, promise: Promise<T>): Promise<T> {
    let giveUp = (): void => undefined;
    const end = new Promise<never>((_, reject) => {
      giveUp = () => reject(new Error("nobody will answer"));
    });
    this.waiting.add(giveUp);
    try {
      const answer = await Promise.race([promise, end]);
      this.check(where);
      return answer;
    } catch (error) {
      this.check(where);
      // A refusal may arrive before the news of the loss that caused it; the queue answers after both.
      await this.device.queue.onSubmittedWorkDone().catch(() => undefined);
      this.check(where);
      throw error;
    } finally {
      this.waiting.delete(giveUp);
    }
  }

  /** @throws GpuRefusalError when the error scopes around `what` caught something. */
  async accept(where: string, what: string, refusal: Promise<Refusal | undefined>): Promise<void> {
    const refused = await this.answer(where, refusal);
    if (refused !== undefined) {
      throw new GpuRefusalError(where, { what, refusal: refused });
    }
  }

  private giveUp(): void {
    for (const giveUp of this.waiting) {
      giveUp();
    }
  }
}
