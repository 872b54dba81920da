/**
 * Kernels on a WebGPU device: arenas in its memory, pipelines over them, batches of runs.
 *
 * An arena is one storage buffer that holds arrays at byte addresses, as the memory of the other backends does. A
 * batch is one command encoder with one compute pass, submitted once. Its runs execute one after the other, each
 * with a frame (count, where streams start, scalars) of its own in one uniform buffer, chosen by a dynamic offset:
 *
 *     frames    [run 0 | pad to 256 | run 1 | …]      written once a batch
 *     partials  [run 0, block 0, reduction 0 | …]     one float32 a workgroup and reduction, copied and mapped
 *
 * The queue keeps the order of calls, so that batches, `write` and `read` need not wait for each other.
 */

import { isBf16, type Kernel, reductionIdentity, streamBytes } from "../codegen/kernel.ts";
import { ELEMENTS_PER_INVOCATION, requireWorkgroupSize, WORKGROUP_SIZE } from "../codegen/wgsl.ts";
import { requireThat, show } from "../errors.ts";
import { cut, framesOf, type GpuRun, joinPartials, largestFrame } from "./batch.ts";
import {
  type GpuBuffer,
  type GpuDevice,
  type GpuHandle,
  type GpuLimits,
  STAGE_COMPUTE,
  USAGE_COPY_DST,
  USAGE_COPY_SRC,
  USAGE_STORAGE,
  USAGE_UNIFORM,
} from "./device.ts";
import { scoped, Watch } from "./guard.ts";
import { compileKernels } from "./pipelines.ts";
import { allocate, Readback, type Sized } from "./readback.ts";

export interface GpuExecutorOptions {
  /** Every kernel that will run. */
  readonly kernels: readonly Kernel[];
  /**
   * Bytes of each arena, a multiple of 4 from 4 to the smaller of the device's `maxBufferSize` and
   * `maxStorageBufferBindingSize`: 128 MiB unless the device was asked for more. What is larger than one arena is
   * spread over several; a run works on one.
   */
  readonly arenas: readonly number[];
  /** Invocations a workgroup: a power of two that the device offers, default 256. The order of sums depends on it. */
  readonly workgroupSize?: number;
}

export interface GpuExecutor {
  /** The arenas, to be copied from and to by other users of the device. */
  readonly arenas: readonly GpuBuffer[];

  /** Copies numbers to a byte address; batches called later see them. */
  write(data: Float32Array, at: number, arena?: number): void;

  /** Numbers from a byte address, as the batches called before leave them. */
  read(at: number, length: number, arena?: number): Promise<Float32Array>;

  /**
   * Executes runs in order, as one batch, and resolves when they have run to the end: for each run its reductions,
   * a sum over blocks in float64 or a maximum, `reductionIdentity` for a count of 0. The runs of one pass over a
   * tensor in pieces are joined by the caller.
   *
   * Rejects with RangeError for a run that the arenas do not hold, GpuRefusalError, or GpuDeviceLostError; after the
   * first two, arenas are as they were before the batch. A batch called meanwhile is not held back by a refusal:
   * await one whose failure must stop the next.
   */
  run(runs: readonly GpuRun[]): Promise<readonly Float64Array[]>;

  /** Frees what the executor allocated, not the device. What has not resolved rejects. */
  destroy(): void;
}

/**
 * Compiles kernels and allocates zeroed arenas on a device of the caller's, who keeps it: `destroy` leaves it alone.
 *
 * Lanes are float32. Errors of the operations and the order of sums: `codegen/wgsl.ts` and docs/webgpu.md.
 *
 * @throws RangeError for an arena, a kernel or a workgroup beyond the device's limits, naming the limit;
 * GpuRefusalError when a shader does not compile or memory is short; GpuDeviceLostError. Nothing stays allocated.
 * @example
 * const adapter = await navigator.gpu.requestAdapter();
 * const executor = await createGpuExecutor(await adapter.requestDevice(), { kernels, arenas: [1 << 20] });
 */
export async function createGpuExecutor(
  device: GpuDevice,
  options: GpuExecutorOptions,
): Promise<GpuExecutor> {
  const where = "createGpuExecutor";
  const { kernels, arenas, workgroupSize = WORKGROUP_SIZE } = options;
  checkOptions(where, device.limits, { kernels, arenas, workgroupSize });
  const watch = new Watch(device);
  const [made, refusal] = scoped(device, () => {
    const layout = device.createBindGroupLayout({
      label: "data, frame, partials",
      entries: ["storage", "uniform", "storage"].map((type, binding) => ({
        binding,
        visibility: STAGE_COMPUTE,
        buffer: { type, hasDynamicOffset: type === "uniform" },
      })),
    });
    const usage = USAGE_STORAGE | USAGE_COPY_SRC | USAGE_COPY_DST;
    return {
      layout,
      pipelineLayout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
      buffers: arenas.map((size, arena) =>
        device.createBuffer({ label: `arena ${arena}`, size, usage }),
      ),
    };
  });
  try {
    await watch.accept(where, "the arenas", refusal);
    const pipelines = await compileKernels(where, device, watch, kernels, {
      layout: made.pipelineLayout,
      workgroupSize,
    });
    return new Executor(device, watch, {
      layout: made.layout,
      buffers: made.buffers,
      sizes: arenas,
      pipelines,
      workgroupSize,
    });
  } catch (error) {
    for (const buffer of made.buffers) {
      buffer.destroy();
    }
    throw error;
  }
}

