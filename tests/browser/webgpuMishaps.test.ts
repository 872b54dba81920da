/** What goes wrong on WebGPU in a real Chromium: refusals, destroyed devices, a crash of the GPU's process. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { launchChromium } from "./chromium.ts";
import { call, openWebgpuPage } from "./webgpuBrowser.ts";

let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium({ webgpu: true });
  page = await openWebgpuPage(browser);
});

afterAll(async () => {
  await browser.close();
});

describe("mishaps", () => {
  const lost = (where: string, batches: number, reason: string, message: string): object => ({
    name: "GpuDeviceLostError",
    message: `${where}: the GPU device must stay until results are read, got its loss (${reason}: ${message}) after ${batches} complete batches; create device and executor anew and write back what was read last`,
    code: "GPU_DEVICE_LOST",
    reason,
    batches,
  });

  it("a refused shader, batch or copy says so, leaves arenas as they were, and the executor usable", async () => {
    const { uncaptured, events } = await call(page, "refusals");
    const ended = (where: string): object => ({
      name: "Error",
      message: `${where}: the executor must stay until results are read, got destroy(); create a new one`,
    });
    const refused = (message: RegExp, kernel?: string): object => ({
      name: "GpuRefusalError",
      code: "GPU_REFUSED",
      kind: "validation",
      ...(kernel === undefined ? {} : { kernel }),
      // Behind the last colon stands what Chromium says.
      message: expect.stringMatching(message),
    });
    expect(events).toEqual([
      refused(
        /^createGpuExecutor: the GPU must accept kernel "broken", got the validation error: .* \(line \d+ of its shader\)$/,
        "broken",
      ),
      refused(/^run: the GPU must accept the batch, got the validation error: .*destroyed/),
      { value: Float32Array.of(1, 2, 3, 4) },
      refused(/^read: the GPU must accept the copy, got the validation error: .*destroyed/),
      { value: [new Float64Array(0)] },
      { value: Float32Array.of(-1, -2, -3, -4) },
      ended("run"),
      ended("read"),
    ]);
    expect(uncaptured).toEqual([]);
  });

  it("a device that the program destroys ends what waits for it, and what comes after", async () => {
    const reason = ["destroyed", "Device was destroyed"] as const;
    expect(await call(page, "destroyed")).toEqual([
      lost("run", 1, ...reason),
      lost("read", 1, ...reason),
      lost("run", 1, ...reason),
      lost("createGpuExecutor", 0, ...reason),
    ]);
  });

  it("a crash of the GPU's process in the middle of batches is told as a lost device", async () => {
    const own = await launchChromium({ webgpu: true });
    try {
      const victim = await openWebgpuPage(own);
      const ending = call(victim, "untilLost");
      await victim.waitForFunction(() => document.title === "ready");
      const session = await own.newBrowserCDPSession();
      await session.send("Browser.crashGpuProcess");
      const { complete, events } = await ending;
      // What Chromium says about a crash is its own affair.
      const said = /\(unknown: (.*)\) after/.exec((events[0] as Error).message)?.[1] ?? "";
      expect(events).toEqual(
        ["run", "read"].map((where) => lost(where, complete, "unknown", said)),
      );
    } finally {
      await own.close();
    }
  });
});
