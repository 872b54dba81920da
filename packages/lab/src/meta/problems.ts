/** The problems of meta-learning by name. */

import { tasksOf } from "@adastra/meta";
import { type BrownDocument, brownData, loadBrown, type Split } from "../data/brown.ts";
import { hanziData, loadHanzi } from "../data/hanzi.ts";
import { loadMnist, mnistData } from "../data/mnist.ts";
import { characterTokens } from "../data/tokens.ts";
import { nearest } from "../lookUp.ts";
import { type MetaInfo, type MetaProblem, openMeta } from "./metaProblem.ts";

/** Drawings of a character to judge by. */
const queries = 5;
/** Drawings of a character that tasks of meta-training have, more than test tasks, as in published Reptile. */
const trainShots = 15;

export const sinusoidProblem: MetaProblem = {
  info: {
    name: "sinusoid",
    title: "sinusoid regression, 10 points, perceptron of two layers of 64, Reptile",
    metric: { name: "mean squared error", better: "lower", unit: "" },
    data: [],
    rounds: 1500,
    rates: { aruba: 0.05, "aruba-isotropic": 0.02, adam: 0.003, sgd: 0.02, fomaml: 0.02 },
    shots: 10,
  },
  open: async () => {
    const [{ nn }, { regression }, { sinusoids }] = await Promise.all([
      import("@adastra/engine"),
      import("./metaModel.ts"),
      import("@adastra/meta"),
    ]);
    return openMeta({
      kind: "few-shot",
      model: regression(
        nn.sequential(nn.dense(64), nn.tanh(), nn.dense(64), nn.tanh(), nn.dense(1)),
      ),
      train: sinusoids({ shots: 20 }),
      batches: { batchSize: 10, steps: 10 },
      tasksPerRound: 5,
      testTasks: (_, shots) => sinusoids({ shots }),
      testBatches: (shots) => ({ batchSize: Math.min(10, shots), steps: 32 }),
      scale: 1,
    });
  },
};

export const hanziProblem: MetaProblem = {
  info: {
    name: "hanzi-5way",
    title:
      "HanziStrokes (synthetic variation), 5 characters told apart, four 3x3 convolutions of 16, Reptile",
    metric: { name: "accuracy", better: "higher", unit: "%" },
    data: hanziData,
    rounds: 600,
    rates: { aruba: 0.2, "aruba-isotropic": 0.2, adam: 0.01, sgd: 0.2, fomaml: 0.2 },
    shots: 1,
  },
  open: async () => {
    const ways = 5;
    const [{ nn }, { classifier }, { glyphTasks, nearestNeighbour }] = await Promise.all([
      import("@adastra/engine"),
      import("./metaModel.ts"),
      import("./glyphTasks.ts"),
    ]);
    const all = loadHanzi();
    const of = (split: string) => all.filter((character) => character.split === split);
    const stage = () => [nn.conv2d(16, 3, { strides: 2, padding: 1 }), nn.relu()];
    return openMeta({
      kind: "few-shot",
      model: classifier(
        nn.sequential(...stage(), ...stage(), ...stage(), ...stage(), nn.flatten(), nn.dense(ways)),
        [1, 28, 28],
      ),
      train: glyphTasks({ characters: of("train"), ways, shots: trainShots, queries }),
      batches: { batchSize: 10, steps: 8 },
      tasksPerRound: 5,
      testTasks: (split, shots) => glyphTasks({ characters: of(split), ways, shots, queries }),
      testBatches: (shots) => ({ batchSize: shots === 1 ? 5 : 15, steps: 30 }),
      scale: 100,
      floor: nearestNeighbour,
    });
  },
};

