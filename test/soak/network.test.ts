/** The network's faults at full size: a thousand readers that stop, a million entries, five thousand clients at once. */
import { expect, test } from "bun:test";
import type { Socket } from "node:net";
import {
  comeToRest,
  costBelow,
  drain,
  eventsOf,
  isEnd,
  isServed,
  MIB,
  openSink,
  quantile,
  requestRaw,
  residentBytes,
  roundTripsMs,
} from "../faults/slow-support.ts";
import { allResumed, beginAnew, closeCrowd, openCrowd } from "../faults/storm.ts";
import { startProxy } from "../faults/proxy.ts";
import { connect } from "../support/client.ts";
import { apiOf, newSession, tokensBody } from "../support/http.ts";
import { checkDeliveries } from "../support/log-checker.ts";
import { openRawWebSocket, type RawWebSocket } from "../support/raw-websocket.ts";
import { startServer } from "../support/server.ts";
import { userToken } from "../support/tokens.ts";
import { until } from "../support/wait.ts";
import type { SessionBody } from "../support/wire.ts";

const SECRET = "a secret that is long enough for HS256";
const TOKEN = userToken(SECRET, { sub: "reader" });
const LIMIT_MS = 300_000;

/** Figures for docs/reliability.md; nothing is judged by them. */
function say(row: string, figures: Record<string, number | string>): void {
  const text = Object.entries(figures).map(
    ([name, value]) => `${name} ${typeof value === "number" ? Math.round(value * 100) / 100 : value}`,
  );
  process.stdout.write(`${row}: ${text.join(", ")}\n`);
}

const READERS = 1000;
const QUEUE_BYTES = 64 * 1024;

test(
  `faults/R31 ${READERS} sockets that stop reading: queueBytes and a constant for each`,
  async () => {
    await using server = await startServer({
      env: {
        HOLDLINE_AUTH_SECRET: SECRET,
        HOLDLINE_TOKENS: "on",
        HOLDLINE_QUEUE_BYTES: String(QUEUE_BYTES),
        // Nobody is let go while memory is looked at.
        HOLDLINE_PING_MS: "600000",
      },
    });
    const api = apiOf(server, TOKEN);
    const { id } = await api.submit(tokensBody({ tokens: 6 * 256, size: 4096 }));
    await until("the job to end", async () => (await api.job(id)).terminal, 60_000);
    const idle = await residentBytes(server.pid);
    const stalled: RawWebSocket[] = [];
    while (stalled.length < READERS) {
      const some = await Promise.all(
        Array.from({ length: 50 }, async () => {
          const socket = await openRawWebSocket(server.port, TOKEN);
          socket.send({ type: "attach", job: id });
          await socket.waitFor("attached", ({ type }) => type === "attached", 30_000);
          socket.pause();
          return socket;
        }),
      );
      stalled.push(...some);
    }
    await comeToRest(server.pid, 150_000);
    const peak = await residentBytes(server.pid);
    const each = await costBelow(server, idle, { count: READERS, eachBytes: QUEUE_BYTES + MIB / 4 });
    say("R31", { readers: READERS, idleMiB: idle / MIB, afterReadingMiB: peak / MIB, eachKiB: each / 1024 });
    for (const socket of stalled) socket.destroy();
  },
  LIMIT_MS,
);

