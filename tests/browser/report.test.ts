import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Comparison } from "../../packages/lab/src/protocol.ts";
import { renderReport } from "../../packages/lab/src/report/report.ts";
import { testComparison } from "../../packages/lab/src/report/testComparison.ts";
import { launchChromium } from "./chromium.ts";
import { drawingIn, type Witness, witnessOf } from "./witness.ts";

const charts = ["chart-loss", "chart-metric", "chart-rates"];
const comparison = testComparison({ optimizers: 9 });
let browser: Browser;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "adastra-report-"));
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
  await rm(folder, { recursive: true });
});

interface Opened {
  readonly page: Page;
  readonly witness: Witness;
  readonly address: string;
}

async function open(shown: Comparison, options: BrowserContextOptions = {}): Promise<Opened> {
  const file = join(folder, `${Math.trunc(performance.now() * 1000)}.html`);
  await writeFile(file, renderReport(shown));
  const page = await browser.newPage(options);
  const witness = witnessOf(page);
  const address = pathToFileURL(file).href;
  await page.goto(address);
  return { page, witness, address };
}

test("a report opens from a file, draws its charts, asks for nothing else and complains of nothing", async () => {
  const { page, witness, address } = await open(comparison);
  for (const id of charts) {
    const { ink, colours } = await drawingIn(page, id);
    // Lines, bands and labels of nine methods, blended: an empty frame with its axes has about fifty.
    expect(colours, id).toBeGreaterThan(200);
    expect(ink, id).toBeGreaterThan(0.01);
  }
  expect(await page.locator(".empty:visible").count()).toBe(0);
  expect(witness).toEqual({ complaints: [], requests: [address] });
  await page.close();
});

test("curves turn from steps to seconds and from seeds to tuning, by keyboard too", async () => {
  const { page, witness } = await open(comparison);
  const bySteps = await drawingIn(page, "chart-loss");
  await page.getByLabel("Seconds", { exact: true }).check();
  const bySeconds = await drawingIn(page, "chart-loss");
  expect(bySeconds.hash).not.toBe(bySteps.hash);
  expect(await page.locator("#chart-loss").getAttribute("aria-label")).toContain("seconds");
  await page.keyboard.press("ArrowLeft");
  expect((await drawingIn(page, "chart-loss")).hash).toBe(bySteps.hash);
  await page.keyboard.press("Tab");
  await page.keyboard.press("ArrowRight");
  expect(await page.locator("#metric-title").textContent()).toBe("Held-out accuracy");
  expect(await page.locator("#chart-loss").getAttribute("aria-label")).toContain("45 lines");
  expect(witness.complaints).toEqual([]);
  await page.close();
});

test("a method is switched off and on again", async () => {
  const { page } = await open(comparison);
  const before = await drawingIn(page, "chart-metric");
  const key = page.getByRole("button", { name: "AdaShift" });
  await key.click();
  expect(await key.getAttribute("aria-pressed")).toBe("false");
  expect((await drawingIn(page, "chart-metric")).hash).not.toBe(before.hash);
  await key.press("Enter");
  expect(await key.getAttribute("aria-pressed")).toBe("true");
  expect((await drawingIn(page, "chart-metric")).hash).toBe(before.hash);
  await page.close();
});

test("values are read with the mouse and with the arrow keys", async () => {
  const { page, witness } = await open(comparison);
  const chart = page.locator("#chart-metric");
  const tip = chart.locator(".tip");
  expect(await tip.isVisible()).toBe(false);
  await chart.locator(".u-over").hover();
  await tip.waitFor();
  expect(await tip.textContent()).toMatch(/^step [\d,]+.*Adam/);
  await page.mouse.move(0, 0);
  await chart.focus();
  await page.keyboard.press("Home");
  expect(await tip.locator("strong").textContent()).toBe("step 480");
  await page.keyboard.press("ArrowRight");
  expect(await tip.locator("strong").textContent()).toBe("step 960");
  expect(await chart.locator(".spoken").textContent()).toMatch(/^step 960: .*AdaShift 9\d\.\d\d %/);
  await page.keyboard.press("Escape");
  expect(await tip.isVisible()).toBe(false);
  expect(witness.complaints).toEqual([]);
  await page.close();
});

