/** A gradient program run once more, with every value in sight. */

import { sizeOf } from "@adastra/core";
import type { InputData } from "./backends/executable.ts";
import { lower } from "./graph/lower.ts";
import { createPlainExecutable } from "./prepare.ts";
import type { Signature } from "./signature.ts";
import { computed, type Origin, originOf } from "./trace/origin.ts";
import type { Operand, Program } from "./trace/program.ts";

/**
 * Where loss or gradients first hold what is not finite.
 *
 * @param aux - How many values stand between loss and gradients.
 */
export async function findOrigin(
  { params, batch, state }: Signature,
  program: Program,
  inputs: readonly InputData[],
  aux: number,
  assets?: string,
): Promise<Origin | undefined> {
  const watched = computed(program);
  const executable = await createPlainExecutable(lower({ ...program, outputs: watched }), assets);
  const data = watched.map(({ shape }) => new Float32Array(sizeOf(shape)));
  try {
    await executable.run(inputs, data);
  } finally {
    await executable.dispose();
  }
  const named = [
    { of: "loss", at: 0 },
    ...params.map(({ name }, i) => ({ of: name, at: 1 + aux + i })),
  ];
  const roles = { parameter: params, batch, state };
  return originOf(
    program,
    named.map(({ of, at }) => ({ of, operand: program.outputs[at] as Operand })),
    (["parameter", "batch", "state"] as const).flatMap((role) =>
      roles[role].map(({ name }) => ({ role, name })),
    ),
    new Map([
      ...watched.map((variable, i) => [variable, data[i] as Float32Array] as const),
      ...program.inputs.map((variable, i) => [variable, inputs[i] as InputData] as const),
    ]),
  );
}
