/** Those who send so slowly that it is meant to hurt (docs/security.md, S29). */
import { describe, expect, test } from "bun:test";
import { createApp } from "../../src/app.ts";
import { loadConfig } from "../../src/config.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/logger.ts";
import { createSystemWorld } from "../../src/world.ts";
import { call, newSession, tokensBody } from "../support/http.ts";
import { openTcp, readHead } from "../support/raw.ts";
import { startServer } from "../support/server.ts";
import { within } from "../support/wait.ts";
import { QUICK_MS, quickestMedianMs } from "./timing.ts";

interface Slow {
  /** Resolves when the server has closed the connection. */
  readonly closed: Promise<void>;
  readonly status: () => number | null;
}

/** Sends `head`, then `drip` again and again, until the server has enough. */
async function drip(port: number, head: string, piece: string, everyMs: number): Promise<Slow> {
  const tcp = await openTcp(port);
  let received: Buffer = Buffer.alloc(0);
  const closed = Promise.withResolvers<void>();
  tcp.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  tcp.on("error", () => undefined);
  const timer = piece === "" ? undefined : setInterval(() => tcp.write(piece), everyMs);
  tcp.once("close", () => {
    clearInterval(timer);
    closed.resolve();
  });
  tcp.write(head);
  return { closed: closed.promise, status: () => readHead(received)?.status ?? null };
}

const HEADS: readonly (readonly [head: string, piece: string])[] = [
  ["", ""],
  ["GET /v1/jobs HT", ""],
  ["GET /v1/jobs HTTP/1.1\r\n", "X"],
  ["GET /v1/jobs HTTP/1.1\r\n", "X-A: b\r\n"],
  ["GET /v1/connect HTTP/1.1\r\nUpgrade: websocket\r\n", "X"],
];

describe("S29 slow senders", () => {
  test("S29 200 of them who never finish their headers → closed, and others are served meanwhile", async () => {
    await using server = await startServer();
    const api = await newSession(server);
    const slow = await Promise.all(
      Array.from({ length: 200 }, (_, n) => {
        const [head, piece] = HEADS[n % HEADS.length] ?? ["", ""];
        return drip(server.port, head, piece, 1000);
      }),
    );
    expect(await quickestMedianMs(() => api.call("GET", "/v1/jobs"))).toBeLessThan(QUICK_MS);
    const { id } = await api.submit(tokensBody());
    await api.finished(id);
    await within("all of them to be closed", Promise.all(slow.map(({ closed }) => closed)), 20_000);
    for (const { status } of slow) expect([null, 408]).toContain(status());
    expect((await call("GET", `${server.url}/healthz`)).status).toBe(200);
  });

  // The deadline of a body is 30 s. The server runs inside the test here, with timers that go a hundred times as fast.
  test("S29 a body that drips or stops → 408 and closed at its deadline, however it is framed", async () => {
    const { config } = loadConfig({
      flags: { port: "0", "database-url": "sqlite::memory:", "drain-ms": "0", "rate-per-minute": "0" },
      env: {},
      cwd: "/",
      readFile: () => null,
    });
    const system = createSystemClock();
    const hurried = {
      ...system,
      after: (delayMs: number, run: () => void) => system.after(delayMs / 100, run),
    };
    const app = createApp({
      config,
      logger: createLogger({ level: "silent", pretty: false }),
      world: createSystemWorld(hurried),
    });
    await app.start();
    try {
      const { token } = await newSession(app);
      const port = Number(new URL(app.url).port);
      const head =
        `POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAuthorization: Bearer ${token}\r\n` +
        "Content-Type: application/json\r\n";
      const bodies: (readonly [framing: string, piece: string])[] = [
        ["Content-Length: 1000", ""],
        ["Content-Length: 1000", " "],
        ["Transfer-Encoding: chunked", "1\r\n \r\n"],
        ["Transfer-Encoding: chunked", ""],
      ];
      const startedMs = performance.now();
      const slow = await Promise.all(
        bodies.map(([framing, piece]) => drip(port, `${head}${framing}\r\n\r\n`, piece, 20)),
      );
      await within("all of them to be closed", Promise.all(slow.map(({ closed }) => closed)));
      expect(performance.now() - startedMs).toBeGreaterThan(250);
      expect(slow.map(({ status }) => status())).toEqual([408, 408, 408, 408]);
    } finally {
      await app.stop();
    }
  });
});
