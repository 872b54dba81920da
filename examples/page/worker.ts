/** The thread that trains: the page stays free to draw. */

import { adashift, compileOptimizer, cosine, mulberry32 } from "@adastra/core";
import { compile, compileForward, nn } from "@adastra/engine";
import { type Digits, fetchDigits, fill, PIXELS } from "./digits.ts";
import type { Command, Event, Start } from "./messages.ts";

const BATCH = 32;
const TESTED = 500;
const SHOWN = 20;
const TEST_EVERY = 50;

let stopped = false;

addEventListener("message", ({ data }: MessageEvent<Command>) => {
  if (data.kind === "stop") {
    stopped = true;
    return;
  }
  stopped = false;
  train(data).catch((error: unknown) =>
    tell({ kind: "failed", message: error instanceof Error ? error.message : String(error) }),
  );
});

async function train({ learningRate, steps, assets }: Start): Promise<void> {
  const [digits, test] = await Promise.all([fetchDigits("train"), fetchDigits("t10k")]);
  const random = mulberry32(1);
  const model = nn.lenet();
  const optimizer = compileOptimizer(adashift({ n: 10 }), {
    params: model.init(random.fork("params"), [1, 28, 28]),
    learningRate: cosine(learningRate, steps),
  });
  const { params } = optimizer;
  const batch = arrays(BATCH);
  const started = performance.now();
  const gradient = await compile((p, { x, y }) => nn.softmaxCrossEntropy(model.apply(p, x), y), {
    params,
    example: batch,
    backend: "wasm",
    assets,
  });
  const tested = arrays(TESTED);
  const scores = await compileForward((p, { x }) => ({ logits: model.apply(p, x) }), {
    params,
    example: tested,
    backend: "wasm",
    assets,
  });
  tell({
    kind: "ready",
    backend: gradient.report.backend,
    compileMs: performance.now() - started,
  });

  const order = Uint32Array.from({ length: BATCH }, () => 0);
  const drawn = random.fork("order");
  for (let step = 1; step <= steps && !stopped; step++) {
    order.forEach((_, i) => {
      order[i] = drawn.integer(digits.count);
    });
    fill(digits, order, 0, batch.x.data, batch.y.data);
    const began = performance.now();
    const { loss } = await gradient.run(batch, params, optimizer.gradients);
    optimizer.step();
    tell({ kind: "step", step, loss, ms: performance.now() - began });
    if (step % TEST_EVERY === 0 || step === steps) {
      tell({ kind: "tested", step, ...(await evaluate(test)) });
    }
    // The message to stop waits in the queue.
    await new Promise((resolve) => setTimeout(resolve));
  }
  await gradient.dispose();
  await scores.dispose();
  tell({ kind: "ended", step: optimizer.count });

  async function evaluate(set: Digits) {
    fill(
      set,
      Uint32Array.from({ length: TESTED }, (_, i) => i),
      0,
      tested.x.data,
      tested.y.data,
    );
    const { logits } = await scores.run(tested, params);
    const guesses = Array.from({ length: TESTED }, (_, row) => {
      const own = logits?.data.subarray(row * 10, row * 10 + 10) ?? new Float32Array(10);
      return own.indexOf(Math.max(...own));
    });
    const right = guesses.filter((guess, row) => guess === tested.y.data[row]).length;
    return { accuracy: right / TESTED, predictions: guesses.slice(0, SHOWN) };
  }
}

function arrays(size: number) {
  return {
    x: { shape: [size, 1, 28, 28], data: new Float32Array(size * PIXELS) },
    y: { shape: [size], data: new Int32Array(size) },
  };
}

function tell(event: Event): void {
  postMessage(event);
}
