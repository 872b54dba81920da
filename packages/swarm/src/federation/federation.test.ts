import { mulberry32 } from "@adastra/core";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { star } from "../graph/graphs.ts";
import { Life } from "../simulator/life.ts";
import { Network, type NetworkOptions } from "../simulator/network.ts";
import { VirtualTime } from "../simulator/virtualTime.ts";
import type { Values } from "../train/values.ts";
import { type FederationClientOptions, federationClient } from "./client.ts";
import { type FederationServer, type FederationServerOptions, federationServer } from "./server.ts";

const WORK_MS = 100;

/** A server at 0 and clients around it, in virtual time. */
class World {
  readonly time = new VirtualTime();
  readonly network: Network;
  readonly server: FederationServer;
  readonly lives: Life[] = [];
  readonly errors: unknown[] = [];
  ended = 0;
  private readonly serverLife: Life;

  constructor(
    clients: number,
    network: NetworkOptions = {},
    options: Partial<FederationServerOptions> = {},
  ) {
    this.network = new Network(this.time, mulberry32(7), star(clients + 1), network);
    this.serverLife = new Life(this.time, this.network.connect(0));
    this.server = federationServer({
      transport: this.serverLife.transport,
      timers: this.serverLife,
      session: 1,
      heartbeatMs: 200,
      retryMs: 50,
      ...options,
    });
  }

  /** A client that doubles values, in a life of its own. */
  join(peer: number, options: Partial<FederationClientOptions> = {}, workMs = WORK_MS): Life {
    const life = new Life(this.time, this.network.connect(peer));
    this.lives[peer] = life;
    federationClient({
      transport: life.transport,
      timers: life,
      heartbeatMs: 200,
      retryMs: 50,
      work: doubled,
      compute: (work, then, fail) => life.work(workMs, work, then, fail),
      onEnd: (error) => {
        this.ended += 1;
        if (error !== undefined) {
          this.errors.push(error);
        }
      },
      ...options,
    });
    return life;
  }

