/** Numbers from the device's memory to the host's: buffers that can be mapped, used again when they are small. */

import {
  type GpuBuffer,
  type GpuCommandEncoder,
  type GpuDevice,
  MAP_READ,
  USAGE_COPY_DST,
  USAGE_MAP_READ,
} from "./device.ts";
import type { Refusal } from "./errors.ts";
import type { Watch } from "./guard.ts";

/** A device buffer that knows its size. */
export interface Sized {
  readonly buffer: GpuBuffer;
  readonly bytes: number;
}

/** Buffers up to this size have a power of two and are used again; larger ones fit exactly. */
const REUSED_BYTES = 2 ** 20;

/** A buffer of at least so many bytes. */
export function allocate(device: GpuDevice, label: string, least: number, usage: number): Sized {
  const bytes = least > REUSED_BYTES ? least : Math.max(256, 2 ** Math.ceil(Math.log2(least)));
  return { buffer: device.createBuffer({ label, size: bytes, usage }), bytes };
}

/** A copy that has been submitted. */
export interface Copy {
  readonly target: Sized;
  readonly bytes: number;
  readonly mapping: Promise<void>;
}

export class Readback {
  private readonly device: GpuDevice;
  private readonly watch: Watch;
  private readonly idle: Sized[] = [];
  private readonly busy = new Set<Sized>();

  constructor(device: GpuDevice, watch: Watch) {
    this.device = device;
    this.watch = watch;
  }

  /** Submits commands, and after them a copy of `bytes` bytes from byte `at`. */
  submit(commands: GpuCommandEncoder, from: GpuBuffer, at: number, bytes: number): Copy {
    const fitting = this.idle.findIndex((each) => each.bytes >= bytes);
    const target =
      this.idle.splice(fitting, fitting < 0 ? 0 : 1)[0] ??
      allocate(this.device, "readback", bytes, USAGE_MAP_READ | USAGE_COPY_DST);
    this.busy.add(target);
    commands.copyBufferToBuffer(from, at, target.buffer, 0, bytes);
    this.device.queue.submit([commands.finish()]);
    const mapping = target.buffer.mapAsync(MAP_READ, 0, bytes);
    // It is awaited after the refusal that may explain why it fails.
    mapping.catch(() => undefined);
    return { target, bytes, mapping };
  }

  /** What was copied, once all commands before have run; rejects when any of them was refused. */
  async values(
    where: string,
    what: string,
    { target, bytes, mapping }: Copy,
    refusal: Promise<Refusal | undefined>,
  ): Promise<Float32Array> {
    let reusable = false;
    try {
      await this.watch.accept(where, what, refusal);
      await this.watch.answer(where, mapping);
      const values = new Float32Array(target.buffer.getMappedRange(0, bytes).slice(0));
      target.buffer.unmap();
      reusable = target.bytes <= REUSED_BYTES;
      return values;
    } finally {
      this.busy.delete(target);
      if (reusable) {
        this.idle.push(target);
      } else {
        target.buffer.destroy();
      }
    }
  }

  destroy(): void {
    for (const { buffer } of [...this.idle, ...this.busy]) {
      buffer.destroy();
    }
  }
}
