import { execFile } from "node:child_process";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { promisify } from "node:util";
import { loadIdentity, readInvitation } from "@adastra/swarm/libp2p";
import { beforeAll, describe, expect, test } from "vitest";
import { swarmCommand } from "../cli/swarmCommand.ts";
import { freePorts } from "../freePorts.ts";
import { type MemberOptions, type MemberResult, runMember } from "./member.ts";

const PEERS = 3;

/** The command, in this process. */
async function command(action: string, options: Parameters<typeof swarmCommand>[1]) {
  let out = "";
  const exitCode = await swarmCommand(action, options, {
    terminal: {
      out: (text) => {
        out += text;
      },
      err: () => undefined,
      isTty: false,
    },
    clock: performance,
    randomBytes: (count) => new Uint8Array(count).fill(count),
    onInterrupt: () => () => undefined,
  });
  return { exitCode, out };
}

describe("real peers on loopback", () => {
  let folder: string;
  let founder: string;
  const file = (name: string): string => join(folder, name);

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "adastra-member-"));
    const ports = await freePorts(PEERS);
    const ids: string[] = [];
    for (let peer = 0; peer < PEERS; peer++) {
      ids.push((await command("identity", { key: file(`key${peer}`) })).out.trim());
    }
    [founder = ""] = ids;
    const { out } = await command("invite", {
      key: file("key0"),
      invitation: file("invitation.json"),
      members: ids.map((id, peer) => ({ id, addresses: [`/ip4/127.0.0.1/tcp/${ports[peer]}`] })),
      problem: "mnist-softmax",
      rates: [3e-3],
      skew: { kind: "labels", each: 4 },
      rounds: 60,
    });
    expect(out).toMatch("run 0808080808080808 of 3 peers, 60 rounds of damsgrad");
  }, 60_000);

  const member = async (peer: number, more: Partial<MemberOptions> = {}): Promise<MemberResult> =>
    runMember({
      roster: await readInvitation(await readFile(file("invitation.json"), "utf8"), founder),
      identity: await loadIdentity(file(`key${peer}`)),
      clock: performance,
      session: peer,
      state: file(`state${peer}`),
      ...more,
    });

  test("train together to the last round, keep their state, and have nothing left to do then", async () => {
    const results = await Promise.all([member(0), member(1), member(2)]);
    for (const { round, metric, traffic, mixed, dropped, unknown } of results) {
      expect(round).toBe(60);
      // With four labels of its own a peer alone knows 40 %.
      expect(metric).toBeGreaterThan(60);
      expect(mixed).toBeGreaterThan(dropped + unknown);
      expect(traffic.refused).toEqual({});
    }
    const again = await member(0, { gatherMs: 1 });
    expect(again).toMatchObject({ rounds: 0, round: 60, metric: results[0]?.metric });
  }, 60_000);

  test("a state of another run is refused, and left as it is", async () => {
    const text = await readFile(file("invitation.json"), "utf8");
    const roster = await readInvitation(text, founder);
    await expect(member(0, { roster: { ...roster, run: "00000000000000ff" } })).rejects.toThrow(
      `swarm: the state in ${file("state0")} must be of run 00000000000000ff, got one of 0808080808080808; name another folder`,
    );
  }, 60_000);

  test("a run goes on with another peer on another graph, and not back", async () => {
    const stranger = (await command("identity", { key: file("key3") })).out.trim();
    const text = await readFile(file("invitation.json"), "utf8");
    const { peers } = await readInvitation(text, founder);
    const next = { key: file("key0"), continues: file("invitation.json") } as const;
    const { out } = await command("invite", {
      ...next,
      invitation: file("next.json"),
      // The new peer only dials.
      members: [...peers, { id: stranger, addresses: [] }],
      graph: "complete",
      rounds: 90,
    });
    expect(out).toMatch("run 0808080808080808, graph epoch 1 of 4 peers, 90 rounds of damsgrad");
    const roster = await readInvitation(await readFile(file("next.json"), "utf8"), founder);
    const results = await Promise.all([0, 1, 2, 3].map((peer) => member(peer, { roster })));
    for (const [peer, { round, rounds, metric, mixed, traffic }] of results.entries()) {
      expect(round).toBe(90);
      // All go on from round 60, the new one from what a neighbour has.
      expect(rounds).toBeLessThanOrEqual(30);
      expect(mixed).toBeGreaterThan(0);
      expect(metric, `peer ${peer}`).toBeGreaterThan(60);
      expect(traffic.refused).toEqual({});
    }
    await expect(member(0)).rejects.toThrow(
      `swarm: the state in ${file("state0")} must be of graph epoch 0 or before, got one of 1; name another folder`,
    );
    await expect(command("invite", { ...next, rates: [0.1] })).rejects.toThrow(
      "swarm: --rates must stay what it is in a run that goes on, got another; leave it out",
    );
  }, 60_000);

  test("an invitation of somebody else, or one that was changed, is refused", async () => {
    const { out: stranger } = await command("identity", { key: file("stranger") });
    const join = (invitation: string, from: string) =>
      command("join", { key: file("key1"), invitation, founder: from });
    await expect(join(file("invitation.json"), stranger.trim())).rejects.toThrow(
      "readInvitation: an invitation must be of",
    );
    const text = await readFile(file("invitation.json"), "utf8");
    await writeFile(file("changed.json"), text.replace('"damsgrad"', '"dadam"'));
    await expect(join(file("changed.json"), founder)).rejects.toThrow(
      "readInvitation: an invitation must bear its founder's signature",
    );
  });

  test("a config that this version does not know is refused in a sentence", async () => {
    const roster = await readInvitation(await readFile(file("invitation.json"), "utf8"), founder);
    const config = roster.config as object;
    await expect(
      member(0, { roster: { ...roster, config: { ...config, rounds: 0 } } }),
    ).rejects.toThrow(
      "swarm: the invitation: `rounds` must be an integer of at least 1, got 0; ask its founder for another",
    );
    await expect(
      member(0, { roster: { ...roster, config: { ...config, method: "gossip" } } }),
    ).rejects.toThrow(RangeError);
  });

  test("a peer tells about itself on loopback, and nobody answers where there is none", async () => {
    const { serveMetrics } = await import("./metrics.ts");
    const metrics = await serveMetrics(0);
    try {
      const report = { peer: 0, round: 7, loss: 0.5, ms: 20, mixed: 2, dropped: 1, unknown: 0 };
      metrics.observe({ ...report, late: 0, distance: 0.1, awaited: 2 }, 250, {
        sent: 1000,
        received: 2000,
        refused: { uninvited: 3 },
      });
      const { out } = await command("status", { metrics: metrics.port, json: true });
      expect(JSON.parse(out)).toEqual({
        round: 7,
        loss: 0.5,
        distance: 0.1,
        neighbors_awaited: 2,
        longest_stall_seconds: 0.25,
        round_seconds: 0.02,
        sent_bytes: 1000,
        received_bytes: 2000,
        "edges_total mixed": 2,
        "edges_total dropped": 1,
        "edges_total unknown": 0,
        "edges_total late": 0,
        "refused uninvited": 3,
      });
    } finally {
      await metrics.close();
    }
    await expect(command("status", { metrics: metrics.port })).rejects.toThrow(
      `swarm: a peer must answer at http://127.0.0.1:${metrics.port}/metrics, got fetch failed; join with --metrics ${metrics.port}`,
    );
  });

  test("a key that others may read is refused", async () => {
    await promisify(execFile)("chmod", ["644", file("stranger")]);
    await expect(command("identity", { key: file("stranger") })).rejects.toThrow(
      "loadIdentity: only the owner may read",
    );
  });
});