class Executor implements GpuExecutor {
  readonly arenas: readonly GpuBuffer[];

  private readonly device: GpuDevice;
  private readonly watch: Watch;
  private readonly layout: GpuHandle;
  private readonly sizes: readonly number[];
  private readonly pipelines: ReadonlyMap<Kernel, GpuHandle>;
  private readonly blockElements: number;
  private readonly mostBlocks: number;
  /** Bytes of the largest frame, and from one frame to the next. */
  private readonly frameBytes: number;
  private readonly frameStride: number;
  private frames: Sized | undefined;
  private partials: Sized | undefined;
  /** The bind group of each arena, for `frames` and `partials` as they are. */
  private groups: readonly GpuHandle[] = [];
  private readonly readback: Readback;

  constructor(
    device: GpuDevice,
    watch: Watch,
    made: {
      readonly layout: GpuHandle;
      readonly buffers: readonly GpuBuffer[];
      readonly sizes: readonly number[];
      readonly pipelines: ReadonlyMap<Kernel, GpuHandle>;
      readonly workgroupSize: number;
    },
  ) {
    this.device = device;
    this.watch = watch;
    this.readback = new Readback(device, watch);
    this.layout = made.layout;
    this.arenas = made.buffers;
    this.sizes = made.sizes;
    this.pipelines = made.pipelines;
    this.blockElements = made.workgroupSize * ELEMENTS_PER_INVOCATION;
    this.mostBlocks = device.limits.maxComputeWorkgroupsPerDimension;
    this.frameBytes = largestFrame([...made.pipelines.keys()]);
    this.frameStride = roundUp(this.frameBytes, device.limits.minUniformBufferOffsetAlignment);
  }

  write(data: Float32Array, at: number, arena = 0): void {
    this.watch.check("write");
    if (!(data instanceof Float32Array)) {
      throw new TypeError(
        `write: \`data\` must be a Float32Array, got ${show(data)}; convert the numbers`,
      );
    }
    this.checkRange("write", at, data.length, arena);
    this.device.queue.writeBuffer(this.arena(arena), at, data);
  }

  async read(at: number, length: number, arena = 0): Promise<Float32Array> {
    this.watch.check("read");
    this.checkRange("read", at, length, arena);
    if (length === 0) {
      return new Float32Array(0);
    }
    const [copy, refusal] = scoped(this.device, () => {
      const commands = this.device.createCommandEncoder({ label: "read" });
      return this.readback.submit(commands, this.arena(arena), at, 4 * length);
    });
    return this.readback.values("read", "the copy", copy, refusal);
  }

  async run(runs: readonly GpuRun[]): Promise<readonly Float64Array[]> {
    this.watch.check("run");
    runs.forEach((run, index) => this.checkRun(run, index));
    const results = runs.map(({ kernel }) =>
      Float64Array.from(kernel.reductions, ({ kind }) => reductionIdentity(kind)),
    );
    const { pieces, partials } = cut(runs, this.blockElements, this.mostBlocks);
    if (pieces.length === 0) {
      return results;
    }
    // A batch that reduces nothing maps a word all the same: only a mapping proves that it ran.
    const bytes = 4 * Math.max(partials, 1);
    const [copy, refusal] = scoped(this.device, () => {
      const [frames, left] = this.reserve(pieces.length * this.frameStride, bytes);
      this.device.queue.writeBuffer(frames, 0, framesOf(pieces, this.frameStride));
      const commands = this.device.createCommandEncoder({ label: "batch" });
      const pass = commands.beginComputePass();
      pieces.forEach(({ run, blocks }, p) => {
        // `checkRun` found the kernel among the pipelines and the arena among the groups.
        pass.setPipeline(this.pipelines.get(run.kernel) as GpuHandle);
        pass.setBindGroup(0, this.groups[run.arena ?? 0] as GpuHandle, [p * this.frameStride]);
        pass.dispatchWorkgroups(blocks);
      });
      pass.end();
      return this.readback.submit(commands, left, 0, bytes);
    });
    try {
      const values = await this.readback.values("run", "the batch", copy, refusal);
      this.watch.complete += 1;
      for (const piece of pieces) {
        joinPartials(piece, values, results[piece.index] as Float64Array);
      }
      return results;
    } catch (error) {
      // What was refused may be a buffer of ours: the next batch makes them anew.
      this.forget();
      throw error;
    }
  }

  destroy(): void {
    this.watch.end();
    this.forget();
    this.readback.destroy();
    for (const arena of this.arenas) {
      arena.destroy();
    }
  }

