/** Readers that stop, and readers with a lot to read: bounded memory, nothing lost, nobody else delayed (R30, R31, R38). */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, tokensBody, type Api } from "../support/http.ts";
import { checkDeliveries, expectWhole } from "../support/log-checker.ts";
import { openRawWebSocket, type RawWebSocket } from "../support/raw-websocket.ts";
import { startServer } from "../support/server.ts";
import { userToken } from "../support/tokens.ts";
import { until } from "../support/wait.ts";
import { startProxy } from "./proxy.ts";
import {
  comeToRest,
  costBelow,
  drain,
  eventsOf,
  isEnd,
  MIB,
  openSink,
  quantile,
  requestRaw,
  residentBytes,
  roundTripsMs,
} from "./slow-support.ts";

const SECRET = "a secret that is long enough for HS256";
const QUEUE_BYTES = 64 * 1024;
const READERS = 24;
const JOB_MIB = 7;
/** Sockets of one user, so that all of them may read one log. */
const ENV = {
  HOLDLINE_AUTH_SECRET: SECRET,
  HOLDLINE_TOKENS: "on",
  HOLDLINE_QUEUE_BYTES: String(QUEUE_BYTES),
};
const TOKEN = userToken(SECRET, { sub: "reader" });

async function filledJob(api: Api, mib: number): Promise<string> {
  const { id } = await api.submit(tokensBody({ tokens: mib * 256, size: 4096 }));
  await until("the job to end", async () => (await api.job(id)).terminal, 60_000);
  return id;
}

async function openStalled(port: number, job: string): Promise<RawWebSocket> {
  const socket = await openRawWebSocket(port, TOKEN);
  await socket.waitFor("welcome", ({ type }) => type === "welcome");
  socket.send({ type: "attach", job });
  await socket.waitFor("attached", ({ type }) => type === "attached");
  socket.pause();
  return socket;
}

describe("readers that stop", () => {
  test("faults/R30 a client that stops reading: nothing is dropped, there is no hole, and its neighbour hears everything at once", async () => {
    await using server = await startServer({ env: ENV });
    const api = apiOf(server, TOKEN);
    await using quick = await connect(server, { token: TOKEN });
    const { id } = await api.submit(tokensBody({ tokens: 3000, size: 4096, intervalMs: 1 }));
    await quick.attach(id);
    const stalled = await openStalled(server.port, id);
    const end = await quick.waitForEnd(id, 30_000);
    // It heard the end when it was committed: within a second, with 12 MiB waiting for somebody else.
    expect(Date.now() - (end.at ?? 0)).toBeLessThan(1000);
    expect(stalled.bytesRead()).toBeLessThan(6 * MIB);
    stalled.resume();
    await stalled.waitFor("the end", isEnd, 30_000);
    const log = await api.log(id);
    expectWhole(log, [
      { after: 0, events: eventsOf(stalled) },
      { after: 0, events: quick.events(id) },
    ]);
    expect(stalled.closeCode()).toBeNull();
    stalled.destroy();
  }, 60_000);

  test(`faults/R31 ${READERS} sockets that stop reading ${JOB_MIB} MiB each: memory stays bounded, and each gets it all later`, async () => {
    await using server = await startServer({ env: ENV });
    const id = await filledJob(apiOf(server, TOKEN), JOB_MIB);
    const idle = await residentBytes(server.pid);
    const stalled = await Promise.all(Array.from({ length: READERS }, () => openStalled(server.port, id)));
    await comeToRest(server.pid);
    // Unbounded it would be all of it for each.
    await costBelow(server, idle, { count: READERS, eachBytes: QUEUE_BYTES + MIB / 2 });
    const [some, another] = stalled;
    for (const socket of [some, another]) {
      socket?.resume();
      await socket?.waitFor("the end", isEnd, 30_000);
    }
    const log = await apiOf(server, TOKEN).log(id);
    for (const socket of [some, another]) {
      const events = socket === undefined ? [] : eventsOf(socket);
      expect(checkDeliveries(log, [{ after: 0, events }])).toEqual([]);
      expect(events.at(-1)?.terminal).toBe(true);
    }
    for (const socket of stalled) socket.destroy();
  }, 60_000);

  test(`faults/R31 ${READERS} followers over HTTP that stop reading cost no more`, async () => {
    await using server = await startServer({ env: ENV });
    const id = await filledJob(apiOf(server, TOKEN), JOB_MIB);
    const idle = await residentBytes(server.pid);
    const stalled = await Promise.all(
      Array.from({ length: READERS }, async (_, n) => {
        const accept = n % 2 === 0 ? "text/event-stream" : "application/x-ndjson";
        const headers = { Accept: accept, Authorization: `Bearer ${TOKEN}` };
        const tcp = await requestRaw(server.port, `/v1/jobs/${id}/events`, headers);
        tcp.pause();
        return tcp;
      }),
    );
    await comeToRest(server.pid);
    await costBelow(server, idle, { count: READERS, eachBytes: QUEUE_BYTES + MIB / 2 });
    const [one] = stalled;
    if (one === undefined) throw new Error("nobody stalled");
    const rest = drain(one);
    one.resume();
    await rest.ended;
    expect(rest.bytes()).toBeGreaterThan(JOB_MIB * MIB);
    for (const tcp of stalled) tcp.destroy();
  }, 60_000);
});

test("faults/R38 a log of 100,000 entries is replayed to quick and slow readers: page by page, and others hardly wait", async () => {
  await using server = await startServer({
    env: { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on" },
  });
  const api = apiOf(server, TOKEN);
  const { id } = await api.submit(tokensBody({ tokens: 100_000, size: 4 }));
  await until("the job to end", async () => (await api.job(id)).terminal, 60_000);
  const replay = async (): Promise<void> => {
    const reader = await openSink(server.port, TOKEN, [id]);
    await reader.ended;
    // Folded, and still all of its text.
    expect(reader.bytes()).toBeGreaterThan(400_000);
    reader.tcp.destroy();
  };
  const startedMs = performance.now();
  await replay();
  const replayMs = performance.now() - startedMs;

  await using other = await connect(server, { token: TOKEN });
  await using proxy = await startProxy({ to: server.port });
  proxy.plan({ down: { bytesPerSecond: 64 * 1024 } });
  const slow = await openSink(proxy.port, TOKEN, [id]);
  const followers = await Promise.all(
    ["text/event-stream", "application/x-ndjson"].map(async (accept) => {
      const headers = { Accept: accept, Authorization: `Bearer ${TOKEN}` };
      const tcp = await requestRaw(server.port, `/v1/jobs/${id}/events`, headers);
      return drain(tcp);
    }),
  );
  const quick = async (): Promise<void> => {
    for (let n = 0; n < 4; n += 1) await replay();
  };
  const beside = await roundTripsMs(
    other,
    20,
    Promise.all([quick(), ...followers.map(({ ended }) => ended)]),
  );
  // Read in one go, a replay would hold everybody up for as long as it takes.
  expect(quantile(beside, 0.99)).toBeLessThan(replayMs / 8);
  for (const { bytes } of followers) expect(bytes()).toBeGreaterThan(100_000 * 100);
  expect(slow.tcp.destroyed).toBe(false);
  for (const { tcp } of [...followers, slow]) tcp.destroy();
}, 90_000);
