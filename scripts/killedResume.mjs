/**
 * Kills and resumes training, for every optimizer, transform and schedule on WebAssembly and JavaScript.
 *
 *     node scripts/killedResume.mjs [--rows PATTERN] [--seeds N] [--json]        needs `npm run build`
 *
 * A run is a row of core's test catalogues on a backend with a seed. Each saves after one to three calls at random and
 * keeps what a training loop keeps: optimizer, schedule, random generator, the shuffled order of its data and the place
 * in it. A process advances a group of runs in turn, call by call, and is ended with SIGKILL at a random moment; the
 * next goes on from the files alone, having started from other numbers. In the end parameters and state of every run
 * must equal, bit for bit, those of one in this process that was never broken, saved or loaded.
 */

import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { adam, compileOptimizer, linear, mulberry32 } from "@adastra/core";
import { CheckpointDirectory, encodeCheckpoint, nodeFiles } from "@adastra/core/checkpoint";

/** Calls of `step` in a run: more than AdaShift's ring holds, and than any schedule of the catalogue takes to change. */
const CALLS = 24;
/** Runs that one process advances in turn: a kill breaks all of them, at the price of one start. */
const GROUP = 24;
/** Kills of each group; each comes after so many calls of each run at most, and then so many milliseconds. */
const KILLS = 3;
const MOST_CALLS = 8;
const LONGEST_MS = 20;
/** Calls between saves, at most. */
const LONGEST_GAP = 3;
/** The call after which some rows change a hyperparameter. */
const SET_AT = 4;

const SAMPLES = 7;
const SHAPES = { kernel: [5, 7], bias: [7], scalar: [], late: [67] };
/** The leaf that has a gradient in some calls only. */
const LATE = "late";

const source = fileURLToPath(new URL("../packages/core/", import.meta.url));

