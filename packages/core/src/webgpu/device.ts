/**
 * The part of WebGPU that core uses, as structure: core compiles without DOM types, and a `GPUDevice` of a browser
 * or of another binding fits. Names and meanings are those of https://www.w3.org/TR/webgpu/.
 */

export interface GpuDevice {
  readonly limits: GpuLimits;
  readonly lost: Promise<{ readonly reason: string; readonly message: string }>;
  readonly queue: GpuQueue;
  createBuffer(descriptor: { label?: string; size: number; usage: number }): GpuBuffer;
  createShaderModule(descriptor: { label?: string; code: string }): GpuShaderModule;
  // Descriptors that hold objects of the device: typed more closely, not every declaration of `GPUDevice` would fit.
  createBindGroupLayout(descriptor: object): GpuHandle;
  createPipelineLayout(descriptor: object): GpuHandle;
  createBindGroup(descriptor: object): GpuHandle;
  createComputePipelineAsync(descriptor: object): Promise<GpuHandle>;
  createCommandEncoder(descriptor?: { label?: string }): GpuCommandEncoder;
  pushErrorScope(filter: GpuErrorFilter): void;
  popErrorScope(): Promise<{ readonly message: string } | null>;
}

/** What a device makes and only takes back. */
export type GpuHandle = object;

export type GpuErrorFilter = "validation" | "out-of-memory" | "internal";

export interface GpuLimits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly maxUniformBufferBindingSize: number;
  readonly minUniformBufferOffsetAlignment: number;
  readonly maxComputeInvocationsPerWorkgroup: number;
  readonly maxComputeWorkgroupSizeX: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}

export interface GpuQueue {
  writeBuffer(buffer: GpuBuffer, at: number, data: ArrayBufferLike | ArrayBufferView): void;
  submit(commands: Iterable<GpuHandle>): void;
  onSubmittedWorkDone(): Promise<void>;
}

export interface GpuBuffer {
  mapAsync(mode: number, offset?: number, size?: number): Promise<void>;
  getMappedRange(offset?: number, size?: number): ArrayBuffer;
  unmap(): void;
  destroy(): void;
}

export interface GpuShaderModule {
  getCompilationInfo(): Promise<{
    readonly messages: readonly {
      readonly type: string;
      readonly message: string;
      readonly lineNum: number;
    }[];
  }>;
}

export interface GpuCommandEncoder {
  beginComputePass(descriptor?: { label?: string }): GpuComputePass;
  copyBufferToBuffer(
    source: GpuBuffer,
    from: number,
    target: GpuBuffer,
    to: number,
    size: number,
  ): void;
  finish(): GpuHandle;
}

export interface GpuComputePass {
  setPipeline(pipeline: GpuHandle): void;
  setBindGroup(index: number, group: GpuHandle | null, dynamicOffsets?: number[]): void;
  dispatchWorkgroups(x: number): void;
  end(): void;
}

// GPUBufferUsage, GPUMapMode and GPUShaderStage.
export const USAGE_MAP_READ = 0x1;
export const USAGE_COPY_SRC = 0x4;
export const USAGE_COPY_DST = 0x8;
export const USAGE_UNIFORM = 0x40;
export const USAGE_STORAGE = 0x80;
export const MAP_READ = 0x1;
export const STAGE_COMPUTE = 0x4;
