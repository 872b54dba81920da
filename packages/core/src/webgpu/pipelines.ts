/** Kernels as compute pipelines, all compiled at once. */

import type { Kernel } from "../codegen/kernel.ts";
import { emitWgsl } from "../codegen/wgsl.ts";
import type { GpuDevice, GpuErrorFilter, GpuHandle, GpuShaderModule } from "./device.ts";
import { GpuRefusalError } from "./errors.ts";
import { scoped, type Watch } from "./guard.ts";

/**
 * The pipeline of each kernel.
 *
 * @throws GpuRefusalError for the first kernel whose shader or pipeline the device refuses.
 */
export async function compileKernels(
  where: string,
  device: GpuDevice,
  watch: Watch,
  kernels: readonly Kernel[],
  { layout, workgroupSize }: { readonly layout: GpuHandle; readonly workgroupSize: number },
): Promise<ReadonlyMap<Kernel, GpuHandle>> {
  // What the scopes catch here, the pipeline of the same kernel tells once more, by rejecting.
  const [compiling] = scoped(device, () =>
    kernels.map((kernel) => {
      const code = emitWgsl(kernel, { workgroupSize });
      const module = device.createShaderModule({ label: kernel.name, code });
      const compute = { module, entryPoint: "main" };
      const pipeline = device.createComputePipelineAsync({ label: kernel.name, layout, compute });
      return { kernel, module, pipeline };
    }),
  );
  const pipelines = Promise.allSettled(compiling.map(({ pipeline }) => pipeline));
  const outcomes = await watch.answer(where, pipelines);
  const loaded = new Map<Kernel, GpuHandle>();
  for (const [k, { kernel, module }] of compiling.entries()) {
    const outcome = outcomes[k] as (typeof outcomes)[number];
    if (outcome.status === "rejected") {
      throw await refusalOf(where, watch, kernel, module, outcome.reason);
    }
    loaded.set(kernel, outcome.value);
  }
  return loaded;
}

async function refusalOf(
  where: string,
  watch: Watch,
  kernel: Kernel,
  module: GpuShaderModule,
  cause: unknown,
): Promise<GpuRefusalError> {
  const { messages } = await watch.answer(where, module.getCompilationInfo());
  const complaint = messages.find(({ type }) => type === "error");
  const message =
    complaint === undefined
      ? cause instanceof Error
        ? cause.message
        : String(cause)
      : `${complaint.message} (line ${complaint.lineNum} of its shader)`;
  // A GPUPipelineError names its kind.
  const { reason: kind = "validation" } = cause as { readonly reason?: GpuErrorFilter };
  return new GpuRefusalError(where, {
    what: `kernel "${kernel.name}"`,
    kernel: kernel.name,
    refusal: { kind, message, cause },
  });
}
