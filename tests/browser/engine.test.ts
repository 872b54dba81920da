import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Served, serve } from "../../examples/page/serve.mjs";
import { launchChromium } from "./chromium.ts";
import type {} from "./engineMain.ts";
import { type Trained, trainFew } from "./enginePage.ts";

const STEPS = 3;

let browser: Browser;
let server: Served;
let page: Page;
let lenet: Trained;

beforeAll(async () => {
  [browser, server, lenet] = await Promise.all([
    launchChromium({ webgpu: true }),
    serve({
      html: '<!doctype html><title>engine</title><script type="module" src="/engineMain.js"></script>',
      entries: [fileURLToPath(new URL("./engineMain.ts", import.meta.url))],
    }),
    trainFew("lenet", "cpu", STEPS),
  ]);
  page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => typeof globalThis.trainFew === "function");
}, 120_000);

afterAll(async () => {
  await browser.close();
  server.close();
});

/** Three steps of Adam at 1e-3 from equal parameters: gradients near 0 may differ in sign, each by a step. */
function expectAgrees(trained: Trained, node: Trained): void {
  trained.losses.forEach((loss, step) => {
    expect(Math.abs(loss / node.losses[step]! - 1)).toBeLessThan(1e-4);
  });
  for (const [path, expected] of Object.entries(node.params)) {
    const differences = trained.params[path]!.map((value, i) => Math.abs(value - expected[i]!));
    const mean = differences.reduce((sum, difference) => sum + difference, 0) / expected.length;
    expect(mean, path).toBeLessThan(1e-4);
  }
}

test.each(["wasm", "webgpu"] as const)(
  "LeNet on %s in Chromium trains as in Node",
  async (backend) => {
    const trained = await page.evaluate(
      ([name, steps, assets]) => globalThis.trainFew("lenet", name, steps, assets),
      [backend, STEPS, `${server.url}ort/`] as const,
    );
    expect(trained.report["backend"]).toBe(backend);
    expectAgrees(trained, lenet);
  },
  300_000,
);

test("auto measures both in the page and takes the faster", async () => {
  const trained = await page.evaluate(
    ([steps, assets]) => globalThis.trainFew("softmax", "auto", steps, assets),
    [STEPS, `${server.url}ort/`] as const,
  );
  const probes = trained.report["probes"] as readonly { backend: string; ms?: number }[];
  expect(probes.map(({ backend }) => backend)).toEqual(["wasm", "webgpu"]);
  const fastest = probes.reduce((best, probe) =>
    (probe.ms ?? Number.POSITIVE_INFINITY) < (best.ms ?? Number.POSITIVE_INFINITY) ? probe : best,
  );
  expect(trained.report["backend"]).toBe(fastest.backend);
  expectAgrees(trained, await trainFew("softmax", "cpu", STEPS));
}, 180_000);
