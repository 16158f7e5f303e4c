/**
 * Readers that take nothing for half a minute are let go, over a socket (4001) and over HTTP. The server runs inside the
 * test here, with a clock that goes forty times as fast; test/soak has the same with the time it really takes.
 */
import { describe, expect, test } from "bun:test";
import { createApp, type App } from "../../src/app.ts";
import { loadConfig } from "../../src/config.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/lib/logger.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { createSystemWorld } from "../../src/world.ts";
import { newSession, tokensBody, type Api } from "../support/http.ts";
import { checkDeliveries } from "../support/log-checker.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";
import { until } from "../support/wait.ts";
import type { EventBody, SessionBody } from "../support/wire.ts";
import { eventsOf, isEnd, isServed, requestRaw } from "./slow-support.ts";

const SPEED = 40;

async function startHurried(): Promise<App & AsyncDisposable> {
  const { config } = loadConfig({
    // Nobody is let go for his silence here: that would come first.
    flags: {
      port: "0",
      "database-url": "sqlite::memory:",
      "drain-ms": "0",
      "ping-ms": "3600000",
      "rate-per-minute": "0",
      tokens: "on",
    },
    env: {},
    cwd: "/",
    readFile: () => null,
  });
  const system = createSystemClock();
  const startedMs = system.steadyMs();
  const clock = {
    ...system,
    steadyMs: () => startedMs + (system.steadyMs() - startedMs) * SPEED,
    after: (delayMs: number, run: () => void) => system.after(delayMs / SPEED, run),
    every: (intervalMs: number, run: () => void) => system.every(intervalMs / SPEED, run),
  };
  const logger = createLogger({ level: "silent", pretty: false });
  const app = createApp({ config, logger, world: createSystemWorld(clock) });
  await app.start();
  return Object.assign(app, { [Symbol.asyncDispose]: () => app.stop() });
}

async function filledJob(api: Api): Promise<string> {
  const { id } = await api.submit(tokensBody({ tokens: 12 * 256, size: 4096 }));
  await until("the job to end", async () => (await api.job(id)).terminal, 30_000);
  return id;
}

describe("a reader that takes nothing for half a minute", () => {
  test("faults/R30 over a socket it is closed with 4001, and resumes where it stood", async () => {
    await using app = await startHurried();
    const port = Number(new URL(app.url).port);
    const api = await newSession(app);
    const id = await filledJob(api);
    const stalled = await openRawWebSocket(port, api.token);
    await stalled.waitFor("welcome", ({ type }) => type === "welcome");
    stalled.send({ type: "attach", job: id });
    await stalled.waitFor("attached", ({ type }) => type === "attached");
    const startedMs = performance.now();
    stalled.pause();
    const presence = async (): Promise<string> =>
      (await api.call<SessionBody>("GET", "/v1/sessions/current")).body.presence;
    await until("the server to let it go", async () => (await presence()) === "away");
    // Two pauses of the heartbeat's timer at most.
    expect(performance.now() - startedMs).toBeGreaterThan(LIMITS.stalledMs / SPEED - 10);
    // It reads on at once: what was under way arrives, and then why it ended.
    stalled.resume();
    await stalled.waitFor("the goodbye", ({ type }) => type === "goodbye");
    await until("the close", () => stalled.closeCode() !== null);
    expect(stalled.closeCode()).toBe(4001);
    expect(stalled.frames.at(-1)).toMatchObject({ code: 4001, reason: "slow_consumer", reconnect: true });
    const log = await api.log(id);
    const first = eventsOf(stalled);
    expect(first.at(-1)?.seq).toBeLessThan(log.length);

    const again = await openRawWebSocket(port, api.token);
    const after = first.at(-1)?.seq ?? 0;
    again.send({ type: "attach", job: id, after });
    await again.waitFor("the end", isEnd, 30_000);
    expect(
      checkDeliveries(log, [
        { after: 0, events: first },
        { after, events: eventsOf(again) },
      ]),
    ).toEqual([]);
    for (const socket of [stalled, again]) socket.destroy();
  }, 30_000);

  for (const accept of ["text/event-stream", "application/x-ndjson"]) {
    test(`faults/R30 over HTTP (${accept}) its connection ends, with whole entries up to there`, async () => {
      await using app = await startHurried();
      const port = Number(new URL(app.url).port);
      const api = await newSession(app);
      const id = await filledJob(api);
      const headers = { Accept: accept, Authorization: `Bearer ${api.token}` };
      const tcp = await requestRaw(port, `/v1/jobs/${id}/events`, headers);
      tcp.pause();
      let text = "";
      let closed = false;
      tcp.on("data", (chunk: Buffer) => {
        text += chunk.toString("latin1");
      });
      tcp.on("close", () => {
        closed = true;
      });
      await until("the server to let it go", async () => !(await isServed(port, tcp)), 20_000);
      tcp.resume();
      await until("the end of what was under way", () => closed);
      const seqs = [...text.matchAll(/^(?:data: )?(\{"job".*\})\r?$/gm)].map(
        ([, json = "null"]) => (JSON.parse(json) as EventBody).seq,
      );
      const log = await api.log(id);
      expect(seqs.length).toBeGreaterThan(100);
      expect(seqs.length).toBeLessThan(log.length);
      expect(seqs).toEqual(log.slice(0, seqs.length).map(({ seq }) => seq));
    }, 30_000);
  }

  test("faults/R30 over HTTP a reader that is only slow is not let go", async () => {
    await using app = await startHurried();
    const port = Number(new URL(app.url).port);
    const api = await newSession(app);
    const { id } = await api.submit(tokensBody({ tokens: 20, size: 8, intervalMs: 4000 }));
    const headers = { Accept: "text/event-stream", Authorization: `Bearer ${api.token}` };
    const tcp = await requestRaw(port, `/v1/jobs/${id}/events`, headers);
    let text = "";
    tcp.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
    });
    const startedMs = performance.now();
    // More than twice as long as a stall may last, with a few bytes now and then.
    await until("the end of the job", () => text.includes("job.succeeded"), 20_000);
    expect(performance.now() - startedMs).toBeGreaterThan((2 * LIMITS.stalledMs) / SPEED);
    expect(text.match(/"kind":"output.text"/g)?.length).toBe(20);
    tcp.destroy();
  }, 30_000);
});
