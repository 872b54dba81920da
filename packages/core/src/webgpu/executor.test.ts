import { describe, expect, it } from "vitest";
import { kernelOf } from "../codegen/conformance.ts";
import type { Kernel } from "../codegen/kernel.ts";
import type { GpuBuffer, GpuDevice, GpuErrorFilter } from "./device.ts";
import { createGpuExecutor } from "./executor.ts";

/** A declaration of WebGPU as browsers have it fits the structure that core asks for. */
export const fits = (device: GPUDevice): GpuDevice => device;

const negate = kernelOf("neg");
const reduce: Kernel = {
  name: "reduce",
  streams: ["x"],
  scalars: ["a"],
  body: [
    { op: "load", stream: 0 },
    { op: "const", value: 0.5 },
  ],
  stores: [],
  reductions: [
    { kind: "sum", value: 0 },
    { kind: "max", value: 0 },
  ],
};

interface FakeBuffer extends GpuBuffer {
  readonly label: string;
  readonly size: number;
  destroyed: boolean;
  words: Float32Array;
}

/** A device that computes nothing, keeps what it was told, and fails where a test wants it to. */
class FakeDevice implements GpuDevice {
  readonly limits = {
    maxBufferSize: 1 << 28,
    maxStorageBufferBindingSize: 1 << 27,
    maxUniformBufferBindingSize: 65536,
    minUniformBufferOffsetAlignment: 256,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupsPerDimension: 65535,
  };
  readonly buffers: FakeBuffer[] = [];
  readonly calls: string[] = [];
  /** Frames as they were written. */
  readonly frames: ArrayBuffer[] = [];
  /** What the next error scope of a kind catches when it is popped. */
  readonly errors: Partial<Record<GpuErrorFilter, string>> = {};
  /** What partials hold. */
  partials: readonly number[] = [];
  mapError: Error | undefined;
  pipelineError: unknown;
  complaints: { type: string; message: string; lineNum: number }[] = [];
  private readonly scopes: GpuErrorFilter[] = [];
  lose: (info: { reason: string; message: string }) => void = () => undefined;
  readonly lost = new Promise<{ reason: string; message: string }>((resolve) => {
    this.lose = resolve;
  });

  readonly queue = {
    writeBuffer: (buffer: GpuBuffer, at: number, data: ArrayBufferLike | ArrayBufferView): void => {
      const { label } = buffer as FakeBuffer;
      this.calls.push(`write ${data.byteLength} bytes to ${label} at ${at}`);
      if (label === "frames") {
        this.frames.push(data as ArrayBuffer);
      }
    },
    submit: (): void => {
      this.calls.push("submit");
    },
    onSubmittedWorkDone: (): Promise<void> => Promise.resolve(),
  };

  createBuffer({ label = "", size }: { label?: string; size: number }): FakeBuffer {
    const buffer: FakeBuffer = {
      label,
      size,
      destroyed: false,
      words: new Float32Array(0),
      mapAsync: () =>
        this.mapError === undefined ? Promise.resolve() : Promise.reject(this.mapError),
      getMappedRange: (_, bytes = 0) => {
        const range = new Float32Array(bytes / 4);
        range.set(buffer.words.subarray(0, range.length));
        return range.buffer;
      },
      unmap: () => undefined,
      destroy: () => {
        buffer.destroyed = true;
      },
    };
    this.buffers.push(buffer);
    return buffer;
  }

  createShaderModule(): {
    getCompilationInfo: () => Promise<{ messages: FakeDevice["complaints"] }>;
  } {
    return { getCompilationInfo: () => Promise.resolve({ messages: this.complaints }) };
  }

  createBindGroupLayout = (): object => ({});
  createPipelineLayout = (): object => ({});
  createBindGroup = (): object => ({});
  createComputePipelineAsync(): Promise<object> {
    return this.pipelineError === undefined
      ? Promise.resolve({})
      : Promise.reject(this.pipelineError as Error);
  }

  createCommandEncoder() {
    return {
      beginComputePass: () => ({
        setPipeline: () => undefined,
        setBindGroup: (_: number, __: object | null, [offset]: number[] = []) => {
          this.calls.push(`frame at ${offset}`);
        },
        dispatchWorkgroups: (x: number) => {
          this.calls.push(`dispatch ${x}`);
        },
        end: () => undefined,
      }),
      copyBufferToBuffer: (_: GpuBuffer, __: number, target: GpuBuffer) => {
        (target as FakeBuffer).words = Float32Array.from(this.partials);
      },
      finish: () => ({}),
    };
  }

