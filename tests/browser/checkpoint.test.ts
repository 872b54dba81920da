import {
  adashift,
  type CompiledOptimizer,
  compileOptimizer,
  mulberry32,
  type OptimizerState,
} from "@adastra/core";
import type * as Checkpoints from "@adastra/core/checkpoint";
import { decodeCheckpoint, encodeCheckpoint } from "@adastra/core/checkpoint";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { launchChromium } from "./chromium.ts";

/** What the page holds beside its own: core and its checkpoints, as an application would bundle them. */
declare const adastra: typeof Checkpoints & {
  readonly adashift: typeof adashift;
  readonly compileOptimizer: typeof compileOptimizer;
  readonly mulberry32: typeof mulberry32;
  readonly trained: typeof trained;
};

/** An origin of its own, served by the test: the file system of an origin needs a secure one. */
const ORIGIN = "http://localhost:4173/";

let browser: Browser;
let script: string;

beforeAll(async () => {
  const built = await build({
    stdin: {
      contents: `
        export * from "@adastra/core";
        export * from "@adastra/core/checkpoint";
        export const trained = ${trained.toString()};`,
      resolveDir: import.meta.dirname,
    },
    conditions: ["@adastra/source"],
    bundle: true,
    format: "iife",
    globalName: "adastra",
    write: false,
    logLevel: "silent",
  });
  script = built.outputFiles[0]?.text ?? "";
  browser = await launchChromium();
});

afterAll(async () => {
  await browser.close();
});

async function open(context = browser.newContext()): Promise<Page> {
  const page = await (await context).newPage();
  await page.route(`${ORIGIN}**`, (route) =>
    route.fulfill({ contentType: "text/html", body: "<!doctype html><title>Blank</title>" }),
  );
  await page.goto(ORIGIN);
  // A global of the page itself: the bundle's `var` in a script element.
  await page.addScriptTag({ content: script });
  return page;
}

/** AdaShift after seven steps, in float64: histories, queues, per-tensor numbers. */
function trained(core: Pick<typeof adastra, "adashift" | "compileOptimizer" | "mulberry32">) {
  const random = core.mulberry32(5);
  const draw = (length: number): Float64Array =>
    new Float64Array(length).map(() => random.next() - 0.5);
  const optimizer: CompiledOptimizer = core.compileOptimizer(core.adashift({ n: 3 }), {
    params: { kernel: { shape: [3, 5], data: draw(15) }, bias: { shape: [5], data: draw(5) } },
    learningRate: 0.1,
    dtype: "float64",
  });
  for (let step = 0; step < 7; step++) {
    optimizer.step({ kernel: draw(15), bias: draw(5) });
  }
  const state: OptimizerState = optimizer.save();
  return { optimizer: state, random: random.save(), extra: { special: [-0, Number.NaN, 1e-320] } };
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

test("what Node encodes, Chromium decodes, trains alike and encodes to the same bytes, and back", async () => {
  const page = await open();
  const ours = encodeCheckpoint(trained({ adashift, compileOptimizer, mulberry32 }));
  const theirs = await page.evaluate((encoded) => {
    const fromNode = Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0));
    const again = adastra.encodeCheckpoint(adastra.decodeCheckpoint(fromNode));
    const own = adastra.encodeCheckpoint(adastra.trained(adastra));
    const toText = (bytes: Uint8Array): string =>
      btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
    return { again: toText(again), own: toText(own) };
  }, text(ours));
  expect(theirs.again).toBe(text(ours));
  expect(theirs.own).toBe(text(ours));
  const decoded = decodeCheckpoint(new Uint8Array(Buffer.from(theirs.own, "base64")));
  expect(decoded).toStrictEqual(trained({ adashift, compileOptimizer, mulberry32 }));
});

