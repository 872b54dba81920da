import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fromEdges, ring } from "../../graph/graphs.ts";
import { lazy, metropolis } from "../../mixing/mixing.ts";
import {
  formatIdentity,
  generateIdentity,
  type Identity,
  identityFromSeed,
  parseIdentity,
} from "./identity.ts";
import { loadIdentity } from "./identityFile.node.ts";
import { createInvitation, readInvitation } from "./invitation.ts";
import { libp2pTransport } from "./libp2pTransport.ts";
import { dials, type Roster } from "./roster.ts";
import { layoutOf, realTimers, testIdentity, testRun } from "./testNodes.ts";

let roster: Roster;
let founder: Identity;

beforeAll(async () => {
  founder = await testIdentity(40);
  const run = await testRun(5, layoutOf(4), ring(5));
  const config = { method: "dadam", rates: [1e-3, 0.1], label: "ü" };
  roster = { ...run.roster, mixing: lazy(metropolis(ring(5))), config };
});

describe("an invitation", () => {
  it("brings the roster back, to the bit", async () => {
    const text = await createInvitation(roster, founder);
    expect(await readInvitation(text, founder.id)).toEqual(roster);
  });

  it("may be formatted anew, and says nothing about keys that JSON leaves out", async () => {
    const text = await createInvitation({ ...roster, config: { a: 1, b: undefined } }, founder);
    const again = JSON.stringify(JSON.parse(text));
    expect((await readInvitation(again, founder.id)).config).toEqual({ a: 1 });
  });

  it("of somebody else is refused, also where it bears the founder's name", async () => {
    const liar = await testIdentity(41);
    const text = await createInvitation(roster, liar);
    await expect(readInvitation(text, founder.id)).rejects.toThrow(
      new RangeError(
        `readInvitation: an invitation must be of ${founder.id}, got one of "${liar.id}"; ask for another, or name that founder if you trust him`,
      ),
    );
    const renamed = JSON.stringify({ ...JSON.parse(text), founder: founder.id });
    await expect(readInvitation(renamed, founder.id)).rejects.toThrow(
      new RangeError(
        `readInvitation: an invitation must bear its founder's signature, got a roster that was changed after ${founder.id} signed it, or never was; ask for another`,
      ),
    );
  });

  it("that was changed anywhere is refused", async () => {
    const text = JSON.stringify(JSON.parse(await createInvitation(roster, founder)));
    await fc.assert(
      fc.asyncProperty(
        fc.nat(text.length - 1),
        fc.integer({ min: 32, max: 126 }),
        async (at, code) => {
          const changed = text.slice(0, at) + String.fromCharCode(code) + text.slice(at + 1);
          fc.pre(changed !== text);
          // A digit of a number beyond its precision changes nothing; nothing else may pass.
          const read = await readInvitation(changed, founder.id).catch((error: unknown) => error);
          if (!(read instanceof RangeError || read instanceof SyntaxError)) {
            expect(read).toEqual(roster);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([
    [{ run: "xyz" }, '`run` must be 16 hexadecimal digits, got "xyz"'],
    [{ layout: 3 }, "`layout` must be 16 hexadecimal digits, got 3"],
    [{ epoch: -1 }, "`epoch` must be an integer of at least 0, got -1"],
    [{ peers: {} }, "`peers` must be a list, got {}"],
    [{ peers: [] }, '`mixing` must have a row for each of 0 peers, got "ring"'],
    [
      { mixing: { ...metropolis(ring(5)), own: [1, 1, 1, 1, Number.NaN] } },
      '`mixing` must have a row for each of 5 peers, got "ring"',
    ],
  ])("is not made of a roster with %j", async (change, message) => {
    await expect(createInvitation({ ...roster, ...change } as Roster, founder)).rejects.toThrow(
      new RangeError(`createInvitation: ${message}`),
    );
  });

  it("is not made where ids repeat or are none, or nobody can dial", async () => {
    const withPeers = (
      change: (peer: Roster["peers"][number], n: number) => object,
    ): Promise<string> =>
      createInvitation({ ...roster, peers: roster.peers.map(change) } as Roster, founder);
    await expect(withPeers((peer) => ({ ...peer, id: founder.id }))).rejects.toThrow(
      new RangeError(
        `createInvitation: every peer must have an id of its own, got "${founder.id}"`,
      ),
    );
    await expect(withPeers((peer) => ({ ...peer, id: "me" }))).rejects.toThrow(
      new RangeError('createInvitation: `id` must be the peer id of an Ed25519 key, got "me"'),
    );
    await expect(withPeers((peer) => ({ ...peer, addresses: ["10.0.0.1:80"] }))).rejects.toThrow(
      new RangeError(
        'createInvitation: an address must be a multiaddr without a peer id, got "10.0.0.1:80"',
      ),
    );
    await expect(
      withPeers((peer, n) => (n < 2 ? { ...peer, addresses: [] } : peer)),
    ).rejects.toThrow(
      new RangeError(
        'createInvitation: one end of every edge must have an address, got "none at 0 and 1"',
      ),
    );
  });

  it("is not made of shares that do not sum to 1", async () => {
    const mixing = { ...roster.mixing, own: roster.mixing.own.map((share) => share / 2) };
    await expect(createInvitation({ ...roster, mixing }, founder)).rejects.toThrow(RangeError);
  });
});

describe("the end that dials", () => {
  it("is one of each edge: the lower, or the one that does not listen", () => {
    const peers = roster.peers.map((peer, n) => (n === 1 ? { ...peer, addresses: [] } : peer));
    const some = { ...roster, peers };
    for (const [a, b] of [
      [0, 4],
      [2, 3],
      [1, 0],
      [1, 2],
    ] as const) {
      expect([dials(some, a, b), dials(some, b, a)]).toEqual([true, false]);
    }
  });
});

describe("a transport is not made", () => {
  it("for a peer that is not in the roster, nor for another model", async () => {
    const stranger = await testIdentity(60);
    const options = { roster, layout: layoutOf(4), timers: realTimers };
    await expect(libp2pTransport({ ...options, identity: stranger })).rejects.toThrow(
      new RangeError(
        `libp2pTransport: \`identity\` must be a peer of the roster, got ${stranger.id}; ask the founder for an invitation with it`,
      ),
    );
    const identity = await testIdentity(0);
    await expect(libp2pTransport({ ...options, identity, layout: layoutOf(5) })).rejects.toThrow(
      /^libp2pTransport: `layout` must be the roster's, [0-9a-f]{16}, got /,
    );
  });
});

describe("an identity", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "identity-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it("is that of its seed, and survives as bytes", async () => {
    const seed = Uint8Array.from({ length: 32 }, (_, i) => i);
    const identity = await identityFromSeed(seed);
    expect((await identityFromSeed(seed)).id).toBe(identity.id);
    expect(identity.id).toMatch(/^12D3KooW/);
    expect(parseIdentity(formatIdentity(identity)).id).toBe(identity.id);
    expect((await generateIdentity()).id).not.toBe((await generateIdentity()).id);
    await expect(identityFromSeed(new Uint8Array(31))).rejects.toThrow(
      new RangeError("identityFromSeed: a seed must be 32 bytes, got 31"),
    );
  });

  it("is made once and kept in a file that only its owner may read", async () => {
    const path = join(folder, "key");
    const { id } = await loadIdentity(path);
    expect((await loadIdentity(path)).id).toBe(id);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(parseIdentity(await readFile(path)).id).toBe(id);
    await chmod(path, 0o640);
    await expect(loadIdentity(path)).rejects.toThrow(
      new RangeError(
        `loadIdentity: only the owner may read ${path}, got mode 640; chmod 600 it, or take a new identity`,
      ),
    );
  });

  it("is not read from a file of something else", async () => {
    const path = join(folder, "other");
    await writeFile(path, "hello", { mode: 0o600 });
    await expect(loadIdentity(path)).rejects.toThrow(
      new TypeError(
        "parseIdentity: an Ed25519 private key as libp2p's protobuf expected, got 5 other bytes",
      ),
    );
  });
});

it("a roster's graph may be any that is connected", async () => {
  const graph = fromEdges(5, [
    [0, 1],
    [1, 2],
    [2, 3],
    [3, 4],
    [0, 2],
  ]);
  const text = await createInvitation({ ...roster, mixing: metropolis(graph) }, founder);
  expect((await readInvitation(text, founder.id)).mixing).toEqual(metropolis(graph));
});