  pushErrorScope(filter: GpuErrorFilter): void {
    this.scopes.push(filter);
  }

  popErrorScope(): Promise<{ message: string } | null> {
    const filter = this.scopes.pop();
    if (filter === undefined) {
      return Promise.reject(new Error("no scope to pop"));
    }
    const message = this.errors[filter];
    delete this.errors[filter];
    return Promise.resolve(message === undefined ? null : { message });
  }

  get openScopes(): number {
    return this.scopes.length;
  }

  /** Labels of the buffers that take memory. */
  get alive(): string[] {
    return this.buffers.filter(({ destroyed }) => !destroyed).map(({ label }) => label);
  }
}

const create = (
  device: FakeDevice,
  options: Partial<Parameters<typeof createGpuExecutor>[1]> = {},
) => createGpuExecutor(device, { kernels: [negate, reduce], arenas: [1024, 64], ...options });

const error = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => "no error",
    (reason: unknown) => reason,
  );

describe("a batch", () => {
  it("is one write of frames, dispatches in order, one submission", async () => {
    const device = new FakeDevice();
    device.partials = [1, 7, 10, -3];
    const executor = await create(device, { workgroupSize: 4 });
    const results = await executor.run([
      { kernel: negate, count: 40, pointers: [0, 256, 512], scalars: [] },
      { kernel: reduce, count: 0, pointers: [0], scalars: [2] },
      { kernel: reduce, arena: 1, count: 16, pointers: [0], scalars: [2] },
      { kernel: reduce, count: 15, pointers: [8], scalars: [3] },
    ]);
    expect(results).toEqual(
      [[], [0, -Infinity], [1, 7], [10, -3]].map((numbers) => Float64Array.from(numbers)),
    );
    expect(device.calls).toEqual([
      "write 768 bytes to frames at 0",
      "frame at 0",
      "dispatch 3",
      "frame at 256",
      "dispatch 1",
      "frame at 512",
      "dispatch 1",
      "submit",
    ]);
    const [frames] = device.frames;
    const words = (at: number, length: number) => [...new Uint32Array(frames!, at, length)];
    // zero, count, first partial, where streams start in elements.
    expect(words(0, 6)).toEqual([0, 40, 0, 0, 64, 128]);
    expect([...new Float32Array(frames!, 24, 2)]).toEqual([1, 0]);
    expect(words(256, 4)).toEqual([0, 16, 0, 0]);
    expect(words(512, 4)).toEqual([0, 15, 2, 2]);
    expect([...new Float32Array(frames!, 512 + 16, 2)]).toEqual([3, 0.5]);
  });

  it("cuts a run into as many dispatches as the device's limit makes of it, and joins their partials", async () => {
    const device = new FakeDevice();
    device.limits.maxComputeWorkgroupsPerDimension = 2;
    device.partials = [1, 5, 2, 4, 3, 3, 4, NaN, 2 ** -60, 1];
    const executor = await create(device, { workgroupSize: 1 });
    const run = { kernel: reduce, count: 19, pointers: [12], scalars: [0] };
    expect(await executor.run([run])).toEqual([Float64Array.of(10, NaN)]);
    expect(device.calls.filter((call) => call.startsWith("dispatch"))).toEqual([
      "dispatch 2",
      "dispatch 2",
      "dispatch 1",
    ]);
    const word = (index: number) =>
      [0, 256, 512].map((at) => new Uint32Array(device.frames[0]!, at)[index]);
    expect(word(1)).toEqual([19, 11, 3]);
    expect(word(2)).toEqual([0, 4, 8]);
    expect(word(3)).toEqual([3, 11, 19]);
  });

  it("starts a block earlier where bfloat16 are stored from the upper half of a word on, and says where draws are", async () => {
    const halves: Kernel = {
      name: "halves",
      streams: ["x", "h"],
      bf16: [1],
      scalars: [],
      body: [{ op: "random", salt: 1 }],
      stores: [{ stream: 1, value: 0 }],
      reductions: [],
    };
    const device = new FakeDevice();
    device.limits.maxComputeWorkgroupsPerDimension = 1;
    const executor = await create(device, { kernels: [halves], workgroupSize: 1 });
    const run = { kernel: halves, count: 8, pointers: [0, 66], scalars: [], base: 100, key: 9 };
    await executor.run([run, { ...run, pointers: [0, 64] }]);
    const words = device.calls
      .filter((call) => call.startsWith("frame "))
      .map((_, p) => [...new Uint32Array(device.frames[0]!, 256 * p + 4, 6)]);
    // count, first partial, base, key, x, h: elements -1 to 2, 3 to 6, 7; then 0 to 3 and 4 to 7.
    expect(words).toEqual([
      [8, 0, 100, 9, 0, 33],
      [5, 0, 103, 9, 3, 36],
      [1, 0, 107, 9, 7, 40],
      [8, 0, 100, 9, 0, 32],
      [4, 0, 104, 9, 4, 36],
    ]);
    const both: Kernel = {
      ...halves,
      bf16: [0, 1],
      stores: [0, 1].map((stream) => ({ stream, value: 0 })),
    };
    const other = await create(device, { kernels: [both] });
    expect(await error(other.run([{ ...run, kernel: both, pointers: [0, 66] }]))).toEqual(
      new RangeError(
        'run: the bfloat16 streams that kernel "halves" stores must start in the same half of a word, got "bytes 0, 2"',
      ),
    );
    expect(await error(other.run([{ ...run, kernel: both, pointers: [1, 3] }]))).toEqual(
      new RangeError(
        'run: elements must lie in arena 0 of 1024 bytes at a multiple of 2, got "8 elements at byte 1"',
      ),
    );
    expect(await error(other.run([{ ...run, kernel: both, pointers: [0, 64], key: -1 }]))).toEqual(
      new RangeError("run: `key` must be an integer from 0 to 4294967295, got -1"),
    );
  });

  it("adds the partials of blocks in float64", async () => {
    const device = new FakeDevice();
    device.partials = [2 ** 24, 0, 1, 0, 1, 0];
    const executor = await create(device, { workgroupSize: 1 });
    const [sums] = await executor.run([{ kernel: reduce, count: 12, pointers: [0], scalars: [0] }]);
    expect(sums?.[0]).toBe(2 ** 24 + 2);
  });

  it("of nothing touches no device", async () => {
    const device = new FakeDevice();
    const executor = await create(device);
    expect(await executor.run([])).toEqual([]);
    expect(await executor.read(0, 0)).toEqual(new Float32Array(0));
    expect(device.calls).toEqual([]);
  });

  it("takes buffers of earlier batches again; a large readback takes one of its own", async () => {
    const device = new FakeDevice();
    const executor = await create(device, { arenas: [1 << 22] });
    const run = { kernel: negate, count: 8, pointers: [0, 64, 128], scalars: [] };
    await executor.run([run]);
    const settled = device.buffers.length;
    await executor.run([run]);
    await executor.read(0, 16);
    expect(device.buffers.length).toBe(settled);
    await executor.read(0, 1 << 20);
    expect(device.buffers.length).toBe(settled + 1);
    expect(device.alive).toEqual(["arena 0", "frames", "partials", "readback"]);
    executor.destroy();
    expect(device.alive).toEqual([]);
  });
});