test.each([true, false])(
  "a directory in the origin's file system saves, loads and forgets; with `move`: %s",
  async (hasMove) => {
    const page = await open();
    const found = await page.evaluate(async (withMove) => {
      const root = await navigator.storage.getDirectory();
      if ("move" in FileSystemFileHandle.prototype !== true) {
        throw new Error("this Chromium has no `move`, which the test with it needs");
      }
      if (!withMove) {
        delete (FileSystemFileHandle.prototype as { move?: unknown }).move;
      }
      const folder = await root.getDirectoryHandle("run", { create: true });
      await folder.getDirectoryHandle("a folder beside the files", { create: true });
      const files = adastra.opfsFiles(folder);
      const directory = new adastra.CheckpointDirectory(files, { keep: 2 });
      const optimizer = adastra.compileOptimizer(adastra.adashift({ n: 2 }), {
        params: { x: { shape: [300_000], data: new Float32Array(300_000).fill(1) } },
        learningRate: 0.1,
      });
      // What a tab that was closed in the middle of a save leaves.
      for (const left of ["9.safetensors.tmp", "8.safetensors"]) {
        await folder.getFileHandle(`checkpoint-00000000000${left}`, { create: true });
      }
      const before = await directory.latest();
      for (let step = 1; step <= 4; step++) {
        optimizer.step({ x: new Float32Array(300_000).fill(step) });
        await directory.save(step, { optimizer: optimizer.save(), cursor: step });
      }
      // Threads keep parameters in shared memory, which the browser writes no file from.
      const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });
      const shared = new Uint8Array(memory.buffer).fill(7);
      await directory.save(4, { optimizer: optimizer.save(), cursor: "again", extra: { shared } });
      const { optimizer: saved, cursor, extra } = await directory.load(4);
      const copy = (extra as { readonly shared: Uint8Array }).shared;
      if (copy.length !== 2 ** 21 || !copy.every((byte) => byte === 7)) {
        throw new Error("shared memory came back changed");
      }
      const same =
        JSON.stringify(Array.from(saved.leaves["x"]!.params)) ===
        JSON.stringify(Array.from(optimizer.params["x"]!.data));
      const names = (await files.list()).map(({ name }) => name).toSorted();
      return { before, steps: await directory.list(), cursor, same, names };
    }, hasMove);
    expect(found).toEqual({
      before: undefined,
      steps: [3, 4],
      cursor: "again",
      same: true,
      names: [
        "checkpoint-000000000003.safetensors",
        "checkpoint-000000000004.safetensors",
        "checkpoint-000000000008.safetensors",
      ],
    });
    await page.context().close();
  },
);

test.each([true, false])(
  "a tab closed while it saves leaves a complete checkpoint; with `move`: %s",
  async (hasMove) => {
    const context = await browser.newContext();
    let page = await open(Promise.resolve(context));
    let least = 0;
    const random = mulberry32(3);
    for (let round = 0; round < 4; round++) {
      const reached: number[] = [];
      await page.exposeFunction("saved", (step: number) => reached.push(step));
      await page.evaluate(
        async ({ withMove, size }) => {
          if (!withMove) {
            delete (FileSystemFileHandle.prototype as { move?: unknown }).move;
          }
          const files = adastra.opfsFiles(await navigator.storage.getDirectory());
          const directory = new adastra.CheckpointDirectory(files, { keep: 2 });
          const first = ((await directory.latest()) ?? 0) + 1;
          const train = async (): Promise<void> => {
            for (let step = first; ; step++) {
              const params = { x: { shape: [size], data: new Float32Array(size).fill(step) } };
              const optimizer = adastra.compileOptimizer(adastra.adashift(), {
                params,
                learningRate: 0.1,
              });
              await directory.save(step, { optimizer: optimizer.save(), cursor: step });
              await (window as unknown as { saved(step: number): Promise<void> }).saved(step);
            }
          };
          void train();
        },
        { withMove: hasMove, size: 20_000 },
      );
      const enough = random.integer(3);
      await expect.poll(() => reached.length, { timeout: 100_000 }).toBeGreaterThanOrEqual(enough);
      await new Promise((resolve) => setTimeout(resolve, random.integer(30)));
      await page.close();
      least = Math.max(least, ...reached);
      page = await open(Promise.resolve(context));
      const found = await page.evaluate(async () => {
        const files = adastra.opfsFiles(await navigator.storage.getDirectory());
        const directory = new adastra.CheckpointDirectory(files);
        const latest = (await directory.latest()) ?? 0;
        for (const step of await directory.list()) {
          const { optimizer, cursor } = await directory.load(step);
          if (cursor !== step || !optimizer.leaves["x"]!.params.every((x) => x === step)) {
            return "broken";
          }
        }
        return latest;
      });
      expect(found).toBeGreaterThanOrEqual(least);
    }
    await context.close();
  },
);
