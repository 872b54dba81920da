import { expect, it } from "vitest";
import { Outbox, type Outgoing } from "./outbox.ts";

const frame = (kind: Outgoing["kind"], bytes: number): Outgoing => ({
  kind,
  bytes,
  pieces: [new Uint8Array(bytes)],
});

it("frames come out in order; newer values take the place of older ones", () => {
  const outbox = new Outbox();
  const frames = [
    frame("values", 100),
    frame("have", 40),
    frame("snapshot", 90),
    frame("values", 110),
    frame("beat", 56),
    frame("snapshot", 91),
  ];
  expect(frames.map((one) => outbox.add(one))).toEqual(frames.map(() => true));
  const got = Array.from({ length: 5 }, () => outbox.next());
  expect(got.map((one) => one && [one.kind, one.bytes])).toEqual([
    ["have", 40],
    ["values", 110],
    ["beat", 56],
    ["snapshot", 91],
    undefined,
  ]);
});

it("small messages wait up to 1 MiB, and again once they are out", () => {
  const outbox = new Outbox();
  const taken = Array.from({ length: 20 }, () => outbox.add(frame("beat", 100_000)));
  expect(taken.filter(Boolean)).toHaveLength(10);
  expect(outbox.add(frame("values", 1e7))).toBe(true);
  outbox.next();
  expect([outbox.add(frame("have", 100_000)), outbox.add(frame("have", 100_000))]).toEqual([
    true,
    false,
  ]);
});

it("small frames in front are taken together, up to a size, and never past a large one", () => {
  const outbox = new Outbox();
  [frame("have", 40), frame("have", 40), frame("values", 500), frame("have", 40)].forEach((one) =>
    outbox.add(one),
  );
  expect(outbox.takeSmall(79)).toHaveLength(1);
  expect(outbox.takeSmall(79)).toHaveLength(1);
  expect(outbox.takeSmall(79)).toHaveLength(0);
  expect(outbox.next()?.kind).toBe("values");
  expect(outbox.takeSmall(79)).toHaveLength(1);
});
