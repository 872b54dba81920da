/** Runs cases of ARUBA: recorded gradients through the meta-learner of @adastra/meta. */

import type { GradientSource, Leaves } from "@adastra/core";
import { mulberry32 } from "@adastra/core";
import {
  arubaSgd,
  type Client,
  collectingSgd,
  type LocalTrainingOptions,
  localTraining,
  metaLearner,
  type Start,
  type Task,
  type TaskResult,
} from "@adastra/meta";
import type { ArubaInputs, Tensors } from "./arubaCase.ts";
import type { ReplayOptions } from "./options.ts";
import { given, type Options, Reader, UnsupportedError } from "./reader.ts";

/** What a case makes, in the layout of the schema. */
export interface ArubaRun {
  readonly rounds: readonly {
    readonly tasks: readonly {
      readonly params: readonly Tensors[];
      readonly bsq: Tensors;
      readonly gsq: Tensors;
      readonly eta: Tensors;
    }[];
    readonly phi: Tensors;
    readonly eta: Tensors;
  }[];
  readonly finetune: readonly { readonly coef: number; readonly params: readonly Tensors[] }[];
}

/**
 * Trains on every task of every round, and then on the tasks of meta-test.
 *
 * @throws UnsupportedError for an option that would be ignored, TypeError or RangeError for a case that cannot be run as written.
 */
export async function runAruba(
  inputs: ArubaInputs,
  options: Options,
  { backend, dtype }: ReplayOptions,
): Promise<ArubaRun> {
  const settings = settingsOf(options);
  const paths = inputs.shapes.map((_, tensor) => `tensor${tensor}`);
  const params = Object.fromEntries(
    inputs.shapes.map((shape, tensor) => [
      paths[tensor],
      { shape, data: Float64Array.from(inputs.init[tensor] ?? []) },
    ]),
  );
  const tensorsOf = (leaves: Leaves): Tensors =>
    paths.map((path) => Array.from(leaves[path]?.data ?? []));
  /** Trains from recorded gradients; keeps the parameters after every step. */
  const train = async (
    grads: readonly Tensors[],
    start: Start,
    optimizer: LocalTrainingOptions<null>["optimizer"],
  ): Promise<{ readonly result: TaskResult; readonly steps: readonly Tensors[] }> => {
    const seen: Tensors[] = [];
    const gradients: GradientSource<null> = {
      run: async (_, at, into) => {
        const recorded = grads[seen.length];
        seen.push(tensorsOf(at));
        paths.forEach((path, tensor) => {
          into[path]?.data.set(recorded?.[tensor] ?? []);
        });
        return { loss: 0, aux: {} };
      },
    };
    const task: Task<null> = {
      name: "recorded",
      examples: grads.length,
      batch: () => null,
      query: () => null,
    };
    const training = localTraining<null>({
      params,
      gradients,
      optimizer,
      batches: { batchSize: 1, epochs: 1 },
      dtype,
      backend,
    });
    const result = await training.train(task, start, mulberry32(0));
    return { result, steps: [...seen.slice(1), tensorsOf(result.params)] };
  };

  const trained: ArubaRun["rounds"][number]["tasks"][number][] = [];
  let steps: readonly Tensors[][] = [];
  const learner = metaLearner({
    name: "aruba",
    params,
    aruba: settings,
    weighting: "examples",
    metaStep: (round) => inputs.rounds[round]?.metaStep ?? 1,
    dtype,
    backend,
    onTask: () => {
      const { b, gsq, rates } = aruba;
      const own = { bsq: tensorsOf(b), gsq: tensorsOf(gsq), eta: tensorsOf(rates) };
      trained.push({ params: steps[trained.length] ?? [], ...own });
    },
  });
  const aruba = learner.aruba as NonNullable<typeof learner.aruba>;
  const collecting = collectingSgd(settings.decayMode === "official");
  const rounds: ArubaRun["rounds"][number][] = [];
  for (const { tasks } of inputs.rounds) {
    const ofRound: Tensors[][] = [];
    steps = ofRound;
    trained.length = 0;
    const clients = tasks.map(
      ({ grads, weight }, k): Client =>
        async (start) => {
          const { result, steps: own } = await train(grads, start, collecting);
          ofRound[k] = [...own];
          return { ...result, examples: weight };
        },
    );
    await learner.run(clients);
    rounds.push({
      tasks: trained.slice(),
      phi: tensorsOf(learner.params),
      eta: tensorsOf(aruba.rates),
    });
  }
  const finetune = [];
  for (const { coef, grads } of inputs.finetune) {
    const start = { params: learner.params, optimizer: learner.preset(coef).optimizer };
    const mode = settings.mode ?? "coordinate";
    finetune.push({ coef, params: (await train(grads, start, arubaSgd({ mode, coef }))).steps });
  }
  return { rounds, finetune };
}

function settingsOf(options: Options) {
  const read = new Reader(options);
  const settings = given({
    eps: read.number("eps"),
    zeta: read.number("zeta"),
    learningRate: read.number("lr"),
    p: read.number("p"),
    decay: read.number("decay"),
    decayMode: read.text<"clean" | "official">("decayMode"),
    mode: read.text<"coordinate" | "isotropic">("mode"),
    refreshEvery: read.text<"task" | "round">("refreshEvery"),
    trainWithSgd: read.flag("trainWithSgd"),
  });
  if (read.leftOver.length > 0) {
    throw new UnsupportedError(`option ${read.leftOver.join(", ")} of "aruba"`);
  }
  return settings;
}

/** One kind of number, recorded and as it came out: `[moment][tensor][element]`, beside where it starts. */
export interface Compared {
  readonly init: Tensors;
  readonly expected: readonly Tensors[];
  readonly got: readonly Tensors[];
}

/** Everything that was recorded beside what came out, numbers of one kind together: their scales differ. */
export function comparisons(inputs: ArubaInputs, run: ArubaRun): readonly Compared[] {
  const pairs = {
    params: [] as [Tensors, Tensors][],
    bsq: [] as [Tensors, Tensors][],
    gsq: [] as [Tensors, Tensors][],
    eta: [] as [Tensors, Tensors][],
  };
  const add = (kind: keyof typeof pairs, expected: Tensors | undefined, got?: Tensors): void => {
    if (expected !== undefined) {
      pairs[kind].push([expected, got ?? []]);
    }
  };
  const addSteps = (expected: readonly Tensors[] | undefined, got?: readonly Tensors[]): void => {
    expected?.forEach((step, i) => {
      add("params", step, got?.[i]);
    });
  };
  inputs.rounds.forEach(({ tasks, phi, eta }, r) => {
    const round = run.rounds[r];
    tasks.forEach((task, k) => {
      const own = round?.tasks[k];
      addSteps(task.params, own?.params);
      add("bsq", task.bsq, own?.bsq);
      add("gsq", task.gsq, own?.gsq);
      add("eta", task.eta, own?.eta);
    });
    add("params", phi, round?.phi);
    add("eta", eta, round?.eta);
  });
  inputs.finetune.forEach(({ params }, i) => {
    addSteps(params, run.finetune[i]?.params);
  });
  return Object.entries(pairs).flatMap(([kind, found]) =>
    found.length === 0
      ? []
      : [
          {
            init: kind === "params" ? inputs.init : inputs.shapes.map(() => []),
            expected: found.map(([expected]) => expected),
            got: found.map(([, got]) => got),
          },
        ],
  );
}