  /** Lets time go on until the promise is settled, or so many events have passed. */
  async until<T>(promise: Promise<T>, events = 100_000): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    for (let i = 0; i < events && !settled; i++) {
      let seen = 0;
      await this.time.run(() => seen++ > 0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (!settled) {
      throw new Error(`still waiting after ${events} events, at ${this.time.now()} ms`);
    }
    return promise;
  }

  wait(ms: number): Promise<void> {
    return this.until(new Promise((resolve) => this.time.after(ms, resolve)));
  }
}

const doubled = (values: Values): Values => values.map((value) => 2 * value);

const jobs = (count: number): Float32Array[] =>
  Array.from({ length: count }, (_, i) => Float32Array.of(i, i + 0.5));

describe("a star", () => {
  test("has every job done once by some client, several at a time", async () => {
    const world = new World(3);
    for (const peer of [1, 2, 3]) {
      world.join(peer);
    }
    const asked = jobs(9);
    const results = await world.until(Promise.all(asked.map((job) => world.server.ask(job))));
    expect(results).toEqual(asked.map(doubled));
    expect(world.server).toMatchObject({ clients: 3, repeated: 0 });
    // Nine jobs in three turns, and the way there and back.
    expect(world.time.now()).toBeLessThan(3 * (WORK_MS + 10));
  });

  test("waits for a client where there is none, and for no longer", async () => {
    const world = new World(1);
    const answer = world.server.ask(Float32Array.of(3));
    await world.wait(1000);
    world.join(1);
    expect(await world.until(answer)).toEqual(Float32Array.of(6));
    expect(world.time.now()).toBeLessThan(1000 + 200 + WORK_MS + 10);
  });

  test("gives the job of a client that dies to another one", async () => {
    const world = new World(2);
    world.join(1);
    world.join(2);
    const answers = Promise.all(jobs(2).map((job) => world.server.ask(job)));
    await world.wait(WORK_MS / 2);
    world.lives[1]?.end();
    expect(await world.until(answers)).toEqual(jobs(2).map(doubled));
    expect(world.server).toMatchObject({ clients: 1, repeated: 1 });
  });

  test("asks a second client where the first takes long, and takes the first answer", async () => {
    const world = new World(2, {}, { deadline: { firstMs: 1000, leastMs: 100 } });
    world.join(1, {}, 60_000);
    world.join(2);
    const answers = Promise.all(jobs(5).map((job) => world.server.ask(job)));
    expect(await world.until(answers)).toEqual(jobs(5).map(doubled));
    expect(world.server.repeated).toBe(1);
    expect(world.time.now()).toBeLessThan(3000);
  });

  test("gives a job to another client where one answers with what is no answer", async () => {
    const world = new World(2, {}, { deadline: { firstMs: 500, leastMs: 100 } });
    const odd = new Life(world.time, world.network.connect(1));
    odd.transport.listen({
      message: (from, message) => {
        if (message.kind === "values") {
          const payload = { form: "bf16", values: Uint16Array.of(0, 0) } as const;
          odd.transport.send(from, { ...message, payload });
        }
      },
    });
    const answer = world.server.ask(Float32Array.of(1, 2));
    await world.wait(20);
    // It has a word to say for as long as it lives, and is the first to be free.
    world.time.after(300, () => odd.transport.send(0, { kind: "have", round: 0 }));
    world.join(2);
    expect(await world.until(answer)).toEqual(Float32Array.of(2, 4));
  });

  test("of one client asks nobody else, and gives up where it is away, goes or is slow", async () => {
    const world = new World(3, {}, { deadline: { firstMs: 1000, leastMs: 500 } });
    world.join(1);
    world.join(2, {}, 60_000);
    const { server } = world;
    await world.wait(10);
    expect(await server.askClient(3, Float32Array.of(1))).toBeUndefined();
    expect(await world.until(server.askClient(1, Float32Array.of(1)))).toEqual(Float32Array.of(2));
    expect(await world.until(server.askClient(2, Float32Array.of(1)))).toBeUndefined();
    // It is still at the first one; a round that asks it again waits for its deadline and not for the client.
    const before = world.time.now();
    expect(await world.until(server.askClient(2, Float32Array.of(1)))).toBeUndefined();
    expect(world.time.now() - before).toBeLessThan(1500);
    world.join(3);
    await world.wait(300);
    const dying = server.askClient(3, Float32Array.of(1));
    await world.wait(10);
    world.lives[3]?.end();
    expect(await world.until(dying)).toBeUndefined();
  });

  test("a client whose work fails says why and leaves, and its job goes to another", async () => {
    const world = new World(2);
    world.join(1, {
      work: () => {
        throw new RangeError("no data here");
      },
    });
    const answer = world.server.ask(Float32Array.of(4));
    await world.wait(50);
    world.join(2);
    expect(await world.until(answer)).toEqual(Float32Array.of(8));
    expect(world.errors).toEqual([new RangeError("no data here")]);
  });

  test("a result of another session of the server is not taken for one of this", async () => {
    const world = new World(1, {}, { session: 2 });
    // A client whose last job has the number of the first one here.
    const life = new Life(world.time, world.network.connect(1));
    life.transport.listen({ message: () => undefined });
    const answer = world.server.ask(Float32Array.of(1));
    await world.wait(20);
    life.transport.send(0, {
      kind: "values",
      round: 1,
      settled: { session: 1, mixed: 0, closed: 0, unknown: 0 },
      payload: { form: "dense", values: Float32Array.of(99) },
    });
    await world.wait(20);
    life.end();
    world.join(1);
    expect(await world.until(answer)).toEqual(Float32Array.of(2));
  });

  test("closing ends every client, also where the word is lost", async () => {
    const lossy = { loss: 0.7 };
    const world = new World(4, lossy, { lingerMs: 5000 });
    for (const peer of [1, 2, 3, 4]) {
      world.join(peer);
    }
    await world.until(world.server.ask(Float32Array.of(1)));
    const open = world.server.ask(Float32Array.of(2)).catch((error: unknown) => error);
    await world.until(world.server.close());
    expect(await open).toEqual(
      new Error("federationServer: the server was closed before the job was done"),
    );
    expect(world.ended).toBe(4);
    await expect(world.server.ask(Float32Array.of(1))).rejects.toThrow("the server is closed");
  });

  test("whatever is lost, doubled or late, and whoever dies or stands still, every job is done and right", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          loss: fc.double({ min: 0, max: 0.4, noNaN: true }),
          duplication: fc.double({ min: 0, max: 0.4, noNaN: true }),
          jitterMs: fc.integer({ min: 0, max: 80 }),
        }),
        fc.array(
          fc.record({
            // Client 1 is left alone, so that the jobs come to an end.
            peer: fc.integer({ min: 2, max: 4 }),
            atMs: fc.integer({ min: 0, max: 2000 }),
            forMs: fc.integer({ min: 50, max: 3000 }),
            kind: fc.constantFrom("crash", "pause"),
          }),
          { maxLength: 6 },
        ),
        async (network, faults) => {
          const world = new World(4, network, { deadline: { firstMs: 2000, leastMs: 300 } });
          for (const peer of [1, 2, 3, 4]) {
            world.join(peer);
          }
          for (const { peer, atMs, forMs, kind } of faults) {
            world.time.after(atMs, () => {
              const life = world.lives[peer] as Life;
              if (kind === "pause") {
                life.pause(forMs);
              } else {
                life.end();
                world.time.after(forMs, () => world.join(peer));
              }
            });
          }
          const asked = jobs(20);
          const results = await world.until(Promise.all(asked.map((job) => world.server.ask(job))));
          expect(results).toEqual(asked.map(doubled));
        },
      ),
      { numRuns: 40 },
    );
  });
});