  /** Buffers for frames and partials of at least so many bytes. */
  private reserve(frameBytes: number, partialBytes: number): readonly [GpuBuffer, GpuBuffer] {
    let { frames, partials } = this;
    if (frames === undefined || frames.bytes < frameBytes) {
      // Work that is under way keeps the old one until it is done.
      frames?.buffer.destroy();
      frames = allocate(this.device, "frames", frameBytes, USAGE_UNIFORM | USAGE_COPY_DST);
    }
    if (partials === undefined || partials.bytes < partialBytes) {
      partials?.buffer.destroy();
      partials = allocate(this.device, "partials", partialBytes, USAGE_STORAGE | USAGE_COPY_SRC);
    }
    if (frames !== this.frames || partials !== this.partials) {
      const window = { buffer: frames.buffer, size: this.frameBytes };
      const rest = [window, { buffer: partials.buffer }];
      this.groups = this.arenas.map((buffer) =>
        this.device.createBindGroup({
          layout: this.layout,
          entries: [{ buffer }, ...rest].map((resource, binding) => ({ binding, resource })),
        }),
      );
      [this.frames, this.partials] = [frames, partials];
    }
    return [frames.buffer, partials.buffer];
  }

  private forget(): void {
    this.frames?.buffer.destroy();
    this.partials?.buffer.destroy();
    this.frames = undefined;
    this.partials = undefined;
  }

  private arena(index: number): GpuBuffer {
    return this.arenas[index] as GpuBuffer;
  }

  private checkRange(where: string, at: number, length: number, arena: number, width = 4): void {
    const bytes = this.sizes[arena];
    requireThat(
      bytes !== undefined,
      where,
      `\`arena\` must be an index below ${this.sizes.length}`,
      arena,
    );
    requireThat(
      isMultiple(at, width) &&
        Number.isSafeInteger(length) &&
        length >= 0 &&
        at + width * length <= (bytes ?? 0),
      where,
      `elements must lie in arena ${arena} of ${bytes} bytes at a multiple of ${width}`,
      `${length} elements at byte ${at}`,
    );
  }

  private checkRun(run: GpuRun, index: number): void {
    const { kernel, count, pointers, scalars, arena = 0 } = run;
    const where = "run";
    requireThat(
      this.pipelines.has(kernel),
      where,
      `the kernel of run ${index} must be one that the executor was created with`,
      kernel.name,
    );
    for (const [given, taken, what] of [
      [pointers.length, kernel.streams.length, "pointers"],
      [scalars.length, kernel.scalars.length, "scalars"],
    ] as const) {
      requireThat(
        given === taken,
        where,
        `kernel "${kernel.name}" must get ${taken} ${what}`,
        given,
      );
    }
    for (let s = 0; s < pointers.length; s++) {
      this.checkRange(
        where,
        pointers[s] as number,
        count,
        arena,
        streamBytes(kernel, s, "float32"),
      );
    }
    const halves = kernel.stores.flatMap(({ stream }) =>
      isBf16(kernel, stream) ? [(pointers[stream] as number) % 4] : [],
    );
    requireThat(
      halves.every((half) => half === halves[0]),
      where,
      `the bfloat16 streams that kernel "${kernel.name}" stores must start in the same half of a word`,
      `bytes ${halves.join(", ")}`,
    );
    for (const name of ["base", "key"] as const) {
      const number = run[name] ?? 0;
      requireThat(
        Number.isInteger(number) && number >= 0 && number < 2 ** 32,
        where,
        `\`${name}\` must be an integer from 0 to 4294967295`,
        number,
      );
    }
    // A kernel without streams has no range to check.
    requireThat(
      Number.isSafeInteger(count) && count >= 0 && count < 2 ** 32,
      where,
      "`count` must be an integer from 0 to 4294967295",
      count,
    );
  }
}

function checkOptions(
  where: string,
  limits: GpuLimits,
  { kernels, arenas, workgroupSize }: Required<GpuExecutorOptions>,
): void {
  requireWorkgroupSize(where, workgroupSize);
  const lanes = Math.min(limits.maxComputeInvocationsPerWorkgroup, limits.maxComputeWorkgroupSizeX);
  requireThat(
    workgroupSize <= lanes,
    where,
    `\`workgroupSize\` must be at most ${lanes}, the device's maxComputeInvocationsPerWorkgroup or maxComputeWorkgroupSizeX`,
    workgroupSize,
  );
  for (const bytes of arenas) {
    for (const limit of ["maxBufferSize", "maxStorageBufferBindingSize"] as const) {
      requireThat(
        isMultiple(bytes, 4) && bytes > 0 && bytes <= limits[limit],
        where,
        `an arena must have a multiple of 4 bytes up to ${limits[limit]}, the device's ${limit}`,
        bytes,
        "ask requestDevice for the adapter's limit, or spread the arrays over several arenas",
      );
    }
  }
  requireThat(
    largestFrame(kernels) <= limits.maxUniformBufferBindingSize,
    where,
    `streams, scalars and constants of a kernel must fit ${limits.maxUniformBufferBindingSize} bytes, the device's maxUniformBufferBindingSize`,
    largestFrame(kernels),
  );
}

function isMultiple(at: number, of: number): boolean {
  return Number.isSafeInteger(at) && at >= 0 && at % of === 0;
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
