/**
 * Kills a training process at random moments while it saves, and looks at what is there.
 *
 *     node scripts/killedSave.mjs [kills] [--json]        default 200; needs `npm run build`
 *
 * The process trains, saves after every step and says so; it is ended with SIGKILL and started again in the same
 * folder, from what it finds. After each kill the newest checkpoint must be one that was said to be saved, or the one
 * after it, and must equal, byte for byte, that of a run which was never broken.
 */

import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { adashift, compileOptimizer, mulberry32 } from "@adastra/core";
import { CheckpointDirectory, encodeCheckpoint, nodeFiles } from "@adastra/core/checkpoint";

/** Parameters of a leaf: files of 1.7 MB, so that a kill finds the process writing more often than not. */
const SIZE = 50_000;
/** A kill comes after 0 to 3 saves of the process, and then so many milliseconds at most. */
const MOST_SAVES = 3;
const LONGEST_MS = 40;

function startRun() {
  const random = mulberry32(1);
  const draw = () => Float32Array.from({ length: SIZE }, () => random.next() - 0.5);
  const params = { kernel: { shape: [SIZE], data: draw() }, bias: { shape: [SIZE], data: draw() } };
  const optimizer = compileOptimizer(adashift({ n: 3 }), { params, learningRate: 0.01 });
  return {
    optimizer,
    step: () => optimizer.step({ kernel: draw(), bias: draw() }),
    save: () => ({ optimizer: optimizer.save(), random: random.save() }),
    load: (checkpoint) => {
      optimizer.load(checkpoint.optimizer);
      random.restore(checkpoint.random);
    },
  };
}

function open(folder) {
  return new CheckpointDirectory(nodeFiles(fs, folder), { keep: 2 });
}

async function train(folder) {
  const directory = open(folder);
  const run = startRun();
  const latest = await directory.latest();
  if (latest !== undefined) {
    run.load(await directory.load(latest));
  }
  process.stdout.write("training\n");
  for (;;) {
    run.step();
    await directory.save(run.optimizer.count, run.save());
    process.stdout.write(`${run.optimizer.count}\n`);
  }
}

/** Trains until a few saves are done and some time has passed; returns the step that was last said to be saved. */
async function killOnce(folder, saves, delay) {
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "--train", folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) =>
    child.on("close", (code, signal) => resolve(signal ?? code)),
  );
  let said = "";
  await new Promise((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (text) => {
      said += text;
      // One line when the training starts, one a save.
      if (said.split("\n").length > saves + 1) {
        resolve();
      }
    });
    child.on("close", resolve);
  });
  await sleep(delay);
  child.kill("SIGKILL");
  const end = await ended;
  if (end !== "SIGKILL") {
    throw new Error(`killedSave: the training must run until it is killed, got ${end}`);
  }
  return Number(said.trimEnd().split("\n").at(-1)) || 0;
}

async function main(kills) {
  const folder = await fs.mkdtemp(join(tmpdir(), "adastra-killed-"));
  const random = mulberry32(7);
  const unbroken = startRun();
  const result = { kills, lost: 0, whileWriting: 0, awaited: 0, steps: 0 };
  try {
    let confirmed = 0;
    for (let kill = 0; kill < kills; kill++) {
      const saves = random.integer(MOST_SAVES + 1);
      result.awaited += saves;
      const saved = await killOnce(folder, saves, random.integer(LONGEST_MS));
      confirmed = Math.max(confirmed, saved);
      const names = await fs.readdir(folder).catch(() => []);
      result.whileWriting += names.some((name) => name.endsWith(".tmp")) ? 1 : 0;
      const directory = open(folder);
      const latest = (await directory.latest()) ?? 0;
      if (latest !== confirmed && latest !== confirmed + 1) {
        result.lost++;
        continue;
      }
      while (unbroken.optimizer.count < latest) {
        unbroken.step();
      }
      if (latest > 0) {
        const bytes = encodeCheckpoint(await directory.load(latest));
        result.lost += Buffer.compare(bytes, encodeCheckpoint(unbroken.save())) === 0 ? 0 : 1;
      }
      confirmed = latest;
    }
    result.steps = confirmed;
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
  return result;
}

const [first, second] = process.argv.slice(2);
if (first === "--train") {
  await train(second);
} else {
  const kills = first === undefined || first === "--json" ? 200 : Number(first);
  const result = await main(kills);
  const { lost, whileWriting, steps } = result;
  console.log(
    process.argv.includes("--json")
      ? JSON.stringify(result)
      : `${kills} kills, ${whileWriting} of them while a file was being written, ${steps} steps saved: ${lost} lost`,
  );
  process.exitCode = lost === 0 ? 0 : 1;
}