test(
  `faults/R31 ${READERS} followers over HTTP that stop reading: queueBytes and a constant for each, and others hardly wait`,
  async () => {
    await using server = await startServer({
      env: {
        HOLDLINE_AUTH_SECRET: SECRET,
        HOLDLINE_TOKENS: "on",
        HOLDLINE_QUEUE_BYTES: String(QUEUE_BYTES),
      },
    });
    const api = apiOf(server, TOKEN);
    const { id } = await api.submit(tokensBody({ tokens: 6 * 256, size: 4096 }));
    await until("the job to end", async () => (await api.job(id)).terminal, 60_000);
    await using other = await connect(server, { token: TOKEN });
    const alone = await roundTripsMs(other, 1000);
    const idle = await residentBytes(server.pid);
    const stalled: Socket[] = [];
    let peak = idle;
    while (stalled.length < READERS) {
      const some = await Promise.all(
        Array.from({ length: 50 }, async (_, n) => {
          const accept = n % 2 === 0 ? "text/event-stream" : "application/x-ndjson";
          const headers = { Accept: accept, Authorization: `Bearer ${TOKEN}` };
          const tcp = await requestRaw(server.port, `/v1/jobs/${id}/events`, headers);
          tcp.pause();
          return tcp;
        }),
      );
      stalled.push(...some);
      peak = Math.max(peak, await residentBytes(server.pid));
    }
    const beside = await roundTripsMs(other, 1000);
    peak = Math.max(peak, await residentBytes(server.pid));
    const each = await costBelow(server, idle, { count: READERS, eachBytes: QUEUE_BYTES + MIB / 8 });
    // All of them are served still, 30 s are not over: nobody was let go to make it cheaper.
    const served = await Promise.all(stalled.map((tcp) => isServed(server.port, tcp)));
    expect(served.filter(Boolean)).toHaveLength(READERS);
    say("R31 HTTP", {
      readers: READERS,
      idleMiB: idle / MIB,
      peakMiB: peak / MIB,
      eachKiB: each / 1024,
      aloneP50Ms: quantile(alone, 0.5),
      besideP50Ms: quantile(beside, 0.5),
      aloneP99Ms: quantile(alone, 0.99),
      besideP99Ms: quantile(beside, 0.99),
    });
    // The most there ever was, with what was read for them and not collected yet.
    expect(peak - idle).toBeLessThan(512 * MIB);
    // The last of them were still being served; one after the other they would hold everybody up for seconds.
    expect(quantile(beside, 0.5)).toBeLessThan(quantile(alone, 0.5) + 10);
    const last = stalled.at(-1);
    if (last === undefined) throw new Error("nobody stalled");
    const rest = drain(last);
    last.resume();
    await rest.ended;
    expect(rest.bytes()).toBeGreaterThan(6 * MIB);
    for (const tcp of stalled) tcp.destroy();
  },
  LIMIT_MS,
);

const JOBS = 10;
const ENTRIES = 100_000;
const ROUNDS = 5;
/**
 * How much longer the slowest hundredth of another client's questions may take than at a server on the same machine
 * that replays nothing. Read in one go the entries would hold everybody up for seconds: a thousand times as long.
 */
const MOST_RATIO = 16;
/** The same where only the slow one reads: its replay waits for it, and takes next to nothing of anybody's time. */
const MOST_SLOW_RATIO = 2;

const medianOf = (ratios: readonly number[]): number =>
  quantile(
    ratios.toSorted((a, b) => a - b),
    0.5,
  );

test(
  `faults/R38 ${JOBS * ENTRIES} entries to a slow client: page by page, and others hardly wait`,
  async () => {
    const env = { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on" };
    await using server = await startServer({ env });
    // What else this machine does, and this process, delays both alike.
    await using idleServer = await startServer({ env });
    const api = apiOf(server, TOKEN);
    const ids: string[] = [];
    for (let n = 0; n < JOBS; n += 1) {
      const { id } = await api.submit(tokensBody({ tokens: ENTRIES, size: 4 }));
      await until("the job to end", async () => (await api.job(id)).terminal, 60_000);
      ids.push(id);
    }
    await using other = await connect(server, { token: TOKEN });
    await using elsewhere = await connect(idleServer, { token: TOKEN });
    const alone = await roundTripsMs(other, 1000);
    const before = await residentBytes(server.pid);
    await using proxy = await startProxy({ to: server.port });
    proxy.plan({ down: { bytesPerSecond: 512 * 1024 } });
    const slow = await openSink(proxy.port, TOKEN, ids);
    const slowRatios: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const [beside, control] = await Promise.all([roundTripsMs(other, 1000), roundTripsMs(elsewhere, 1000)]);
      slowRatios.push(quantile(beside, 0.99) / quantile(control, 0.99));
    }
    const ratios: number[] = [];
    for (let round = 1; round <= ROUNDS; round += 1) {
      const startedMs = performance.now();
      const quick = await openSink(server.port, TOKEN, ids);
      const [beside, control] = await Promise.all([
        roundTripsMs(other, 20, quick.ended),
        roundTripsMs(elsewhere, 20, quick.ended),
      ]);
      expect(quick.bytes()).toBeGreaterThan(JOBS * ENTRIES * 4);
      quick.tcp.destroy();
      const ratio = quantile(beside, 0.99) / quantile(control, 0.99);
      ratios.push(ratio);
      say(`R38 round ${round}`, {
        replayMs: performance.now() - startedMs,
        besideP50Ms: quantile(beside, 0.5),
        besideP99Ms: quantile(beside, 0.99),
        elsewhereP50Ms: quantile(control, 0.5),
        elsewhereP99Ms: quantile(control, 0.99),
        ratio,
      });
    }
    await slow.ended;
    const median = medianOf(ratios);
    const slowMedian = medianOf(slowRatios);
    say("R38", {
      aloneP50Ms: quantile(alone, 0.5),
      aloneP99Ms: quantile(alone, 0.99),
      besideSlowRatio: slowMedian,
      besideQuickRatio: median,
    });
    expect(slow.bytes()).toBeGreaterThan(JOBS * ENTRIES * 4);
    expect(median).toBeLessThan(MOST_RATIO);
    expect(slowMedian).toBeLessThan(MOST_SLOW_RATIO);
    expect((await residentBytes(server.pid)) - before).toBeLessThan(128 * MIB);
    slow.tcp.destroy();
  },
  LIMIT_MS,
);

