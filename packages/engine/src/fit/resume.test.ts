import {
  accumulate,
  adam,
  adashift,
  type CompiledOptimizer,
  compileOptimizer,
  mulberry32,
  type Optimizer,
  reduceOnPlateau,
  sam,
  scheduleFreeAdamW,
  sgd,
} from "@adastra/core";
import { CheckpointDirectory, memoryFiles } from "@adastra/core/checkpoint";
import { describe, expect, test } from "vitest";
import { common, held, loss, model, ROWS, type Rows, started } from "../../testing/fitting.ts";
import { type FitOptions, type FitResult, fit, type StepReport } from "../index.ts";

describe("checkpoints", () => {
  const methods: readonly (readonly [string, Optimizer])[] = [
    ["adashift", adashift({ n: 3 })],
    ["accumulate(2, adam)", accumulate(2, adam())],
    ["sam(sgd with momentum)", sam(sgd({ momentum: 0.9 }))],
    ["scheduleFreeAdamW", scheduleFreeAdamW()],
  ];
  const plateau = () => reduceOnPlateau(0.05, { patience: 0, threshold: 0.5 });

  test.each(methods)(
    "%s stopped after any step, and resumed, is the unbroken run",
    async (_, method) => {
      /** Runs to the end, stopped after each of these steps and begun again from nothing but the files. */
      const train = async (stops: readonly number[]) => {
        const directory = new CheckpointDirectory(memoryFiles());
        let end: { result: FitResult; optimizer: CompiledOptimizer; state: object } | undefined;
        for (const stop of [...stops, undefined]) {
          const learningRate = plateau();
          const { state } = started();
          const optimizer = compileOptimizer(method, {
            params: model.init(mulberry32(7), [5]),
            learningRate,
          });
          const result = await fit(loss, {
            ...common,
            optimizer,
            state,
            validation: { data: held, batchSize: 4 },
            earlyStopping: { patience: 3 },
            checkpoint: { directory, schedule: learningRate },
            onStep: ({ step }, control) => step === stop && control.stop(),
            onEpoch: ({ validation }) => learningRate.report(validation?.["loss"] ?? 0),
          });
          expect(result.status).toBe(stop === undefined ? "finished" : "stopped");
          end = { result, optimizer, state };
        }
        return { ...end, saved: end?.optimizer.save() };
      };
      const whole = await train([]);
      const steps = whole.result?.step ?? 0;
      expect(steps).toBeGreaterThanOrEqual(6);
      expect(whole.result?.best?.epoch).toBeGreaterThan(0);
      const broken = await train(Array.from({ length: steps }, (__, i) => i + 1));
      expect(broken.result).toEqual(whole.result);
      expect(broken.saved).toEqual(whole.saved);
      expect(broken.state).toEqual(whole.state);
    },
  );

  test("of a process that is gone, the steps since the last checkpoint are taken again", async () => {
    const directory = new CheckpointDirectory(memoryFiles());
    const options = { ...common, checkpoint: { directory, every: 3 } };
    const crash = started();
    const crashing = fit(loss, {
      ...options,
      ...crash,
      onStep: ({ step }) => {
        if (step === 8) {
          throw new Error("power cut");
        }
      },
    });
    await expect(crashing).rejects.toThrow("power cut");
    expect(await directory.list()).toEqual([3, 4, 6]);
    const steps: number[] = [];
    const resumed = started();
    const onStep = ({ step }: StepReport) => steps.push(step);
    const end = await fit(loss, { ...options, ...resumed, onStep });
    expect(steps).toEqual([7, 8, 9, 10, 11, 12]);
    const whole = started();
    expect(end).toEqual(await fit(loss, { ...common, ...whole }));
    expect(resumed.optimizer.save()).toEqual(whole.optimizer.save());
    // A run that is over has nothing left to do.
    const again = started();
    expect(await fit(loss, { ...options, ...again, onStep })).toEqual(end);
    expect(steps).toHaveLength(6);
  });

  test("refuse another order, seed, model, or file, and change nothing", async () => {
    const directory = new CheckpointDirectory(memoryFiles());
    const checkpoint = { directory };
    await fit(loss, { ...common, ...started(), checkpoint, epochs: 1 });
    const refused = async (options: Partial<FitOptions<Rows>>, message: string) => {
      const fresh = started();
      const before = [fresh.optimizer.save(), JSON.stringify(fresh.state)];
      await expect(fit(loss, { ...common, ...fresh, checkpoint, ...options })).rejects.toThrow(
        message,
      );
      expect([fresh.optimizer.save(), JSON.stringify(fresh.state)]).toEqual(before);
    };
    const hint = "; pass what it was saved with, or another directory";
    await refused({ batchSize: 5 }, `fit: the checkpoint was saved with batchSize 6, got 5${hint}`);
    await refused(
      { shuffle: false },
      `fit: the checkpoint was saved with shuffle true, got false${hint}`,
    );
    await refused({ data: held }, `fit: the checkpoint was saved with rows ${ROWS}, got 10${hint}`);
    await refused(
      { random: mulberry32(6) },
      `fit: \`random\` must have the seed of the checkpoint, got another${hint}`,
    );
    const { state } = started();
    await refused(
      { state: { ...state, more: { shape: [1], data: Float32Array.of(1) } } },
      `fit: \`state\` must hold 0 numbers at "more", as the checkpoint does, got 1${hint}`,
    );
    await refused({ optimizer: started(sgd()).optimizer }, "load: state.optimizer must be");
    const { optimizer } = started();
    const bare = new CheckpointDirectory(memoryFiles());
    await bare.save(1, { optimizer: optimizer.save() });
    await refused(
      { checkpoint: { directory: bare } },
      `fit: a checkpoint to resume must hold "adastra-fit/1", got undefined${hint}`,
    );
  });
});