describe("bad input is named before anything happens", () => {
  const good = { kernel: negate, count: 4, pointers: [0, 16, 32], scalars: [] };

  it.each([
    [
      { ...good, kernel: kernelOf("abs") },
      'the kernel of run 1 must be one that the executor was created with, got "abs"',
    ],
    [{ ...good, pointers: [0, 16] }, 'kernel "neg" must get 3 pointers, got 2'],
    [{ ...good, scalars: [1] }, 'kernel "neg" must get 0 scalars, got 1'],
    [{ ...good, arena: 2 }, "`arena` must be an index below 2, got 2"],
    [
      { ...good, pointers: [0, 16, 1012] },
      'elements must lie in arena 0 of 1024 bytes at a multiple of 4, got "4 elements at byte 1012"',
    ],
    [
      { ...good, pointers: [0, 16, 34] },
      'elements must lie in arena 0 of 1024 bytes at a multiple of 4, got "4 elements at byte 34"',
    ],
    [
      { ...good, count: -1 },
      'elements must lie in arena 0 of 1024 bytes at a multiple of 4, got "-1 elements at byte 0"',
    ],
    [
      { ...good, count: NaN },
      'elements must lie in arena 0 of 1024 bytes at a multiple of 4, got "NaN elements at byte 0"',
    ],
  ])("run: %#", async (run, message) => {
    const device = new FakeDevice();
    const executor = await create(device);
    expect(await error(executor.run([good, run]))).toEqual(new RangeError(`run: ${message}`));
    expect(device.calls).toEqual([]);
  });

  it("run without streams: the count", async () => {
    const kernel: Kernel = { ...negate, streams: [], body: [], stores: [] };
    const executor = await create(new FakeDevice(), { kernels: [kernel] });
    const run = { kernel, count: 1.5, pointers: [], scalars: [] };
    expect(await error(executor.run([run]))).toEqual(
      new RangeError("run: `count` must be an integer from 0 to 4294967295, got 1.5"),
    );
  });

  it("write and read", async () => {
    const device = new FakeDevice();
    const executor = await create(device);
    expect(() => executor.write(new Float32Array(4), 1012)).toThrow(
      new RangeError(
        'write: elements must lie in arena 0 of 1024 bytes at a multiple of 4, got "4 elements at byte 1012"',
      ),
    );
    // @ts-expect-error -- numbers from untyped code
    expect(() => executor.write([1, 2], 0)).toThrow(
      new TypeError("write: `data` must be a Float32Array, got 1,2; convert the numbers"),
    );
    expect(await error(executor.read(0, 17, 1))).toEqual(
      new RangeError(
        'read: elements must lie in arena 1 of 64 bytes at a multiple of 4, got "17 elements at byte 0"',
      ),
    );
    expect(device.calls).toEqual([]);
  });

  it.each([
    [
      { arenas: [0] },
      "an arena must have a multiple of 4 bytes up to 268435456, the device's maxBufferSize, got 0; ask requestDevice for the adapter's limit, or spread the arrays over several arenas",
    ],
    [
      { arenas: [64, (1 << 27) + 4] },
      "an arena must have a multiple of 4 bytes up to 134217728, the device's maxStorageBufferBindingSize, got 134217732; ask requestDevice for the adapter's limit, or spread the arrays over several arenas",
    ],
    [{ workgroupSize: 3 }, "`workgroupSize` must be a power of two from 1 to 1024, got 3"],
    [
      { workgroupSize: 512 },
      "`workgroupSize` must be at most 256, the device's maxComputeInvocationsPerWorkgroup or maxComputeWorkgroupSizeX, got 512",
    ],
    [
      { kernels: [{ ...negate, scalars: Array.from({ length: 20000 }, (_, i) => `s${i}`) }] },
      "streams, scalars and constants of a kernel must fit 65536 bytes, the device's maxUniformBufferBindingSize, got 80032",
    ],
  ])("createGpuExecutor: %#", async (options, message) => {
    const device = new FakeDevice();
    expect(await error(create(device, options))).toEqual(
      new RangeError(`createGpuExecutor: ${message}`),
    );
    expect(device.buffers).toEqual([]);
  });
});

