import { expect, test } from "vitest";
import { launchChromium } from "./chromium.ts";

test("the browser draws text and figures without a network", async () => {
  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.setContent("<h1>Adastra</h1>");
    expect(
      await page.locator("h1").evaluate((h) => h.getBoundingClientRect().height),
    ).toBeGreaterThan(10);
  } finally {
    await browser.close();
  }
});

test("the browser offers a software WebGPU adapter when asked", async () => {
  const browser = await launchChromium({ webgpu: true });
  try {
    const page = await browser.newPage();
    // navigator.gpu exists on secure origins only; file: and localhost count.
    await page.goto(new URL("./blank.html", import.meta.url).href);
    const found = await page.evaluate(async () => {
      const { gpu } = navigator as unknown as {
        gpu?: { requestAdapter(): Promise<object | null> };
      };
      return gpu === undefined
        ? "no gpu"
        : (await gpu.requestAdapter()) === null
          ? "no adapter"
          : "adapter";
    });
    expect(found).toBe("adapter");
  } finally {
    await browser.close();
  }
});
