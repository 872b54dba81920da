import { type IncomingMessage, request } from "node:http";
import { afterEach, expect, test } from "vitest";
import { testComparison } from "../report/testComparison.ts";
import { type Studio, type StudioOptions, startStudio } from "./server.ts";
import { emptyState, type LiveEvent, type LiveState } from "./state.ts";
import { testEvents, testPlan } from "./testEvents.ts";

const comparison = testComparison({ optimizers: 2, seeds: 2, epochs: 2 });
const token = "0123456789abcdef";
const studios: Studio[] = [];

afterEach(async () => {
  await Promise.all(studios.splice(0).map((studio) => studio.close()));
});

async function start(options: StudioOptions = { token }): Promise<Studio> {
  const studio = await startStudio(options);
  studios.push(studio);
  return studio;
}

interface Asked {
  readonly host?: string;
  readonly method?: string;
}

/** The answer's head; the body is read by whoever wants it. `fetch` would not let the host be chosen. */
function ask(
  studio: Studio,
  path: string,
  { host, method = "GET" }: Asked = {},
): Promise<IncomingMessage> {
  const { hostname, port } = new URL(studio.url);
  return new Promise((resolve, reject) => {
    request(
      { hostname, port, path, method, agent: false, headers: host === undefined ? {} : { host } },
      resolve,
    )
      .on("error", reject)
      .end();
  });
}

async function statusOf(studio: Studio, path: string, asked?: Asked): Promise<number> {
  const answer = await ask(studio, path, asked);
  answer.resume();
  return answer.statusCode ?? 0;
}

async function textOf(answer: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) {
    text += chunk;
  }
  return text;
}

interface Message {
  readonly event: string;
  readonly data: {
    readonly state?: LiveState;
    readonly events?: readonly LiveEvent[];
    readonly seconds?: number | null;
  };
}

/** Server-sent events as they come, until the server ends the stream. */
async function* messagesOf(answer: IncomingMessage): AsyncGenerator<Message> {
  let text = "";
  for await (const chunk of answer.setEncoding("utf8")) {
    text += chunk;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      const found = /^event: (.*)\ndata: (.*)$/m.exec(text.slice(0, end));
      text = text.slice(end + 2);
      yield { event: found![1]!, data: JSON.parse(found![2]!) as Message["data"] };
    }
  }
}

test("the address names loopback, the port and a random token", async () => {
  const [a, b] = [await start({}), await start({})];
  expect(a.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]{32}$/);
  expect(new URL(a.url).searchParams.get("token")).not.toBe(
    new URL(b.url).searchParams.get("token"),
  );
});

test("without the right token everything is refused alike", async () => {
  const studio = await start();
  for (const path of ["/", "/events", "/report", "/nothing"]) {
    for (const query of ["", "?token=", `?token=${token.slice(1)}`, `?token=${token}x`, "?x=1"]) {
      expect(await statusOf(studio, `${path}${query}`), path + query).toBe(403);
    }
  }
});

test("a Host header that is not this address is refused even with the token", async () => {
  const studio = await start();
  const { port } = new URL(studio.url);
  const path = `/?token=${token}`;
  for (const host of [
    "evil.example",
    `evil.example:${port}`,
    "127.0.0.1",
    "127.0.0.1:1",
    `127.0.0.1.evil.example:${port}`,
  ]) {
    expect(await statusOf(studio, path, { host }), host).toBe(403);
  }
  expect(await statusOf(studio, path, { host: `localhost:${port}` })).toBe(200);
});

test("unknown paths are not found, other methods not allowed, broken addresses refused", async () => {
  const studio = await start();
  expect(await statusOf(studio, `/nothing?token=${token}`)).toBe(404);
  expect(await statusOf(studio, `/../etc/passwd?token=${token}`)).toBe(404);
  expect(await statusOf(studio, `/?token=${token}`, { method: "POST" })).toBe(405);
  expect(await statusOf(studio, "//")).toBe(403);
  expect(await statusOf(studio, `/?token=${token}`)).toBe(200);
});

test("the page forbids framing, caching and every origin but its own", async () => {
  const studio = await start();
  const answer = await ask(studio, `/?token=${token}`);
  expect(answer.headers).toMatchObject({
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "content-type": "text/html; charset=utf-8",
  });
  const page = await textOf(answer);
  expect(page).toContain("connect-src &#39;self&#39;");
  expect(page).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
});

