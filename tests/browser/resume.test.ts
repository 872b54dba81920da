import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeCheckpoint, encodeCheckpoint } from "../../packages/core/src/checkpoint/index.ts";
import { CATALOGUE } from "../../packages/core/src/testCatalogue.ts";
import { openBundledPage } from "./bundledPage.ts";
import { launchChromium } from "./chromium.ts";
import { train } from "./resumePage.ts";

let browser: Browser;
let page: Page;

beforeAll(async () => {
  browser = await launchChromium();
  page = await openBundledPage(browser, {
    stdin: {
      contents: `
        export { train } from ${JSON.stringify(fileURLToPath(new URL("./resumePage.ts", import.meta.url)))};
        export * from "@adastra/core/checkpoint";`,
      resolveDir: import.meta.dirname,
    },
  });
});

afterAll(async () => {
  await browser.close();
});

describe.each(["wasm", "js"] as const)("Node, a page, Node again on %s", (backend) => {
  it.each(CATALOGUE.map(([name], row) => [name, row] as const))(
    "%s goes on bit for bit, by checkpoint files",
    async (_, row) => {
      // A different place to stop for each row.
      const [stop, on] = [3 + (row % 7), 12 + (row % 5)];
      const first = encodeCheckpoint({ optimizer: train(row, backend, [1, stop]) });
      const second = await page.evaluate(
        ([bytes, number, where, steps]) => {
          const {
            train: go,
            decodeCheckpoint: read,
            encodeCheckpoint: write,
          } = (globalThis as unknown as { adastra: InPage }).adastra;
          const before = read(Uint8Array.from(bytes)).optimizer;
          return Array.from(write({ optimizer: go(number, where, steps, before) }));
        },
        [Array.from(first), row, backend, [stop + 1, on]] as const,
      );
      const { optimizer } = decodeCheckpoint(Uint8Array.from(second));
      expect(train(row, backend, [on + 1, 20], optimizer)).toEqual(train(row, backend, [1, 20]));
    },
  );
});

/** What the page's script offers. */
interface InPage {
  readonly train: typeof train;
  readonly decodeCheckpoint: typeof decodeCheckpoint;
  readonly encodeCheckpoint: typeof encodeCheckpoint;
}
