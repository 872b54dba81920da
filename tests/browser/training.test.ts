import { fileURLToPath } from "node:url";
import { build, type OutputFile } from "esbuild";
import { afterAll, beforeAll, expect, it } from "vitest";
import { launchChromium } from "./chromium.ts";
import type { trainInWorker } from "./trainingPage.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const origin = "http://localhost";

let files: ReadonlyMap<string, OutputFile>;
let browser: Awaited<ReturnType<typeof launchChromium>>;

beforeAll(async () => {
  const bundles = ["./trainingPage.ts", "./trainingPageWorker.ts"].map(async (entry) => {
    const { outputFiles } = await build({
      entryPoints: [here(entry)],
      conditions: ["@adastra/source"],
      bundle: true,
      format: "esm",
      splitting: true,
      outdir: "/",
      // Loaded by other backends alone.
      external: ["onnxruntime-node", "onnxruntime-web"],
      write: false,
      logLevel: "silent",
    });
    return outputFiles.map((file) => [file.path, file] as const);
  });
  files = new Map((await Promise.all(bundles)).flat());
  browser = await launchChromium();
}, 60_000);

afterAll(async () => {
  await browser.close();
});

it("a module worker of a page trains, while the page's timers go on", async () => {
  const page = await browser.newPage();
  await page.route(`${origin}/**`, async (route) => {
    const path = new URL(route.request().url()).pathname;
    const file = files.get(path);
    await route.fulfill(
      file === undefined
        ? {
            contentType: "text/html",
            body: '<script type="module" src="/trainingPage.js"></script>',
          }
        : { contentType: "text/javascript", body: file.text },
    );
  });
  await page.goto(`${origin}/`);
  const outcome = await page.evaluate(() =>
    (globalThis as unknown as { trainInWorker: typeof trainInWorker }).trainInWorker(
      "/trainingPageWorker.js",
    ),
  );
  expect(outcome.status).toBe("finished");
  expect(outcome.reports).toBe(200);
  expect(outcome.losses).toHaveLength(50);
  expect(outcome.losses.at(-1)).toBeLessThan(1e-2);
  expect(outcome.parameters[0]).toBeCloseTo(3, 0);
  expect(outcome.parameters[1]).toBeCloseTo(1, 0);
  expect(outcome.lengthHere).toBe(0);
  expect(outcome.ticks).toBeGreaterThan(0);
  // The page itself loads no engine, and nothing of Node.
  const text = files.get("/trainingPage.js")?.text ?? "";
  expect(text.length).toBeLessThan(10_000);
  expect(text).not.toMatch(/node:|import\s*["'{(]/);
});