test("a page that comes late gets the state so far, then what follows", async () => {
  const studio = await start();
  const events = testEvents(comparison);
  studio.publish(testPlan(comparison));
  for (const event of events.slice(0, -3)) {
    studio.publish(event);
  }
  const messages = messagesOf(await ask(studio, `/events?token=${token}`));
  const first = (await messages.next()).value as Message;
  expect(first.event).toBe("state");
  const { trials, plan } = first.data.state!;
  expect(plan!.problem.title).toBe(comparison.problem.title);
  expect(trials.map(({ spec }) => spec.id)).toEqual(
    comparison.entries.flatMap(({ tuning, runs }) => [...tuning, ...runs].map((r) => r.spec.id)),
  );
  expect(trials[0]!.points).toEqual(comparison.entries[0]!.tuning[0]!.points);
  for (const event of events.slice(-3)) {
    studio.publish(event);
  }
  const second = (await messages.next()).value as Message;
  expect(second).toEqual({ event: "events", data: { seconds: null, events: events.slice(-3) } });
});

test("a page that was there from the start and one that came late know the same", async () => {
  const studio = await start();
  const early = messagesOf(await ask(studio, `/events?token=${token}`));
  expect((await early.next()).value).toMatchObject({
    event: "state",
    data: { state: emptyState() },
  });
  const events = testEvents(comparison);
  for (const event of events) {
    studio.publish(event);
  }
  // Whoever joins flushes what is pending, so that no event is in the state and comes once more.
  const late = messagesOf(await ask(studio, `/events?token=${token}`));
  expect((await early.next()).value).toMatchObject({ event: "events", data: { events } });
  await late.next();
  studio.publish(testPlan(comparison));
  const next = { event: "events", data: { seconds: null, events: [testPlan(comparison)] } };
  expect((await late.next()).value).toEqual(next);
  expect((await early.next()).value).toEqual(next);
});

test("the report is there once the comparison is published, and gone with the next plan", async () => {
  const studio = await start();
  const path = `/report?token=${token}`;
  expect(await statusOf(studio, path)).toBe(404);
  studio.publish(comparison);
  expect(await textOf(await ask(studio, path))).toContain(comparison.problem.title);
  studio.publish(testPlan(comparison));
  expect(await statusOf(studio, path)).toBe(404);
});

test("given a clock, messages carry the seconds since the start", async () => {
  let now = 5000;
  const studio = await start({ token, clock: { now: () => now } });
  now = 7500;
  const messages = messagesOf(await ask(studio, `/events?token=${token}`));
  expect((await messages.next()).value).toMatchObject({ data: { seconds: 2.5 } });
});

test("close says goodbye, ends every connection and frees the port", async () => {
  const studio = await start();
  const messages = messagesOf(await ask(studio, `/events?token=${token}`));
  await messages.next();
  studio.publish(comparison);
  await Promise.all([studio.close(), studio.close()]);
  const rest: string[] = [];
  for await (const { event } of messages) {
    rest.push(event);
  }
  expect(rest).toEqual(["events", "closed"]);
  await expect(ask(studio, "/")).rejects.toThrow("ECONNREFUSED");
  const again = await start({ token, port: Number(new URL(studio.url).port) });
  expect(again.url).toBe(studio.url);
});

test("what is published after close is dropped", async () => {
  const studio = await start();
  await studio.close();
  expect(() => studio.publish(comparison)).not.toThrow();
});

test("a taken port, a host that others reach, a port that is none and a weak token are refused", async () => {
  const studio = await start();
  const port = Number(new URL(studio.url).port);
  await expect(startStudio({ port })).rejects.toThrow("EADDRINUSE");
  await expect(startStudio({ host: "0.0.0.0" })).rejects.toThrow(
    'startStudio: `host` must be one of "127.0.0.1", "localhost", "::1", got "0.0.0.0"; forward the port to reach it from elsewhere',
  );
  await expect(startStudio({ port: 70_000 })).rejects.toThrow(
    "startStudio: `port` must be an integer in [0, 65535], got 70000",
  );
  await expect(startStudio({ token: "short" })).rejects.toThrow(
    'startStudio: `token` must be at least 16 letters, digits, "-" or "_", got 5 characters; leave it out for a random one',
  );
});
