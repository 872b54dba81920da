import { afterEach, describe, expect, it } from "vitest";
import type { Message } from "../../protocol/message.ts";
import type { Transport } from "../transport.ts";
import { layoutOf, startNode, type TestRun, testRun, until } from "./testNodes.ts";

const open = new Set<Transport>();

afterEach(async () => {
  await Promise.all([...open].map((transport) => transport.close()));
  open.clear();
});

async function start(run: TestRun, peer: number, more = {}) {
  const transport = await startNode(run, peer, { retryMs: [5, 20], ...more });
  open.add(transport);
  const heard: string[] = [];
  transport.listen({
    message: (from, message) => heard.push(`${message.kind} of ${from}`),
    up: (other) => heard.push(`up ${other}`),
    down: (other) => heard.push(`down ${other}`),
  });
  return { transport, heard };
}

const have: Message = { kind: "have", round: 1 };

describe.each([
  ["that dials", 0, 1],
  ["that is dialled", 1, 0],
])("a neighbour %s", (_, leaves, stays) => {
  it("is found again when it comes back, however often", async () => {
    const run = await testRun(2, layoutOf(4));
    const host = await start(run, stays);
    for (let session = 1; session <= 3; session++) {
      const other = await start(run, leaves);
      await until(() => host.heard.length === 4 * session - 3);
      await until(() => other.heard.length === 1);
      other.transport.send(stays, have);
      host.transport.send(leaves, have);
      await until(() => host.heard.length === 4 * session - 2 && other.heard.length === 2);
      other.transport.send(stays, { kind: "leave" });
      await other.transport.close();
      await until(() => host.heard.length === 4 * session);
    }
    const session = [`up ${leaves}`, `have of ${leaves}`, `leave of ${leaves}`, `down ${leaves}`];
    expect(host.heard).toEqual([...session, ...session, ...session]);
  });

  it("that says nothing for too long is dialled anew", async () => {
    const run = await testRun(2, layoutOf(4));
    const host = await start(run, stays, { silenceMs: 50 });
    await start(run, leaves);
    await until(() => host.heard.length >= 4);
    expect(host.heard.slice(0, 4)).toEqual([
      `up ${leaves}`,
      `down ${leaves}`,
      `up ${leaves}`,
      `down ${leaves}`,
    ]);
  });
});

it("a second process of the same peer takes the place of the first", async () => {
  const run = await testRun(2, layoutOf(4));
  const host = await start(run, 1);
  const first = await start(run, 0, { listen: [] });
  await until(() => first.heard.length === 1);
  // The first does not dial anew so soon: no tug of war.
  const second = await start(run, 0, { listen: [] });
  await until(() => first.heard.includes("down 1") && second.heard.length === 1);
  await first.transport.close();
  await until(() => host.heard.at(-1) === "up 0");
  await until(() => second.heard.at(-1) === "up 1");
  second.transport.send(1, have);
  await until(() => host.heard.at(-1) === "have of 0");
  expect(host.heard.slice(0, 3)).toEqual(["up 0", "down 0", "up 0"]);
});
