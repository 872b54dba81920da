import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { expectClose, zerosLike } from "../../testing/arrays.ts";
import { labels, normal } from "../../testing/batches.ts";
import { compile, type Mode, nn, type Value } from "../index.ts";
import type { Executable } from "./executable.ts";
import { withReference } from "./reference.ts";

const model = nn.sequential(
  nn.conv2d(4, 3, { padding: "same" }),
  nn.batchNorm(),
  nn.relu(),
  nn.maxPool(2),
  nn.flatten(),
  nn.dense(3),
);
const input = [1, 8, 8];
const params = model.init(mulberry32(1), input);
const batch = { x: normal(2, [4, ...input]), y: labels(3, 4, 3) };
const loss = (p: nn.ParamValues, { x, y }: { x: Value; y: Value }, mode: Mode): Value =>
  nn.softmaxCrossEntropy(model.apply(p, x, mode), y);
const options = () => ({ params, example: batch, state: model.initState(mulberry32(4), input) });

describe("backends", () => {
  test("wasm gives the CPU's loss, gradients and state, and compares them itself at first", async () => {
    const results = [];
    for (const backend of ["cpu", "wasm"] as const) {
      const given = options();
      const compiled = await compile(loss, { ...given, backend });
      expect(compiled.report.backend).toBe(backend);
      const gradients = zerosLike(params);
      for (let step = 0; step < 2; step++) {
        const { loss: value } = await compiled.run(batch, params, gradients);
        results.push({ value, gradients: { ...gradients }, state: given.state });
      }
      await compiled.dispose();
    }
    const [, cpu, , wasm] = results;
    // The same kernels, compiled to 128-bit instructions: sums of up to 64 products in another order.
    const tolerance = 1e-5;
    expectClose([wasm!.value], [cpu!.value], tolerance, "loss");
    for (const [path, { data }] of Object.entries(cpu!.gradients)) {
      if (path === "conv2d1/bias") {
        continue; // 0 but for rounding, before a batch norm
      }
      expectClose(wasm!.gradients[path]!.data, data, tolerance, path);
    }
    for (const [path, { data }] of Object.entries(cpu!.state)) {
      expectClose(wasm!.state[path]!.data, data, tolerance, path);
    }
  });

  test("auto measures what runs here and says what it took", async () => {
    let now = 0;
    const compiled = await compile(loss, {
      ...options(),
      backend: "auto",
      clock: { now: () => now++ },
    });
    expect(compiled.report).toMatchObject({
      backend: "cpu",
      probes: [{ backend: "cpu", ms: 1 }],
    });
    const gradients = zerosLike(params);
    expect((await compiled.run(batch, params, gradients)).loss).toBeGreaterThan(0);
    await compiled.dispose();
  });

  test("auto without a clock is refused", async () => {
    await expect(compile(loss, { ...options(), backend: "auto" })).rejects.toThrow(
      'compile: `clock` must be given with backend "auto", got none; pass clock: performance',
    );
  });
});

describe("withReference", () => {
  const writes = (...values: number[]): Executable & { disposed: number; runs: number } => {
    const executable = {
      disposed: 0,
      runs: 0,
      run: (_: unknown, outputs: readonly Float32Array[]) => {
        executable.runs++;
        outputs[0]!.set(values);
        return Promise.resolve();
      },
      dispose: () => {
        executable.disposed++;
        return Promise.resolve();
      },
    };
    return executable;
  };

  test("compares the first run and no later one", async () => {
    const [candidate, reference] = [writes(1, 2.0005, Number.NaN), writes(1, 2, Number.NaN)];
    const checked = withReference("compile", "webgpu", candidate, () =>
      Promise.resolve({ name: "cpu", executable: reference }),
    );
    for (let run = 0; run < 3; run++) {
      await checked.run([], [new Float32Array(3)]);
    }
    expect([candidate.runs, reference.runs, reference.disposed]).toEqual([3, 1, 1]);
  });

  test("a wrong result is an error, and the next run compares again", async () => {
    for (const wrong of [2.5, Number.NaN]) {
      const reference = writes(1, 2, 3);
      const checked = withReference("compile", "webgpu", writes(1, wrong, 3), () =>
        Promise.resolve({ name: "cpu", executable: reference }),
      );
      for (let run = 0; run < 2; run++) {
        await expect(checked.run([], [new Float32Array(3)])).rejects.toMatchObject({
          name: "BackendMismatchError",
          code: "BACKEND_MISMATCH",
          message: expect.stringMatching(
            /^compile: backend "webgpu" must agree with "cpu" on the first batch, got output 0 off by (1\.7e-1|NaN) of its largest magnitude; pass another backend$/,
          ),
        });
      }
      expect(reference.disposed).toBe(2);
    }
  });
});
