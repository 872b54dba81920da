/** What `npm start` and `npm test` share: a Node that is new enough, packages installed, and running a tool of theirs. */

import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("..", import.meta.url));

/** Ends the process with one sentence when Node is older than the packages need. */
export function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    console.error(
      `adastra: Node must be 20.19 or later, got ${process.versions.node}; install it from https://nodejs.org`,
    );
    process.exit(1);
  }
}

/** Runs `npm ci` when `node_modules` is absent or older than the lock file. */
export function install() {
  const installed = modified("node_modules/.package-lock.json");
  if (installed === undefined || installed < (modified("package-lock.json") ?? 0)) {
    console.error("installing packages (npm ci)");
    const npm = process.env.npm_execpath;
    if (npm === undefined) {
      run("npm", ["ci"]);
    } else {
      run(process.execPath, [npm, "ci"]);
    }
  }
}

/** Runs a package's command, by the file its `package.json` names, under this Node. */
export function tool(path, ...args) {
  run(process.execPath, [join("node_modules", path), ...args]);
}

/** Runs to the end in the repository's root; a failure ends this process with the same code. */
export function run(command, args) {
  // Ctrl-C reaches the child too: it decides how to stop, this process waits for it.
  const wait = () => undefined;
  process.on("SIGINT", wait);
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  process.off("SIGINT", wait);
  if (error !== undefined) {
    console.error(`adastra: running ${command} failed: ${error.message}`);
  }
  if (status !== 0) {
    process.exit(status ?? (signal === "SIGINT" ? 130 : 1));
  }
}

function modified(path) {
  return statSync(join(root, path), { throwIfNoEntry: false })?.mtimeMs;
}