describe("a device that refuses", () => {
  it("memory: the executor is not made, and nothing stays allocated", async () => {
    const device = new FakeDevice();
    device.errors["out-of-memory"] = "no memory\n  for that. ";
    device.errors.validation = "the buffer is invalid";
    expect(await error(create(device))).toMatchObject({
      name: "GpuRefusalError",
      message:
        "createGpuExecutor: the GPU must accept the arenas, got the out-of-memory error: no memory for that",
      code: "GPU_REFUSED",
      kind: "out-of-memory",
    });
    expect(device.alive).toEqual([]);
    expect(device.openScopes).toBe(0);
  });

  it("a shader or a pipeline: its kernel is named, and nothing stays allocated", async () => {
    const device = new FakeDevice();
    device.pipelineError = Object.assign(new Error("the driver gave up"), { reason: "internal" });
    expect(await error(create(device))).toMatchObject({
      message:
        'createGpuExecutor: the GPU must accept kernel "neg", got the internal error: the driver gave up',
      kind: "internal",
      kernel: "neg",
      cause: device.pipelineError,
    });
    device.complaints = [
      { type: "warning", message: "unused", lineNum: 1 },
      { type: "error", message: "unresolved value", lineNum: 7 },
    ];
    device.pipelineError = "no reason";
    expect(await error(create(device))).toMatchObject({
      message:
        'createGpuExecutor: the GPU must accept kernel "neg", got the validation error: unresolved value (line 7 of its shader)',
    });
    expect(device.alive).toEqual([]);
    expect(device.openScopes).toBe(0);
  });

  it("a batch: helper buffers are made anew, and the next batch runs", async () => {
    const device = new FakeDevice();
    const executor = await create(device);
    const run = { kernel: negate, count: 4, pointers: [0, 16, 32], scalars: [] };
    device.errors["out-of-memory"] = "no memory";
    expect(await error(executor.run([run]))).toMatchObject({
      message: "run: the GPU must accept the batch, got the out-of-memory error: no memory",
      kind: "out-of-memory",
    });
    expect(device.alive).toEqual(["arena 0", "arena 1"]);
    expect(await executor.run([run])).toEqual([new Float64Array(0)]);
  });

  it("a call: error scopes are closed", async () => {
    const device = new FakeDevice();
    const executor = await create(device);
    device.queue.submit = () => {
      throw new TypeError("submit is broken");
    };
    const run = { kernel: negate, count: 4, pointers: [0, 16, 32], scalars: [] };
    expect(await error(executor.run([run]))).toEqual(new TypeError("submit is broken"));
    expect(device.openScopes).toBe(0);
  });
});