test("dragging zooms in, a double click shows the whole again", async () => {
  const { page } = await open(comparison);
  const before = await drawingIn(page, "chart-loss");
  await page.locator("#chart-loss").scrollIntoViewIfNeeded();
  const box = (await page.locator("#chart-loss .u-over").boundingBox())!;
  const middle = box.y + box.height / 2;
  await page.mouse.move(box.x + 0.3 * box.width, middle);
  await page.mouse.down();
  await page.mouse.move(box.x + 0.6 * box.width, middle, { steps: 4 });
  await page.mouse.up();
  await expect.poll(async () => (await drawingIn(page, "chart-loss")).hash).not.toBe(before.hash);
  await page.mouse.dblclick(box.x + 0.5 * box.width, middle);
  await expect.poll(async () => (await drawingIn(page, "chart-loss")).hash).toBe(before.hash);
  await page.close();
});

test("the charts follow the reader from light to dark", async () => {
  const { page, witness } = await open(comparison, { colorScheme: "light" });
  const light = await drawingIn(page, "chart-loss");
  await page.emulateMedia({ colorScheme: "dark" });
  await expect.poll(async () => (await drawingIn(page, "chart-loss")).hash).not.toBe(light.hash);
  const background = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  expect(background).toBe("rgb(14, 17, 21)");
  expect(witness.complaints).toEqual([]);
  await page.close();
});

test("on a narrow screen the page does not scroll sideways and charts fit", async () => {
  const { page } = await open(comparison, { viewport: { width: 340, height: 700 } });
  const { scroll, width } = await page.evaluate(() => ({
    scroll: document.documentElement.scrollWidth,
    width: document.documentElement.clientWidth,
  }));
  expect(scroll).toBe(width);
  for (const id of charts) {
    const [chart, canvas] = await Promise.all(
      [`#${id}`, `#${id} canvas`].map((selector) => page.locator(selector).boundingBox()),
    );
    expect(canvas!.width, id).toBeLessThanOrEqual(chart!.width);
  }
  await page.close();
});

test("hostile texts are shown, not run", async () => {
  const hostile = `</script><img src=x onerror="alert(1)"><script>alert(2)</script>`;
  const { page, witness } = await open({
    ...comparison,
    problem: { ...comparison.problem, title: hostile },
    entries: comparison.entries.map((entry) => ({
      ...entry,
      optimizer: { ...entry.optimizer, title: hostile },
    })),
  });
  expect(await page.locator("h1").textContent()).toBe(hostile);
  expect(await page.locator("#keys button").first().textContent()).toBe(hostile);
  expect(await page.locator("img").count()).toBe(0);
  expect(witness.complaints).toEqual([]);
  await page.close();
});

test("without scripts the results, verdicts and the protocol are still there", async () => {
  const { page } = await open(comparison, { javaScriptEnabled: false });
  const text = await page.locator("main").innerText();
  expect(text).toContain("Holm-corrected");
  expect(text).toContain("Equal tuning budget");
  expect(await page.locator("section table").first().locator("tbody tr").count()).toBe(9);
  await page.close();
});

test("an interrupted comparison without any run shows what there is", async () => {
  const { page, witness } = await open({
    ...comparison,
    entries: comparison.entries.map((entry) => ({ ...entry, runs: [], summary: null })),
    verdicts: [],
    trialsDone: 45,
    interrupted: true,
  });
  expect(await page.locator(".note").innerText()).toContain("interrupted: 45 of 81");
  expect(await page.locator("#metric-title").textContent()).toBe("Held-out accuracy");
  expect(witness.complaints).toEqual([]);
  await page.close();
});