/** Core's test catalogues, over the built package; they are no part of it. */
async function bundleCatalogues(folder) {
  const { build } = await import("esbuild");
  const toDist = ({ path, resolveDir }) => {
    const built = join(resolveDir, path).replace(/\.ts$/, ".js").replace("/src/", "/dist/");
    return { path: pathToFileURL(built).href, external: true };
  };
  await build({
    entryPoints: ["testCatalogue", "schedules/testSchedules"].map((name) =>
      join(source, "src", `${name}.ts`),
    ),
    bundle: true,
    format: "esm",
    outdir: folder,
    outExtension: { ".js": ".mjs" },
    plugins: [{ name: "dist", setup: (to) => to.onResolve({ filter: /^\.\.?\// }, toDist) }],
  });
}

/** What can be run, by name: an optimizer, and what makes its learning rate. */
async function readRows(folder) {
  const read = (name) => import(pathToFileURL(join(folder, `${name}.mjs`)).href);
  const { CATALOGUE } = await read("testCatalogue");
  const { SCHEDULES } = await read("schedules/testSchedules");
  const plain = { optimizer: adam(), rateOf: () => 0.05 };
  return new Map([
    ...CATALOGUE.map(([name, optimizer, rate]) => [name, { optimizer, rateOf: () => rate }]),
    ...SCHEDULES.map(([name, rateOf]) => [`rate: ${name}`, { optimizer: adam(), rateOf }]),
    ["b1: a schedule", { ...plain, hyperparameters: { b1: linear(0.5, 20, { endValue: 0.95 }) } }],
    ["b1: set on the way", { ...plain, set: { b1: 0.5 } }],
  ]);
}

function draw(random) {
  return Object.fromEntries(
    Object.entries(SHAPES).map(([path, shape]) => [
      path,
      {
        shape,
        data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, random.normal),
      },
    ]),
  );
}

/** A run at its beginning, `start` being the seed of all that a checkpoint replaces. */
function startRun(
  { optimizer, rateOf, hyperparameters, set = {} },
  { backend, seed },
  start = seed,
) {
  const data = Array.from({ length: SAMPLES }, (_, i) =>
    draw(mulberry32(seed).fork(`sample ${i}`)),
  );
  const random = mulberry32(start);
  const learningRate = rateOf();
  const params = draw(mulberry32(start).fork("params"));
  const options = { params, learningRate, backend, seed: start, hyperparameters };
  const compiled = compileOptimizer(optimizer, options);
  let cursor = { calls: 0, epoch: -1, index: SAMPLES, order: Int32Array.from(data, (_, i) => i) };

  const nextSample = () => {
    if (cursor.index === SAMPLES) {
      const order = cursor.order.slice();
      for (let i = order.length - 1; i > 0; i--) {
        const j = random.integer(i + 1);
        [order[i], order[j]] = [order[j], order[i]];
      }
      cursor = { ...cursor, epoch: cursor.epoch + 1, index: 0, order };
    }
    return data[cursor.order[cursor.index++]];
  };

  return {
    get calls() {
      return cursor.calls;
    },
    /** Towards a sample, each element with a curvature of its own, and noise. */
    step: () => {
      const sample = nextSample();
      let loss = 0;
      const gradients = Object.entries(compiled.params).map(([path, leaf]) => {
        const gradient = leaf.data.map((x, i) => {
          const away = x - sample[path].data[i];
          loss += away * away;
          return away * (1 + (i % 3)) + 0.1 * random.normal();
        });
        return [path, path === LATE && random.next() < 0.4 ? null : gradient];
      });
      compiled.step(Object.fromEntries(gradients));
      learningRate.report?.(loss);
      cursor.calls++;
      if (cursor.calls === SET_AT) {
        compiled.set(set);
      }
    },
    save: () => ({
      optimizer: compiled.save(),
      random: random.save(),
      cursor: { ...cursor },
      ...(learningRate.save && { schedule: learningRate.save() }),
    }),
    load: (checkpoint) => {
      compiled.load(checkpoint.optimizer);
      random.restore(checkpoint.random);
      cursor = { ...checkpoint.cursor };
      learningRate.restore?.(checkpoint.schedule);
    },
  };
}

/** Two checkpoints a run: the newest, and the one before while that is being written. */
function open(folder, run) {
  return new CheckpointDirectory(nodeFiles(fs, join(folder, String(run.id))), { keep: 2 });
}

/** Advances runs from where their files say, a call of each in turn, and says so; waits at call number `last`. */
async function train(folder, { runs, last, start }) {
  const rows = await readRows(folder);
  const gaps = mulberry32(start).fork("gaps");
  const all = [];
  for (const run of runs) {
    const directory = open(folder, run);
    const latest = await directory.latest();
    const trained = startRun(rows.get(run.row), run, latest === undefined ? undefined : start);
    if (latest !== undefined) {
      trained.load(await directory.load(latest));
    }
    all.push({ directory, trained, due: trained.calls + 1 + gaps.integer(LONGEST_GAP) });
  }
  for (let left = all; left.length > 0; left = left.filter(({ trained }) => trained.calls < last)) {
    for (const each of left) {
      const { directory, trained, due } = each;
      trained.step();
      if (trained.calls === due || trained.calls === CALLS) {
        await directory.save(trained.calls, trained.save());
        each.due += 1 + gaps.integer(LONGEST_GAP);
      }
      process.stdout.write(".");
    }
  }
  process.stdout.write("!");
  if (last < CALLS) {
    setInterval(() => {}, 1000);
  }
}

/** Starts a process over runs and kills it after so many calls and milliseconds, or lets it come to its end. */
async function advance(folder, work, kill) {
  const child = spawn(
    process.execPath,
    [fileURLToPath(import.meta.url), "--train", folder, JSON.stringify(work)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = new Promise((resolve) =>
    child.on("close", (code, signal) => resolve(signal ?? code)),
  );
  if (kill !== undefined) {
    let said = "";
    await new Promise((resolve) => {
      child.stdout.setEncoding("utf8").on("data", (text) => {
        said += text;
        if (said.length >= kill.calls || said.endsWith("!")) {
          resolve();
        }
      });
      child.on("close", resolve);
    });
    await sleep(kill.delay);
    child.kill("SIGKILL");
  } else {
    child.stdout.resume();
  }
  const end = await ended;
  if (end !== (kill === undefined ? 0 : "SIGKILL")) {
    throw new Error(`killedResume: a process must run until it is killed or done, got ${end}`);
  }
}

/** Whether a process was ended in the middle of writing a file of this run. */
async function isTorn(folder, run) {
  const names = await fs.readdir(join(folder, String(run.id))).catch(() => []);
  return names.some((name) => name.endsWith(".tmp"));
}

/** Breaks a group of runs again and again until they are done; says how often each was, and which came out otherwise. */
async function breakGroup(folder, runs, rows, random) {
  const result = { kills: 0, torn: 0, resumed: 0, broken: new Set(), different: [] };
  for (let kill = 0; kill <= KILLS; kill++) {
    const last = kill === KILLS ? CALLS : CALLS - 1;
    const start = random.integer(2 ** 32);
    // Before the first kill every run has saved, whatever the gaps; none is done before the last.
    const least = kill === 0 ? LONGEST_GAP * runs.length : 1;
    const calls = least + random.integer(MOST_CALLS * runs.length - least);
    const moment = { calls, delay: random.integer(LONGEST_MS) };
    await advance(folder, { runs, last, start }, kill === KILLS ? undefined : moment);
    if (kill === KILLS) {
      break;
    }
    result.kills++;
    for (const run of runs) {
      const latest = (await open(folder, run).latest()) ?? 0;
      if (latest > 0 && latest < CALLS) {
        result.resumed++;
        result.broken.add(run.id);
      }
      result.torn += (await isTorn(folder, run)) ? 1 : 0;
    }
  }
  for (const run of runs) {
    const unbroken = startRun(rows.get(run.row), run);
    while (unbroken.calls < CALLS) {
      unbroken.step();
    }
    const bytes = encodeCheckpoint(await open(folder, run).load(CALLS));
    if (Buffer.compare(bytes, encodeCheckpoint(unbroken.save())) !== 0) {
      result.different.push(`${run.row} on ${run.backend}, seed ${run.seed}`);
    }
  }
  return result;
}

async function main({ pattern, seeds, progress }) {
  const folder = await fs.mkdtemp(join(tmpdir(), "adastra-killed-resume-"));
  const random = mulberry32(7);
  const result = { rows: 0, runs: 0, kills: 0, torn: 0, resumed: 0, killedRuns: 0, different: [] };
  try {
    await bundleCatalogues(folder);
    const rows = await readRows(folder);
    const names = [...rows.keys()].filter((name) => pattern.test(name));
    const runs = names
      .flatMap((row) => ["wasm", "js"].map((backend) => ({ row, backend })))
      .flatMap((each) => Array.from({ length: seeds }, (_, i) => ({ ...each, seed: i + 1 })))
      .map((run, id) => ({ id, ...run }));
    result.rows = names.length;
    result.runs = runs.length;
    const begun = performance.now();
    for (let first = 0; first < runs.length; first += GROUP) {
      const group = runs.slice(first, first + GROUP);
      const { kills, torn, resumed, broken, different } = await breakGroup(
        folder,
        group,
        rows,
        random,
      );
      result.kills += kills;
      result.torn += torn;
      result.resumed += resumed;
      result.killedRuns += broken.size;
      result.different.push(...different);
      const done = first + group.length;
      const seconds = (performance.now() - begun) / 1000;
      progress(done, runs.length, seconds, (seconds * (runs.length - done)) / done);
    }
  } finally {
    await fs.rm(folder, { recursive: true, force: true });
  }
  return result;
}

if (process.argv[2] === "--train") {
  await train(process.argv[3], JSON.parse(process.argv[4]));
} else {
  const { values } = parseArgs({
    options: {
      rows: { type: "string", default: "" },
      seeds: { type: "string", default: "3" },
      json: { type: "boolean", default: false },
    },
  });
  const seeds = Number(values.seeds);
  if (!(Number.isSafeInteger(seeds) && seeds >= 1)) {
    throw new RangeError(`killedResume: --seeds must be at least 1, got ${values.seeds}`);
  }
  const result = await main({
    pattern: new RegExp(values.rows),
    seeds,
    progress: (done, all, gone, left) => {
      console.error(
        `${done} of ${all} runs, ${Math.round(gone)} s gone, about ${Math.round(left)} s left`,
      );
    },
  });
  const { rows, runs, kills, torn, resumed, killedRuns, different } = result;
  if (values.json) {
    console.log(JSON.stringify(result));
  } else {
    console.log(
      [
        `${rows} rows on two backends, ${runs} runs`,
        `killed between first and last call and resumed at least once: ${killedRuns}; in all ${resumed} times, by ${kills} kills that left ${torn} files half written`,
        `different from the unbroken run: ${different.length}`,
        ...different,
      ].join("\n"),
    );
  }
  process.exitCode = runs > 0 && killedRuns === runs && different.length === 0 ? 0 : 1;
}
