import { describe, expect, test } from "vitest";
import { catalogue } from "../../optimizers.ts";
import { bindOurs, bytesOf, entries, trafficOf } from "./ours.ts";
import { createProblem } from "./problem.ts";
import { parseSize } from "./sizes.ts";

const clock = { now: () => 0 };
const problem = createProblem(parseSize("test", "64"));

describe.each(entries)("$title", ({ name, build, traffic }) => {
  const { compiled } = bindOurs(build(), problem, clock);

  test("is held to a kernel with the same reads and writes, pass by pass", () => {
    const { compiled: moved } = bindOurs(traffic.build(), problem, clock);
    expect(trafficOf(moved)).toEqual(trafficOf(compiled));
  });

  test("has its name from the catalogue of compare", () => {
    expect(catalogue.map((entry) => entry.name)).toContain(name);
  });
});

test("bytes a parameter are those of the arrays that the formulas need", () => {
  const bytes = entries.map(({ name, build }) => [
    name,
    bytesOf(bindOurs(build(), problem, clock).compiled),
  ]);
  // p and every state read and written, g read: Adam 4·(2 + 2·2 + 1). Adai reads g and v twice.
  expect(Object.fromEntries(bytes)).toEqual({
    adam: 28,
    adamw: 28,
    momentum: 20,
    adashift: 24,
    adai: 44,
    fastadabelief: 36,
    "cprop-adam": 36,
  });
});
