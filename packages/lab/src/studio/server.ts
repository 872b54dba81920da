/**
 * The studio: a page on this machine that follows a comparison while it runs, and then shows its report.
 *
 * Loopback only, behind a random token, GET only. The Host header must name this very address, so that
 * no web site can reach it by pointing a name of its own at 127.0.0.1 (DNS rebinding). The page listens
 * to server-sent events: first one `state`, the comparison so far, then `events` as they come. A page
 * that loses its connection comes again by itself and is given the state again, which is all that
 * resuming takes.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Clock } from "@adastra/core";
import type { Comparison, TrialEvent } from "../protocol.ts";
import { renderReport } from "../report/report.ts";
import { renderStudioPage } from "./page.ts";
import { applyEvent, emptyState, type LiveEvent, type StudioPlan } from "./state.ts";

export interface StudioOptions {
  /** `"127.0.0.1"` (the default), `"localhost"` or `"::1"`. */
  readonly host?: string;
  /** Default 0: a free one. */
  readonly port?: number;
  /** Default: 24 random bytes. At least 16 letters, digits, `-` or `_`. */
  readonly token?: string;
  /** Given, the page shows the time since the studio started and an estimate of what is left. */
  readonly clock?: Clock;
}

export interface Studio {
  /** The page's address, token included. */
  readonly url: string;
  /**
   * Tells every page, now and later ones. A plan starts afresh, a comparison ends it and becomes the
   * report.
   */
  publish(event: TrialEvent | StudioPlan | Comparison): void;
  /** Says goodbye to the pages, ends every connection and frees the port. Calling it again does nothing. */
  close(): Promise<void>;
}

/** Events of so many milliseconds travel together: the eye sees no difference, the page redraws less. */
const batchMs = 50;

/** A page so many bytes behind is cut off; it comes again and catches up from the state. */
const backlogLimit = 16 * 2 ** 20;

/** How long `close` waits for pages to take what they are sent. */
const patienceMs = 500;

const loopback = ["127.0.0.1", "localhost", "::1"];

/**
 * @throws RangeError for a host that is not loopback, a port outside [0, 65535] or a weak token.
 * @throws the error of `listen` when the port is taken.
 */
export async function startStudio({
  host = "127.0.0.1",
  port = 0,
  token = randomBytes(24).toString("base64url"),
  clock,
}: StudioOptions = {}): Promise<Studio> {
  checkOptions(host, port, token);
  const state = emptyState();
  const listeners = new Set<ServerResponse>();
  const started = clock?.now() ?? 0;
  let pending: LiveEvent[] = [];
  let timer: NodeJS.Timeout | undefined;
  let comparison: Comparison | undefined;
  let closing: Promise<void> | undefined;

  const seconds = (): number | null =>
    clock === undefined ? null : (clock.now() - started) / 1000;

  function flush(): void {
    clearTimeout(timer);
    timer = undefined;
    if (pending.length > 0) {
      const message = frame("events", { seconds: seconds(), events: pending });
      pending = [];
      for (const listener of listeners) {
        send(listener, message);
      }
    }
  }

  function listen(response: ServerResponse): void {
    response.writeHead(200, { ...headers, "content-type": "text/event-stream" });
    // What is pending is in the state already: the others get it now, the newcomer with the state.
    flush();
    send(response, `retry: 1000\n${frame("state", { seconds: seconds(), state })}`);
    listeners.add(response);
    response.on("close", () => listeners.delete(response));
  }

  async function shutDown(): Promise<void> {
    flush();
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    const goodbyes = [...listeners].map(
      (listener) => new Promise<void>((resolve) => listener.end(frame("closed", {}), resolve)),
    );
    const patience = new Promise<void>((resolve) => setTimeout(resolve, patienceMs).unref());
    await Promise.race([Promise.all(goodbyes), patience]);
    server.closeAllConnections();
    await closed;
  }

  const server = createServer((request, response) => {
    const target = targetOf(request);
    const refusal = refuse(request, target, address.port, token);
    if (refusal !== null) {
      reply(response, refusal, "text/plain; charset=utf-8", `${refusal}\n`);
      return;
    }
    switch (target.pathname) {
      case "/":
        reply(response, 200, "text/html; charset=utf-8", renderStudioPage(token));
        return;
      case "/events":
        listen(response);
        return;
      case "/report":
        if (comparison !== undefined) {
          reply(response, 200, "text/html; charset=utf-8", renderReport(comparison));
          return;
        }
    }
    reply(response, 404, "text/plain; charset=utf-8", "404\n");
  });

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  const address = server.address() as AddressInfo;
  const name = host === "::1" ? "[::1]" : host;

  return {
    url: `http://${name}:${address.port}/?token=${token}`,
    publish(event) {
      const live = "schema" in event ? endOf(event) : event;
      if ("schema" in event) {
        comparison = event;
      } else if (event.kind === "plan") {
        comparison = undefined;
      }
      if (closing !== undefined) {
        return;
      }
      applyEvent(state, live);
      pending.push(live);
      timer ??= setTimeout(flush, batchMs);
    },
    close() {
      closing ??= shutDown();
      return closing;
    },
  };
}

function checkOptions(host: string, port: number, token: string): void {
  if (!loopback.includes(host)) {
    throw new RangeError(
      `startStudio: \`host\` must be one of ${loopback.map((h) => `"${h}"`).join(", ")}, got "${host}"; forward the port to reach it from elsewhere`,
    );
  }
  if (!(Number.isInteger(port) && port >= 0 && port <= 65535)) {
    throw new RangeError(`startStudio: \`port\` must be an integer in [0, 65535], got ${port}`);
  }
  if (!/^[\w-]{16,}$/.test(token)) {
    throw new RangeError(
      `startStudio: \`token\` must be at least 16 letters, digits, "-" or "_", got ${token.length} characters; leave it out for a random one`,
    );
  }
}

/** The status to refuse with, or null. Whoever lacks the token learns nothing about the rest. */
function refuse(request: IncomingMessage, target: URL, port: number, token: string): number | null {
  const host = request.headers.host ?? "";
  // Browsers leave out the default port.
  const full = port === 80 && !/:\d+$/.test(host) ? `${host}:80` : host;
  if (!["127.0.0.1", "localhost", "[::1]"].some((name) => full === `${name}:${port}`)) {
    return 403;
  }
  if (!same(target.searchParams.get("token") ?? "", token)) {
    return 403;
  }
  return request.method === "GET" ? null : 405;
}

/** Path and query; what cannot be read as an address becomes one without a token. */
function targetOf(request: IncomingMessage): URL {
  const base = "http://localhost";
  const url = request.url ?? "/";
  return new URL(URL.canParse(url, base) ? url : "/", base);
}

/** Compares in constant time; hashes are of equal length whatever was given. */
function same(a: string, b: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

const headers = {
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "cross-origin-resource-policy": "same-origin",
} as const;

function reply(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    ...headers,
    "content-type": type,
    ...(status === 405 && { allow: "GET" }),
  });
  response.end(body);
}

/** JSON has no line breaks of its own, so that one line of data holds it. */
function frame(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function send(response: ServerResponse, message: string): void {
  response.write(message);
  if (response.writableLength > backlogLimit) {
    response.destroy();
  }
}

function endOf(comparison: Comparison): LiveEvent {
  const { trialsDone, trialsPlanned, wallSeconds, interrupted } = comparison;
  return { kind: "end", trialsDone, trialsPlanned, wallSeconds, interrupted };
}
