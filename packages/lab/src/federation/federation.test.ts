import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { metaCommand } from "../cli/metaCommand.ts";
import type { CommandOptions } from "../cli/options.ts";
import { swarmCommand } from "../cli/swarmCommand.ts";
import { freePorts } from "../freePorts.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "adastra-federation-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const file = (name: string): string => join(root, name);

/** The command, in this process; Ctrl-C is pressed as soon as it says what is given. */
function command(
  words: readonly string[],
  options: CommandOptions["meta"],
  interruptAt?: string,
  run: typeof metaCommand = metaCommand,
) {
  const said = { out: "", err: "" };
  let interrupt = (): void => undefined;
  const exitCode = run(words, options, {
    terminal: {
      out: (text) => {
        said.out += text;
      },
      err: (text) => {
        said.err += text;
        if (interruptAt !== undefined && text.includes(interruptAt)) {
          interrupt();
        }
      },
      isTty: false,
    },
    clock: performance,
    now: () => new Date(0),
    randomBytes: (count) => new Uint8Array(count).fill(count),
    onInterrupt: (handler) => {
      interrupt = handler;
      return () => undefined;
    },
  });
  return { exitCode, said };
}

/** Writes an invitation to a server and clients; returns what each of them joins with. */
async function found(
  problem: string,
  clients: number,
  options: CommandOptions["meta"],
): Promise<(peer: number) => CommandOptions["meta"]> {
  const ids: string[] = [];
  for (let peer = 0; peer <= clients; peer++) {
    const { said, exitCode } = command(
      ["identity"],
      { key: file(`key${peer}`) },
      undefined,
      ([action = ""], { key = "" }, world) => swarmCommand(action, { key }, world),
    );
    await exitCode;
    ids.push(said.out.trim());
  }
  const [port] = await freePorts(1);
  const invitation = file("invitation.json");
  const { exitCode } = command(["invite", problem], {
    ...options,
    key: file("key0"),
    invitation,
    members: ids.map((id, peer) => ({
      id,
      addresses: peer === 0 ? [`/ip4/127.0.0.1/tcp/${port}`] : [],
    })),
  });
  expect(await exitCode).toBe(0);
  return (peer) => ({ key: file(`key${peer}`), invitation, founder: ids[0] as string });
}

const checkpointsOf = (folder: string): [string, Buffer][] =>
  readdirSync(join(folder, "checkpoints")).map((name) => [
    name,
    readFileSync(join(folder, "checkpoints", name)),
  ]);

describe("clients at peers", () => {
  test.each(["aruba", "fomaml"] as const)(
    "leave the bytes of a run of %s on one machine, whoever comes late and whoever leaves",
    async (method) => {
      const run = { method, rounds: 4, seed: 2 } as const;
      const here = command(["train", "sinusoid"], { ...run, out: file("here") });
      expect(await here.exitCode).toBe(0);
      const given = await found("sinusoid", 3, run);
      const server = command(["serve"], { ...given(0), out: file("there") });
      // Alone at first, and gone after a task: the next one is given to others.
      const leaves = command(["join"], { ...given(1), json: true }, "1 task");
      expect(await leaves.exitCode).toBe(130);
      expect(JSON.parse(leaves.said.out)).toMatchObject({ interrupted: true });
      const stays = [command(["join"], given(2)), command(["join"], given(3))];
      expect(await Promise.all([server, ...stays].map(({ exitCode }) => exitCode))).toEqual([
        0, 0, 0,
      ]);
      const tasks = stays.map(({ said }) => Number(/trained on (\d+) tasks/.exec(said.out)?.[1]));
      expect((tasks[0] ?? 0) + (tasks[1] ?? 0)).toBeGreaterThanOrEqual(4 * 5 - 1);
      expect(checkpointsOf(file("there"))).toEqual(checkpointsOf(file("here")));
    },
    60_000,
  );

  test("wait for a server that is stopped, and its run goes on with them to the same bytes", async () => {
    const run = { method: "sgd", rounds: 30, seed: 4 } as const;
    const here = command(["train", "sinusoid"], { ...run, out: file("here") });
    expect(await here.exitCode).toBe(0);
    const given = await found("sinusoid", 1, run);
    const first = command(["serve"], { ...given(0), out: file("there") }, ", loss");
    const client = command(["join"], given(1));
    expect(await first.exitCode).toBe(130);
    const second = command(["serve"], { ...given(0), out: file("there"), resume: true });
    expect(await second.exitCode).toBe(0);
    expect(await client.exitCode).toBe(0);
    expect(checkpointsOf(file("there")).at(-1)).toEqual(checkpointsOf(file("here")).at(-1));
  }, 60_000);

  test("a server that nobody joins is stopped by Ctrl-C, and resumed", async () => {
    const given = await found("sinusoid", 1, { method: "sgd", rounds: 2 });
    const out = file("there");
    const alone = command(["serve"], { ...given(0), out, json: true }, "waiting for clients");
    expect(await alone.exitCode).toBe(130);
    expect(JSON.parse(alone.said.out)).toMatchObject({ round: 0, interrupted: true });
    const client = command(["join"], given(1));
    expect(await command(["serve"], { ...given(0), out, resume: true }).exitCode).toBe(0);
    expect(await client.exitCode).toBe(0);
  }, 60_000);

  test("are refused in one sentence where they are not invited, and nothing is written", async () => {
    const given = await found("sinusoid", 1, { method: "sgd", rounds: 2 });
    const out = file("there");
    await expect(command(["serve"], { ...given(1), out }).exitCode).rejects.toThrow(
      /^meta serve: the key must be that of the invitation's first peer, 12D3\w+, got that of 12D3\w+; name it with --key, or join$/,
    );
    expect(existsSync(join(out, "run.json"))).toBe(false);
    await expect(
      command(["join"], { ...given(1), key: file("stranger") }).exitCode,
    ).rejects.toThrow("libp2pTransport: `identity` must be a peer of the roster");
    await expect(command(["join"], { key: file("key1") }).exitCode).rejects.toThrow(
      "meta join: --founder must name the peer id",
    );
    await expect(
      command(["invite", "sinusoid"], { method: "adam", members: [] }).exitCode,
    ).rejects.toThrow("meta invite: --members must name the server and at least one client, got 0");
    await expect(found("sinusoid", 1, { method: "adam" })).rejects.toThrow(
      "meta: --method must leave tasks independent for clients at peers, got adam",
    );
    const asSwarm: typeof metaCommand = ([action = ""], { key, invitation, founder }, world) =>
      swarmCommand(action, { key, invitation, founder } as CommandOptions["swarm"], world);
    await expect(command(["join"], given(1), undefined, asSwarm).exitCode).rejects.toThrow(
      "swarm: the invitation must be to a swarm, got one to meta-training; join with adastra meta join",
    );
    await expect(command(["join", "sinusoid"], given(1)).exitCode).rejects.toThrow(
      "meta join: must be given no words, got 1 words",
    );
  }, 60_000);
});