export const skewedMnistProblem: MetaProblem = {
  info: {
    name: "mnist-skew",
    title: "MNIST, 400 clients of two digits each, 60 + 60 images, perceptron of 64, FedAvg",
    metric: { name: "accuracy", better: "higher", unit: "%" },
    data: mnistData,
    rounds: 200,
    rates: { aruba: 0.03, "aruba-isotropic": 0.03, adam: 0.001, sgd: 0.03 },
    testTasks: { valid: 60, test: 100 },
  },
  open: async () => {
    const [{ nn }, { classifier }, { skewedClients }] = await Promise.all([
      import("@adastra/engine"),
      import("./metaModel.ts"),
      import("./skewedTasks.ts"),
    ]);
    const clients = skewedClients(loadMnist().train, { clients: 400, train: 60, test: 60 });
    const splits = { valid: clients.slice(240, 300), test: clients.slice(300) };
    const batches = { batchSize: 10, epochs: 1 };
    return openMeta({
      kind: "federated",
      model: classifier(
        nn.sequential(nn.flatten(), nn.dense(64), nn.relu(), nn.dense(10)),
        [1, 28, 28],
      ),
      train: tasksOf(clients.slice(0, 240)),
      batches,
      tasksPerRound: 10,
      testTasks: (split) => tasksOf(splits[split]),
      testBatches: () => batches,
      scale: 100,
    });
  },
};

/** Clients of a split are documents; whoever trains sees documents of `train` alone. */
function brownClients(
  info: Pick<MetaInfo, "name" | "title" | "testTasks">,
  isIn: (document: Pick<BrownDocument, "genre" | "split">, split: Split) => boolean,
): MetaProblem {
  return {
    info: {
      ...info,
      metric: { name: "accuracy", better: "higher", unit: "%" },
      data: brownData,
      rounds: 100,
      rates: { aruba: 0.8, "aruba-isotropic": 0.4, adam: 0.001, sgd: 0.4 },
    },
    open: async () => {
      const [{ nn }, { classifier }, { documentClient }] = await Promise.all([
        import("@adastra/engine"),
        import("./metaModel.ts"),
        import("./documentTasks.ts"),
      ]);
      const context = 8;
      const { documents, vocabulary } = characterTokens(loadBrown());
      const clients = (split: Split) =>
        documents
          .filter((document) => isIn(document, split))
          .map((document) => documentClient(document, { context, train: 500, test: 500 }));
      const batches = { batchSize: 10, epochs: 1 };
      return openMeta({
        kind: "federated",
        model: classifier(
          nn.sequential(
            nn.embedding(vocabulary.tokens.length, 16, { init: nn.normal(0.1) }),
            nn.flatten(),
            nn.dense(64),
            nn.relu(),
            nn.dense(vocabulary.tokens.length),
          ),
          [context],
        ),
        train: tasksOf(clients("train")),
        batches,
        tasksPerRound: 10,
        testTasks: (split) => tasksOf(clients(split)),
        testBatches: () => batches,
        scale: 100,
      });
    },
  };
}

export const brownProblem: MetaProblem = brownClients(
  {
    name: "brown-documents",
    title:
      "Brown corpus, a document a client, the next of its characters from the 8 before, perceptron of 64, FedAvg",
    testTasks: { valid: 50, test: 50 },
  },
  (document, split) => document.split === split,
);

/** Genres whose documents are nobody's to train on. */
const HELD: Readonly<Record<"valid" | "test", readonly string[]>> = {
  valid: ["editorial", "hobbies"],
  test: ["humor", "mystery", "romance", "science_fiction"],
};

export const brownGenresProblem: MetaProblem = brownClients(
  {
    name: "brown-genres",
    title:
      "the same by genre skew: clients to judge by are humor, mystery, romance and science fiction, genres that none of the others has",
    testTasks: { valid: 63, test: 68 },
  },
  ({ genre }, split) =>
    split === "train"
      ? !Object.values(HELD).some((genres) => genres.includes(genre))
      : HELD[split].includes(genre),
);

export const metaProblems: readonly MetaProblem[] = [
  sinusoidProblem,
  hanziProblem,
  skewedMnistProblem,
  brownProblem,
  brownGenresProblem,
];

/** @throws RangeError naming the problems, for a name that is none. */
export function findMetaProblem(name: string): MetaProblem {
  const found = metaProblems.find(({ info }) => info.name === name);
  if (found === undefined) {
    const names = metaProblems.map(({ info }) => info.name);
    const hint = nearest(name, names);
    throw new RangeError(
      `meta: problem must be one of ${names.join(", ")}, got "${name}"${hint === undefined ? "" : `; did you mean "${hint}"?`}`,
    );
  }
  return found;
}
