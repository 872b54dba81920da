import { expect, test } from "vitest";
import { type Contestant, interleave } from "./interleave.ts";

/** A contestant that notes when it ran and takes the times given, in turn. */
function contestant(name: string, log: string[], times: readonly number[] = [1]): Contestant {
  let call = 0;
  return {
    name,
    run: () => {
      log.push(name);
      return times[call++ % times.length] as number;
    },
  };
}

test("everyone runs once a round, in the opposite order every other round", async () => {
  const log: string[] = [];
  await interleave([contestant("a", log), contestant("b", log), contestant("c", log)], {
    rounds: 3,
    warmups: 1,
  });
  expect(log.join("")).toBe("cbaabccbaabc");
});

test("a slow one takes part in its share of the rounds, evenly spread", async () => {
  const log: string[] = [];
  const rounds: number[] = [];
  const timings = await interleave([contestant("a", log), { ...contestant("s", log), rounds: 3 }], {
    rounds: 9,
    onRound: (done) => rounds.push(done),
  });
  // In the third, sixth and ninth round; the sixth runs in the opposite order.
  expect(log.join("")).toBe("aaasaasaaaas");
  expect(timings.map(({ name, rounds: done }) => [name, done])).toEqual([
    ["a", 9],
    ["s", 3],
  ]);
  expect(rounds).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test("a slow one sits out the warm-ups", async () => {
  const log: string[] = [];
  const slow = { ...contestant("s", log), rounds: 1 };
  await interleave([contestant("a", log), slow], { rounds: 2, warmups: 2 });
  expect(log.join("")).toBe("aaasa");
});

test("minimum, median and spread are those of the rounds, warm-ups left out", async () => {
  const times = [99, 5, 1, 3, 2, 4];
  const [timing] = await interleave([contestant("a", [], times)], { rounds: 5, warmups: 1 });
  expect(timing).toEqual({ name: "a", rounds: 5, minMs: 1, medianMs: 3, spread: 5 });
});

test("an interruption ends after the run under way and keeps what was timed", async () => {
  const controller = new AbortController();
  const log: string[] = [];
  const stopper: Contestant = {
    name: "b",
    run: () => {
      log.push("b");
      if (log.length > 4) {
        controller.abort();
      }
      return 1;
    },
  };
  const timings = await interleave([contestant("a", log), stopper, contestant("c", log)], {
    rounds: 9,
    signal: controller.signal,
  });
  expect(log.join("")).toBe("abccb");
  expect(timings.map(({ name, rounds }) => [name, rounds])).toEqual([
    ["a", 1],
    ["b", 2],
    ["c", 2],
  ]);
});

test("one that was interrupted before its first round is not in the result", async () => {
  const controller = new AbortController();
  const stopper: Contestant = { name: "a", run: () => (controller.abort(), 1) };
  const timings = await interleave([stopper, contestant("b", [])], {
    rounds: 2,
    signal: controller.signal,
  });
  expect(timings.map(({ name }) => name)).toEqual(["a"]);
});