for (const count of [500, 5000]) {
  test(
    `faults/R39 ${count} clients dropped at once by a crash: all resumed`,
    async () => {
      await using server = await startServer({ env: { HOLDLINE_CONCURRENCY: String(count + 100) } });
      const crowd = await openCrowd(server.url, count);
      const sessions = crowd.map(({ client }) => client.sessionId);
      beginAnew(crowd);
      const cutMs = performance.now();
      await server.restart();
      const upMs = performance.now();
      const waited = await allResumed(crowd, { sinceMs: upMs, limitMs: 120_000 });
      const turnedAway = crowd.filter(({ causes }) => causes.includes("overloaded")).length;
      say(`R39 ${count}`, {
        downMs: upMs - cutMs,
        p50Ms: quantile(waited, 0.5),
        p99Ms: quantile(waited, 0.99),
        lastMs: waited.at(-1) ?? Number.NaN,
        turnedAway,
        rssMiB: (await residentBytes(server.pid)) / MIB,
      });
      for (const { attached, job } of crowd) {
        expect(attached[0]?.recovered).toBe(true);
        expect(job.ended).toBeNull();
      }
      expect(crowd.map(({ client }) => client.sessionId)).toEqual(sessions);
      expect(waited.at(-1)).toBeLessThan(60_000);
      closeCrowd(crowd);
    },
    LIMIT_MS,
  );
}

test(
  "faults/R30 a socket that takes nothing for 30 s is closed with 4001, by the real clock",
  async () => {
    await using server = await startServer({ env: { HOLDLINE_PING_MS: "120000" } });
    const api = await newSession(server);
    const { id } = await api.submit(tokensBody({ tokens: 12 * 256, size: 4096 }));
    await until("the job to end", async () => (await api.job(id)).terminal, 60_000);
    const stalled = await openRawWebSocket(server.port, api.token);
    stalled.send({ type: "attach", job: id });
    await stalled.waitFor("attached", ({ type }) => type === "attached");
    stalled.pause();
    const startedMs = performance.now();
    const presence = async (): Promise<string> =>
      (await api.call<SessionBody>("GET", "/v1/sessions/current")).body.presence;
    await until("the server to let it go", async () => (await presence()) === "away", 60_000);
    const tookMs = performance.now() - startedMs;
    say("R30", { letGoAfterMs: tookMs });
    expect(tookMs).toBeGreaterThan(29_900);
    expect(tookMs).toBeLessThan(40_000);
    stalled.resume();
    await until("the close", () => stalled.closeCode() !== null);
    expect(stalled.closeCode()).toBe(4001);
    const first = eventsOf(stalled);
    const after = first.at(-1)?.seq ?? 0;
    const again = await openRawWebSocket(server.port, api.token);
    again.send({ type: "attach", job: id, after });
    await again.waitFor("the end", isEnd, 60_000);
    const deliveries = [
      { after: 0, events: first },
      { after, events: eventsOf(again) },
    ];
    expect(checkDeliveries(await api.log(id), deliveries)).toEqual([]);
    for (const socket of [stalled, again]) socket.destroy();
  },
  LIMIT_MS,
);
