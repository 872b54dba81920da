import { mulberry32 } from "@adastra/core";
import { describe, expect, test } from "vitest";
import { loadHanzi } from "../data/hanzi.ts";
import { loadMnist } from "../data/mnist.ts";
import { documentClient } from "./documentTasks.ts";
import { glyphTasks, nearestNeighbour } from "./glyphTasks.ts";
import { brownGenresProblem, brownProblem } from "./problems.ts";
import { skewedClients } from "./skewedTasks.ts";

const characters = loadHanzi().filter(({ split }) => split === "test");
const pixels = 28 * 28;
/** 0 to 9. */
const tokens = new Int32Array(new SharedArrayBuffer(40));
tokens.set(Array.from(tokens, (_, i) => i));

describe("few-shot tasks of glyphs", () => {
  const source = glyphTasks({ characters, ways: 5, shots: 3, queries: 2 });
  const sampled = () => source.sample(2, mulberry32(1));

  test("have every character equally often, and no drawing in both support and query", () => {
    for (const task of sampled()) {
      const support = task.batch(Array.from({ length: task.examples }, (_, i) => i));
      const query = task.query();
      const count = (labels: Int32Array) =>
        [0, 1, 2, 3, 4].map((label) => labels.filter((each) => each === label).length);
      expect(count(support.y.data)).toEqual([3, 3, 3, 3, 3]);
      expect(count(query.y.data)).toEqual([2, 2, 2, 2, 2]);
      const pictures = [support, query].flatMap(({ x, y }) =>
        Array.from(y.data, (_, row) => x.data.slice(row * pixels, (row + 1) * pixels).join()),
      );
      expect(new Set(pictures).size).toBe(25);
    }
  });

  test("are the same by the same seed", () => {
    expect(sampled().map(({ name }) => name)).toEqual(sampled().map(({ name }) => name));
    expect(sampled()[0]?.batch([4, 1])).toEqual(sampled()[0]?.batch([4, 1]));
  });

  test("leave the nearest neighbour above chance and below certainty", () => {
    const one = glyphTasks({ characters, ways: 5, shots: 1, queries: 5 });
    const scores = one.sample(100, mulberry32(2)).map(nearestNeighbour);
    const share = scores.reduce((sum, score) => sum + score, 0) / scores.length;
    // 100 tasks of 25 questions: a standard error of about 1.5 points around 55.
    expect(share).toBeGreaterThan(0.48);
    expect(share).toBeLessThan(0.62);
  });

  test("of more drawings or characters than there are, are refused", () => {
    const options = { characters, ways: 5, shots: 1, queries: 1 };
    expect(() => glyphTasks({ ...options, shots: 20 })).toThrow(
      "glyphTasks: `shots` and `queries` must be at least 1 and together at most 20, got 20 and 1",
    );
    expect(() => glyphTasks({ ...options, ways: 401 })).toThrow(
      "glyphTasks: `ways` must be from 2 to the 400 characters there are, got 401",
    );
  });
});

describe("clients by label skew", () => {
  const { train } = loadMnist();
  const clients = skewedClients(train, { clients: 40, train: 20, test: 10 });

  test("hold two digits each, half of each, and share no picture", () => {
    const seen = new Set<string>();
    for (const client of clients) {
      const own = client.batch(Array.from({ length: client.examples }, (_, i) => i));
      const asked = client.query();
      expect([own.y.data.length, asked.y.data.length]).toEqual([20, 10]);
      const labels = new Set([...own.y.data, ...asked.y.data]);
      expect(labels.size).toBe(2);
      for (const { x } of [own, asked]) {
        for (let row = 0; row < x.data.length; row += pixels) {
          seen.add(x.data.slice(row, row + pixels).join());
        }
      }
    }
    expect(seen.size).toBe(40 * 30);
  });

  test("of more pictures than there are, are refused", () => {
    expect(() => skewedClients(train, { clients: 400, train: 200, test: 200 })).toThrow(
      /^skewedClients: 400 clients must have 400 images each, got no more of label \d; ask for fewer$/,
    );
  });
});

describe("documents as clients", () => {
  const document = { name: "ca01", genre: "news", split: "test", tokens } as const;

  test("tell each character from those right before it, and are judged by what follows", () => {
    const client = documentClient(document, { context: 3, train: 4, test: 2 });
    expect(client).toMatchObject({ name: "ca01, news", examples: 4 });
    expect(client.batch([0, 3])).toEqual({
      x: { shape: [2, 3], data: Int32Array.of(0, 1, 2, 3, 4, 5) },
      y: { shape: [2], data: Int32Array.of(3, 6) },
    });
    expect(client.query().y.data).toEqual(Int32Array.of(7, 8));
  });

  test("that are too short are refused by name", () => {
    expect(() => documentClient(document, { context: 3, train: 4, test: 4 })).toThrow(
      'documentClient: "ca01" must hold 11 characters, got 10; ask for fewer',
    );
  });
});

describe.each([brownProblem, brownGenresProblem])("$info.name", (problem) => {
  test.each(["valid", "test"] as const)("has as many %s clients as it says", async (split) => {
    const opened = await problem.open();
    const tasks = problem.info.testTasks?.[split] ?? Number.NaN;
    const params = opened.start({ method: "sgd", rate: 0.1, rounds: 1, seed: 1 }).params;
    const judge = (count: number) =>
      opened.evaluate({
        method: "sgd",
        seed: 1,
        split,
        tasks: count,
        shots: 0,
        params,
        adapt: null,
        signal: AbortSignal.abort(),
      });
    expect(await judge(tasks)).toEqual([]);
    await expect(judge(tasks + 1)).rejects.toThrow(`from 1 to the ${tasks} tasks there are`);
  });
});
