/**
 * Real peers over libp2p train MNIST together while one is killed, one stands still and one is cut off.
 *
 *     node scripts/swarmFaults.mjs [--peers N] [--rounds N] [--netns] [--json]        needs `npm run build`
 *
 * Every peer is a process of `adastra swarm join` on a ring. The run is made twice, undisturbed and disturbed:
 *
 *     a peer is ended with SIGKILL in the midst of a frame that it sends, and started again after 3 s, from its checkpoint
 *     a peer is stopped with SIGSTOP for 20 s
 *     a peer is cut off for 8 s: no byte goes in or out, and no connection is closed
 *
 * On loopback every port has a relay before it. It lets half of what the killed peer has just sent through, kills it and drops
 * the rest; the cut is one that stops relaying. With --netns (as root, on Linux) every peer has
 * a network namespace of its own on a bridge, the kill comes at any time, and the cut takes the link down. Told are the longest stall of the peers that
 * nothing happened to, whether all finished, and the accuracy of the mean model beside that of the undisturbed run.
 */

import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CheckpointDirectory, nodeFiles } from "@adastra/core/checkpoint";
import { swarmProblems } from "adastra";

const { values } = parseArgs({
  options: {
    peers: { type: "string" },
    rounds: { type: "string", default: "1500" },
    netns: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const PEERS = Number(values.peers ?? (values.netns ? 4 : 8));
const ROUNDS = Number(values.rounds);
const PROBLEM = "mnist-softmax";
const RATE = "0.001";
/** Whom something happens to. On a ring 7 of 8 is dialled by both of its neighbours, so that its relay is its only way. */
const VICTIMS = { killed: 1, stopped: Math.max(2, PEERS - 4), cut: PEERS - 1 };

const cli = fileURLToPath(new URL("../packages/lab/bin/adastra.mjs", import.meta.url));
const folder = await fs.mkdtemp(join(tmpdir(), "adastra-swarm-"));
const log = (line) => process.stderr.write(`${line}\n`);

/** Runs the command to its end; returns what it prints. */
const adastra = (...words) =>
  execFileSync(process.execPath, [cli, ...words], { encoding: "utf8", cwd: folder });

/** Bytes at once that are of values: all other frames are smaller. */
const OF_VALUES = 4096;

/** A relay before a port that can stop relaying without closing anything, or in the midst of what is sent from behind it. */
async function relay(port, to) {
  const sockets = new Set();
  let isCut = false;
  let breakOff;
  const server = createServer((inside) => {
    const outside = createConnection({ port: to, host: "127.0.0.1" });
    for (const [from, onto] of [
      [inside, outside],
      [outside, inside],
    ]) {
      sockets.add(from);
      from.on("data", (bytes) => {
        if (breakOff !== undefined && from === outside && bytes.length >= OF_VALUES) {
          const half = bytes.subarray(0, bytes.length >> 1);
          breakOff({ passed: half.length, dropped: bytes.length - half.length });
          breakOff = undefined;
          onto.end(half);
          return;
        }
        if (!onto.write(bytes)) {
          from.pause();
        }
      });
      onto.on("drain", () => (isCut ? undefined : from.resume()));
      from.on("close", () => {
        sockets.delete(from);
        onto.destroy();
      });
      from.on("error", () => undefined);
    }
    if (isCut) {
      inside.pause();
      outside.pause();
    }
  });
  await new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  return {
    cut: (on) => {
      isCut = on;
      for (const socket of sockets) {
        if (on) {
          socket.pause();
        } else {
          socket.resume();
        }
      }
    },
    /** Calls back once, when values are on their way: half of them pass. */
    breakOff: (then) => {
      breakOff = then;
    },
    close: () => {
      for (const socket of sockets) {
        socket.destroy();
      }
      server.close();
    },
  };
}

const ip = (...words) => execFileSync("ip", words, { stdio: ["ignore", "ignore", "pipe"] });

/** Where peers live, and how one of them is cut off. */
async function loopback() {
  const relays = [];
  for (let peer = 0; peer < PEERS; peer++) {
    relays.push(await relay(4600 + peer, 4500 + peer));
  }
  return {
    address: (peer) => `/ip4/127.0.0.1/tcp/${4600 + peer}`,
    listen: (peer) => `/ip4/127.0.0.1/tcp/${4500 + peer}`,
    command: (_peer, words) => [process.execPath, words],
    cut: (peer, on) => relays[peer].cut(on),
    kill: (peer, kill) =>
      new Promise((resolve) => {
        relays[peer].breakOff((bytes) => {
          kill();
          resolve(`${bytes.passed} bytes of a frame had passed, ${bytes.dropped} had not`);
        });
      }),
    close: () => {
      for (const each of relays) {
        each.close();
      }
    },
  };
}

function namespaces() {
  const bridge = "adastra0";
  ip("link", "add", bridge, "type", "bridge");
  ip("link", "set", bridge, "up");
  for (let peer = 0; peer < PEERS; peer++) {
    const [space, inside, outside] = [`adastra${peer}`, `in${peer}`, `adastra-${peer}`];
    ip("netns", "add", space);
    ip("link", "add", outside, "type", "veth", "peer", "name", inside);
    ip("link", "set", inside, "netns", space);
    ip("link", "set", outside, "master", bridge, "up");
    ip("-n", space, "addr", "add", `10.77.0.${peer + 1}/24`, "dev", inside);
    ip("-n", space, "link", "set", inside, "up");
    ip("-n", space, "link", "set", "lo", "up");
  }
  return {
    address: (peer) => `/ip4/10.77.0.${peer + 1}/tcp/4500`,
    listen: (peer) => `/ip4/10.77.0.${peer + 1}/tcp/4500`,
    command: (peer, words) => [
      "ip",
      ["netns", "exec", `adastra${peer}`, process.execPath, ...words],
    ],
    kill: async (_peer, kill) => {
      kill();
      return "at any time";
    },
    cut: (peer, on) => ip("link", "set", `adastra-${peer}`, on ? "down" : "up"),
    close: () => {
      for (let peer = 0; peer < PEERS; peer++) {
        ip("netns", "del", `adastra${peer}`);
      }
      ip("link", "del", bridge);
    },
  };
}

/** One run; `disturb` is handed what it can do to peers once all are on their way. */
async function run(name, disturb) {
  const place = values.netns ? namespaces() : await loopback();
  const own = join(folder, name);
  await fs.mkdir(own);
  const file = (what) => join(own, what);
  const running = new Map();
  const results = new Map();
  try {
    const ids = Array.from({ length: PEERS }, (_, peer) =>
      adastra("swarm", "identity", "--key", file(`key${peer}`)).trim(),
    );
    const members = ids.map((id, peer) => `${id}@${place.address(peer)}`).join(",");
    const words = ["--problem", PROBLEM, "--methods", "damsgrad", "--rates", RATE];
    words.push("--rounds", `${ROUNDS}`, "--members", members);
    words.push("--key", file("key0"), "--invitation", file("invitation.json"));
    adastra("swarm", "invite", ...words);
    let killed = 0;
    const start = (peer) => {
      const words = [
        cli,
        "swarm",
        "join",
        "--key",
        file(`key${peer}`),
        "--founder",
        ids[0],
        "--json",
      ];
      words.push("--invitation", file("invitation.json"), "--state", file(`state${peer}`));
      words.push("--listen", place.listen(peer));
      const [command, all] = place.command(peer, words);
      const child = spawn(command, all, { stdio: ["ignore", "pipe", "pipe"] });
      let [out, err] = ["", ""];
      child.stdout.on("data", (text) => (out += text));
      child.stderr.on("data", (text) => (err += text));
      const done = new Promise((resolve) => {
        child.on("close", (code, signal) => {
          if (code === 0) {
            results.set(peer, JSON.parse(out));
          } else if (signal !== "SIGKILL") {
            log(`${name}: peer ${peer} ended with ${code ?? signal}: ${err.slice(-500)}`);
          } else {
            killed += 1;
          }
          resolve();
        });
      });
      running.set(peer, { child, done });
    };
    for (let peer = 0; peer < PEERS; peer++) {
      start(peer);
    }
    const rounds = async (peer) =>
      (await new CheckpointDirectory(nodeFiles(fs, file(`state${peer}`)))
        .latest()
        .catch(() => 0)) ?? 0;
    while ((await rounds(0)) < 40) {
      await sleep(100);
    }
    await disturb({
      start,
      cut: place.cut,
      kill: (peer) => place.kill(peer, () => running.get(peer).child.kill("SIGKILL")),
      // `ip netns exec` becomes the process it starts.
      signal: (peer, what) => running.get(peer).child.kill(what),
      gone: (peer) => running.get(peer).done,
    });
    for (let peer = 0; peer < PEERS; peer++) {
      await running.get(peer).done;
    }
    return {
      results,
      killed,
      accuracy: results.size === PEERS ? await accuracyOf(file) : Number.NaN,
    };
  } finally {
    for (const { child } of running.values()) {
      child.kill("SIGKILL");
    }
    place.close();
  }
}

const problem = swarmProblems.find((each) => each.name === PROBLEM);
const opened = await problem.open();
const task = opened.start({ seed: 1, phase: "seed", peers: PEERS, skew: { kind: "none" } });

/** Of the mean of all peers' last checkpoints. */
async function accuracyOf(file) {
  const mean = {};
  for (let peer = 0; peer < PEERS; peer++) {
    const directory = new CheckpointDirectory(nodeFiles(fs, file(`state${peer}`)));
    const { optimizer } = await directory.load(await directory.latest());
    for (const [path, { shape, params }] of Object.entries(optimizer.leaves)) {
      mean[path] ??= { shape, data: new Float32Array(params.length) };
      params.forEach((value, i) => (mean[path].data[i] += value / PEERS));
    }
  }
  return task.evaluate(mean);
}

const undisturbed = await run("undisturbed", async () => undefined);
log(
  `undisturbed: ${undisturbed.results.size} of ${PEERS} finished, mean model ${undisturbed.accuracy.toFixed(2)} %`,
);
const disturbed = await run("disturbed", async ({ start, signal, cut, kill, gone }) => {
  log(`one peer killed: ${await kill(VICTIMS.killed)}`);
  signal(VICTIMS.stopped, "SIGSTOP");
  cut(VICTIMS.cut, true);
  log("one stopped, one cut off");
  await gone(VICTIMS.killed);
  await sleep(3000);
  start(VICTIMS.killed);
  log("the killed peer is back");
  await sleep(5000);
  cut(VICTIMS.cut, false);
  log("the cut has healed");
  await sleep(12_000);
  signal(VICTIMS.stopped, "SIGCONT");
  log("the stopped peer goes on");
});

const others = [...disturbed.results].filter(([peer]) => !Object.values(VICTIMS).includes(peer));
const summary = {
  peers: PEERS,
  rounds: ROUNDS,
  network: values.netns ? "namespaces" : "loopback",
  finished: disturbed.results.size,
  killed: disturbed.killed,
  longestStallMs: {
    undisturbed: Math.max(...[...undisturbed.results.values()].map((each) => each.longestStallMs)),
    others: Math.max(...others.map(([, each]) => each.longestStallMs)),
  },
  accuracy: { undisturbed: undisturbed.accuracy, disturbed: disturbed.accuracy },
  results: Object.fromEntries(disturbed.results),
};
process.stdout.write(
  values.json
    ? `${JSON.stringify(summary, undefined, 2)}\n`
    : [
        `${summary.finished} of ${PEERS} peers finished ${ROUNDS} rounds; ${summary.killed} killed with SIGKILL, one stopped for 20 s, one cut off for 8 s`,
        `longest stall of the ${others.length} others ${(summary.longestStallMs.others / 1000).toFixed(2)} s; undisturbed ${(summary.longestStallMs.undisturbed / 1000).toFixed(2)} s`,
        `mean model ${disturbed.accuracy.toFixed(2)} %, undisturbed ${undisturbed.accuracy.toFixed(2)} %`,
        ...[...disturbed.results].map(
          ([peer, { rounds, round, mixed, dropped, unknown, late, longestStallMs }]) =>
            `  peer ${peer}: ${rounds} rounds to ${round}, ${mixed} mixed, ${dropped} dropped, ${unknown} unknown, ${late} late, stall ${(longestStallMs / 1000).toFixed(2)} s`,
        ),
        "",
      ].join("\n"),
);
await fs.rm(folder, { recursive: true, force: true });
process.exit(summary.finished === PEERS ? 0 : 1);
