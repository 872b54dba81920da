/**
 * What plain methods reach on the data sets: the floors in docs/data.md.
 *
 *     node scripts/dataFloors.mjs [--json]        needs `npm run build`; Fashion-MNIST where it is found
 *
 * Images: Adam at 1e-3, batches of 100 in an order of seed 1, test accuracy in percent after the last epoch. Text:
 * perplexity of the test documents by counts of the training documents.
 */

import process from "node:process";
import { adam, compileOptimizer, mulberry32 } from "@adastra/core";
import { compile, compileForward, nn } from "@adastra/engine";
import * as data from "adastra/data";

const BATCH = 100;
const EVALUATED = 500;

async function accuracy({ train, test }, hidden, epochs) {
  const model = nn.sequential(
    ...hidden.flatMap((width) => [nn.dense(width), nn.relu()]),
    nn.dense(10),
  );
  const params = model.init(mulberry32(1).fork("initialise"), [train.pixelsPerImage]);
  const trained = data.emptyBatch(train, BATCH);
  const evaluated = data.emptyBatch(test, EVALUATED);
  const gradient = await compile((p, { x, y }) => nn.softmaxCrossEntropy(model.apply(p, x), y), {
    params,
    example: trained,
  });
  const scores = await compileForward(
    (p, { x, y }) => ({ correct: nn.correct(model.apply(p, x), y).sum() }),
    { params, example: evaluated },
  );
  const optimizer = compileOptimizer(adam(), { params, learningRate: 1e-3 });
  const order = data.inOrder(train.count);
  const random = mulberry32(1).fork("order");
  const fill = data.batchFiller(train);
  for (let epoch = 0; epoch < epochs; epoch++) {
    data.shuffle(order, random);
    for (let first = 0; first + BATCH <= order.length; first += BATCH) {
      fill(trained, order, first);
      await gradient.run(trained, optimizer.params, optimizer.gradients);
      optimizer.step();
    }
  }
  const fillTest = data.batchFiller(test);
  let correct = 0;
  for (let first = 0; first < test.count; first += EVALUATED) {
    fillTest(evaluated, data.inOrder(test.count), first);
    correct += (await scores.run(evaluated, optimizer.params)).correct.data[0];
  }
  await gradient.dispose();
  await scores.dispose();
  return (100 * correct) / test.count;
}

const floors = [];
const report = (what, value, unit) => {
  floors.push({ what, value, unit });
  if (!process.argv.includes("--json")) {
    console.log(`${value.toFixed(1).padStart(6)} ${unit.padEnd(10)}  ${what}`);
  }
};

const mnist = data.loadMnist();
report("MNIST, softmax regression, 5 epochs", await accuracy(mnist, [], 5), "%");
const fashion = data.dataSets.find(({ set }) => set.name === "fashion-mnist");
if (data.stateOf(fashion).status === "found") {
  report(
    "Fashion-MNIST, softmax regression, 5 epochs",
    await accuracy(data.loadFashion(), [], 5),
    "%",
  );
}
const colour = data.colourMnist(mnist);
for (const epochs of [1, 5, 20]) {
  const value = await accuracy(colour, [], epochs);
  report(`MNIST-on-noise, 20,000 images, softmax regression, ${epochs} epochs`, value, "%");
}
const perceptron = await accuracy(colour, [256], 10);
report("MNIST-on-noise, 20,000 images, perceptron of 256, 10 epochs", perceptron, "%");
const { train, test, vocabulary } = data.wordTokens(data.loadBrown());
const size = vocabulary.tokens.length;
report("Brown, unigram", data.unigramPerplexity(train, test, size), "perplexity");
report("Brown, Kneser-Ney bigram", data.bigramPerplexity(train, test, size), "perplexity");
if (process.argv.includes("--json")) {
  console.log(JSON.stringify({ floors }));
}
