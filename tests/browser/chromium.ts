/**
 * A Chromium that comes from npm alone, for tests and screenshots.
 *
 * On Linux x64 the browser, its fonts, a software GPU and the libraries that a bare system lacks
 * (NSS, NSPR) lie as archives in `@sparticuz/chromium`. They are unpacked once into
 * `node_modules/.cache`, into a folder of their own that is renamed when complete, so that test files
 * running side by side never see half a browser. Elsewhere the installed Chrome is started.
 */
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inflate } from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";

const cache: string = fileURLToPath(new URL("../../node_modules/.cache", import.meta.url));
const archives = ["chromium.br", "fonts.tar.br", "swiftshader.tar.br", "al2023.tar.br"];

export interface ChromiumOptions {
  /** Offers WebGPU on the software adapter. Default: false. */
  readonly webgpu?: boolean;
}

/** Starts a headless Chromium; the caller closes it. Needs no network and runs as root too. */
export async function launchChromium({ webgpu = false }: ChromiumOptions = {}): Promise<Browser> {
  const gpu = webgpu
    ? { args: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"] }
    : { args: ["--disable-gpu"] };
  // Root has no user namespace to put a sandbox in; only our own pages are opened.
  const args = ["--no-sandbox", ...gpu.args];
  if (process.platform !== "linux" || process.arch !== "x64") {
    return chromium.launch({ channel: "chrome", args });
  }
  const folder = await unpack();
  return chromium.launch({
    executablePath: join(folder, "chromium"),
    args,
    ignoreDefaultArgs: webgpu ? ["--disable-gpu"] : [],
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(folder, "al2023", "lib"),
      FONTCONFIG_PATH: join(folder, "fonts"),
    },
  });
}

async function unpack(): Promise<string> {
  const entry = createRequire(import.meta.url).resolve("@sparticuz/chromium");
  const root = dirname(dirname(entry));
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
  const folder = join(cache, `chromium-${version}`);
  if (existsSync(folder)) {
    return folder;
  }
  await mkdir(cache, { recursive: true });
  const staging = await mkdtemp(join(cache, "chromium-"));
  // `inflate` writes to the temporary folder of the moment it is called in.
  const before = process.env["TMPDIR"];
  process.env["TMPDIR"] = staging;
  const done = archives.map((name) => inflate(join(root, "bin", name)));
  if (before === undefined) {
    delete process.env["TMPDIR"];
  } else {
    process.env["TMPDIR"] = before;
  }
  await Promise.all(done);
  await writeFile(join(staging, "fonts", "fonts.conf"), fontsConfig(join(folder, "fonts")));
  try {
    await rename(staging, folder);
  } catch (error) {
    // Another test file was faster: its folder is complete, since it was renamed too.
    await rm(staging, { recursive: true });
    if (!existsSync(folder)) {
      throw error;
    }
  }
  return folder;
}

/** The archive's own file names folders of the service it was made for. */
function fontsConfig(folder: string): string {
  return `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${folder}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${join(folder, "cache")}</cachedir>
</fontconfig>
`;
}