describe("a device that is lost", () => {
  const run = { kernel: negate, count: 4, pointers: [0, 16, 32], scalars: [] };
  const info = { reason: "unknown", message: "the driver was reset." };
  const told = (where: string, batches: number) => ({
    name: "GpuDeviceLostError",
    message: `${where}: the GPU device must stay until results are read, got its loss (unknown: the driver was reset) after ${batches} complete batches; create device and executor anew and write back what was read last`,
    code: "GPU_DEVICE_LOST",
    reason: "unknown",
    batches,
  });

  it("before the executor is made: nothing stays allocated", async () => {
    const device = new FakeDevice();
    device.lose(info);
    expect(await error(create(device))).toMatchObject(told("createGpuExecutor", 0));
    expect(device.alive).toEqual([]);
  });

  it("while a batch waits that will never be mapped", async () => {
    const device = new FakeDevice();
    const executor = await create(device);
    await executor.run([run]);
    const never = new Promise<void>(() => undefined);
    for (const buffer of device.buffers) {
      buffer.mapAsync = () => never;
    }
    const waiting = executor.run([run]);
    device.lose(info);
    expect(await error(waiting)).toMatchObject(told("run", 1));
    expect(await error(executor.read(0, 4))).toMatchObject(told("read", 1));
    expect(() => executor.write(new Float32Array(1), 0)).toThrow(
      expect.objectContaining(told("write", 1)) as Error,
    );
  });

  it("is named as the reason of a refusal that arrives before the news of the loss", async () => {
    const device = new FakeDevice();
    const executor = await create(device);
    device.mapError = new Error("the buffer is gone");
    device.queue.onSubmittedWorkDone = async () => {
      device.lose(info);
      await device.lost;
    };
    expect(await error(executor.run([run]))).toMatchObject(told("run", 0));
  });

  it("is not named where a mapping fails for another reason", async () => {
    const device = new FakeDevice();
    const executor = await create(device);
    device.mapError = new Error("the buffer is gone");
    expect(await error(executor.run([run]))).toBe(device.mapError);
  });
});

it("after destroy nothing runs, and what waited rejects", async () => {
  const device = new FakeDevice();
  const executor = await create(device);
  const run = { kernel: negate, count: 4, pointers: [0, 16, 32], scalars: [] };
  const waiting = executor.run([run]);
  executor.destroy();
  executor.destroy();
  const ended = (where: string) =>
    new Error(
      `${where}: the executor must stay until results are read, got destroy(); create a new one`,
    );
  expect(await error(waiting)).toEqual(ended("run"));
  expect(await error(executor.run([run]))).toEqual(ended("run"));
  expect(await error(executor.read(0, 1))).toEqual(ended("read"));
  expect(() => executor.write(new Float32Array(1), 0)).toThrow(ended("write"));
  expect(device.alive).toEqual([]);
});
