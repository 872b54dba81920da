import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Served, servePage } from "../../examples/page/serve.mjs";
import { launchChromium } from "./chromium.ts";

let browser: Browser;
let page: Page;
let server: Served;
const errors: string[] = [];

beforeAll(async () => {
  [browser, server] = await Promise.all([launchChromium(), servePage()]);
  page = await browser.newPage({ locale: "en-US" });
  page.on("pageerror", (error) => errors.push(error.message));
  await page.goto(server.url);
  await page.waitForSelector("#digits figure:nth-child(20)");
}, 120_000);

afterAll(async () => {
  await browser.close();
  server.close();
});

const numberIn = (id: string): Promise<number> =>
  page.locator(id).innerText().then(Number.parseFloat);

test("the page learns MNIST in a worker, answers meanwhile, and stops when told", async () => {
  // Frames drawn while it trains: a page whose thread is taken draws none.
  await page.evaluate(() => {
    const counted = globalThis as unknown as { drawn?: number };
    counted.drawn = 0;
    const draw = (): void => {
      counted.drawn = (counted.drawn ?? 0) + 1;
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
  });
  await page.click("#start");
  await page.waitForFunction(
    () => document.getElementById("accuracy")?.textContent?.endsWith("%") === true,
    undefined,
    { timeout: 200_000 },
  );
  const steps = await numberIn("#step");
  expect(steps).toBeGreaterThanOrEqual(50);
  // Chance is 10 %; fifty batches of 32 bring LeNet far beyond.
  expect(await numberIn("#accuracy")).toBeGreaterThan(40);
  expect(
    await page.evaluate(() => (globalThis as unknown as { drawn?: number }).drawn),
  ).toBeGreaterThan(steps / 2);
  expect(await page.locator("#digits .right").count()).toBeGreaterThan(5);
  if (process.env["ADASTRA_SCREENSHOT"] !== undefined) {
    await page.screenshot({ path: process.env["ADASTRA_SCREENSHOT"], fullPage: true });
  }
  await page.click("#stop");
  await page.waitForFunction(() =>
    document.getElementById("status")?.textContent?.startsWith("ended after step"),
  );
  expect(errors).toEqual([]);
}, 240_000);
