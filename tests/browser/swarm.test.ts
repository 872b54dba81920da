import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, it } from "vitest";
import { layoutId, metropolis, ring } from "../../packages/swarm/src/index.ts";
import { createInvitation } from "../../packages/swarm/src/transport/libp2p/index.ts";
import { freePorts, testIdentity } from "../../packages/swarm/src/transport/libp2p/testNodes.ts";
import { openBundledPage } from "./bundledPage.ts";
import { launchChromium } from "./chromium.ts";
import { SIZE, takePart } from "./swarmPage.ts";

let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium();
  page = await openBundledPage(browser, {
    entryPoints: [fileURLToPath(new URL("./swarmPage.ts", import.meta.url))],
  });
});

afterAll(async () => {
  await browser.close();
});

it("a page trains with two peers in Node, whom it dials by WebSocket", async () => {
  const [identities, ports] = await Promise.all([
    Promise.all([0, 1, 2].map((n) => testIdentity(n))),
    freePorts(2),
  ]);
  const layout = {
    dtype: "float32",
    leaves: { w: { shape: [SIZE] } },
    vectors: ["p", "utilde"],
  } as const;
  const [founder] = identities;
  const roster = {
    run: "0123456789abcdef",
    epoch: 0,
    layout: await layoutId(layout, 0),
    mixing: metropolis(ring(3)),
    peers: identities.map(({ id }, n) => ({
      id,
      // The page cannot be dialled.
      addresses: n < 2 ? [`/ip4/127.0.0.1/tcp/${ports[n]}/ws`] : [],
    })),
    config: null,
  };
  const invitation = await createInvitation(roster, founder!);
  const rounds = 400;
  const parts = await Promise.all([
    takePart(invitation, founder!.id, 0, rounds),
    takePart(invitation, founder!.id, 1, rounds),
    page.evaluate(
      ([text, of, count]) =>
        (globalThis as unknown as { adastra: { takePart: typeof takePart } }).adastra.takePart(
          text,
          of,
          2,
          count,
        ),
      [invitation, founder!.id, rounds] as const,
    ),
  ]);
  for (const { params, rounds: taken, mixed, refused } of parts) {
    expect(refused).toEqual({});
    expect(taken).toBe(rounds);
    expect(mixed).toBe(2 * rounds);
    // The minimum of all three is at 1; a rate of 0.02 leaves each peer within twice the rate of it.
    expect(params.reduce((sum, x) => sum + x, 0) / SIZE).toBeCloseTo(1, 1);
  }
}, 120_000);
