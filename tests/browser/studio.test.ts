import type { Browser } from "playwright-core";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { testComparison } from "../../packages/lab/src/report/testComparison.ts";
import { type Studio, startStudio } from "../../packages/lab/src/studio/server.ts";
import { testEvents, testPlan } from "../../packages/lab/src/studio/testEvents.ts";
import { launchChromium } from "./chromium.ts";
import { drawingIn, witnessOf } from "./witness.ts";

const comparison = testComparison({ optimizers: 3, seeds: 2, epochs: 3 });
const events = testEvents(comparison);
/** In the middle of the first tuning trial. */
const early = 5;
/** In the middle of a seed run, tuning trials of its method done. */
const later =
  events.findIndex((event) => event.kind === "started" && event.spec.phase === "seed") + 12;

let browser: Browser;
let studio: Studio;

beforeAll(async () => {
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
});

afterEach(async () => {
  await studio.close();
});

test("curves move while a comparison runs, are there again after a reload, and end in the report", async () => {
  studio = await startStudio();
  const page = await browser.newPage();
  const witness = witnessOf(page);
  await page.goto(studio.url);
  await page.getByText("0 trials done").waitFor();
  expect(await page.locator("#chart-loss .empty").isVisible()).toBe(true);

  studio.publish(testPlan(comparison));
  for (const event of events.slice(0, early)) {
    studio.publish(event);
  }
  await page.locator("#chart-loss canvas").waitFor();
  expect(await page.locator("h1").textContent()).toBe(comparison.problem.title);
  expect(await page.locator("#trials tr").count()).toBe(1);
  expect(await page.locator("#trials td").last().textContent()).toBe("running");
  const first = await drawingIn(page, "chart-loss");

  for (const event of events.slice(early, later)) {
    studio.publish(event);
  }
  await page.getByText("5 of 21 trials done · 1 running").waitFor();
  const second = await drawingIn(page, "chart-loss");
  expect(second.hash).not.toBe(first.hash);
  expect(await page.locator('input[value="seed"]').isChecked()).toBe(true);

  await page.reload();
  await page.getByText("5 of 21 trials done · 1 running").waitFor();
  await expect.poll(async () => (await drawingIn(page, "chart-loss")).hash).toBe(second.hash);

  for (const event of events.slice(later)) {
    studio.publish(event);
  }
  studio.publish(comparison);
  await page.getByText("Finished: 21 trials in 83.4 s.").waitFor();
  expect(await page.title()).toBe("Done – Adastra studio");
  const { origin } = new URL(studio.url);
  await page.getByRole("link", { name: "Open the report" }).click();
  await page.getByRole("heading", { name: "Results" }).waitFor();
  expect((await drawingIn(page, "chart-metric")).ink).toBeGreaterThan(0.01);
  expect(witness.requests.every((address) => address.startsWith(origin))).toBe(true);
  // The event stream is cut when the page is left, which Chromium reports as a failed request.
  expect(witness.complaints.filter((text) => !text.includes("/events?"))).toEqual([]);
  await page.close();
});

test("a second page sees what the first sees, and both hear when the studio closes", async () => {
  studio = await startStudio();
  const pages = [await browser.newPage(), await browser.newPage()];
  await pages[0]!.goto(studio.url);
  await pages[0]!.getByText("0 trials done").waitFor();
  for (const event of [testPlan(comparison), ...events.slice(0, later)]) {
    studio.publish(event);
  }
  await pages[1]!.goto(studio.url);
  for (const page of pages) {
    await page.getByText("5 of 21 trials done · 1 running").waitFor();
  }
  const [a, b] = [drawingIn(pages[0]!, "chart-loss"), drawingIn(pages[1]!, "chart-loss")];
  expect((await a).hash).toBe((await b).hash);
  await studio.close();
  for (const page of pages) {
    await page.getByText("the studio has been closed").waitFor();
    await page.close();
  }
});

test("a page without the right token is refused", async () => {
  studio = await startStudio();
  const page = await browser.newPage();
  const address = new URL(studio.url);
  for (const search of ["", "?token=0123456789abcdef0123456789abcdef"]) {
    address.search = search;
    const answer = await page.goto(address.href);
    expect(answer?.status()).toBe(403);
    expect(await page.locator("canvas").count()).toBe(0);
  }
  await page.close();
});

test("the switches and the table stay as the reader left them while points arrive", async () => {
  studio = await startStudio({ clock: { now: () => 0 } });
  const page = await browser.newPage();
  await page.goto(studio.url);
  for (const event of [testPlan(comparison), ...events.slice(0, later)]) {
    studio.publish(event);
  }
  await page.getByText("5 of 21 trials done · 1 running").waitFor();
  await page.getByLabel("Tuning trials", { exact: true }).check();
  await page.getByLabel("Seconds", { exact: true }).check();
  const key = page.getByRole("button", { name: "Adam" });
  await key.click();
  for (const event of events.slice(later)) {
    studio.publish(event);
  }
  await page.getByText("21 of 21 trials done").waitFor();
  expect(await page.locator('input[value="tune"]').isChecked()).toBe(true);
  expect(await page.locator('input[value="seconds"]').isChecked()).toBe(true);
  expect(await key.getAttribute("aria-pressed")).toBe("false");
  expect(await key.evaluate((button) => button === document.activeElement)).toBe(true);
  await page.close();
});
