/** A client that stops reading costs bounded memory, delays nobody, and misses nothing (PROTOCOL section 5, Back-pressure). */
import { expect, test } from "bun:test";
import { readFile } from "node:fs/promises";
import { connect } from "../support/client.ts";
import { newSession, tokensBody } from "../support/http.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const MIB = 1024 * 1024;
const JOB_MIB = 24;
const SLOW_CLIENTS = 8;
const LONG_MS = 60_000;

async function residentBytes(server: TestServer): Promise<number> {
  const status = await readFile(`/proc/${server.pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

test(
  "eight clients that stop reading 24 MiB each do not grow the server, and get it all when they read on",
  async () => {
    await using server = await startServer();
    const sessions = await Promise.all(Array.from({ length: SLOW_CLIENTS }, () => newSession(server)));
    const jobs: string[] = [];
    for (const api of sessions) {
      const { id } = await api.submit(tokensBody({ tokens: JOB_MIB * 256, size: 4096 }));
      await until("the job to end", async () => (await api.job(id)).terminal, LONG_MS);
      jobs.push(id);
    }
    const before = await residentBytes(server);
    const slow = await Promise.all(sessions.map(({ token }) => openRawWebSocket(server.port, token)));
    for (const [n, socket] of slow.entries()) {
      await socket.waitFor("welcome", ({ type }) => type === "welcome");
      socket.send({ type: "attach", job: jobs[n] });
      await socket.waitFor("attached", ({ type }) => type === "attached");
      socket.pause();
    }
    // Somebody who reads is served meanwhile: promise 7.
    await using quick = await connect(server, { token: (await newSession(server)).token });
    let most = 0;
    for (let n = 0; n < 40; n += 1) {
      const askedMs = performance.now();
      await quick.settle();
      expect(performance.now() - askedMs).toBeLessThan(1000);
      most = Math.max(most, await residentBytes(server));
    }
    // Unbounded it would be 192 MiB more; queueBytes allow 8, and kernel and collector have their share.
    expect((most - before) / MIB).toBeLessThan(96);
    for (const socket of slow) expect(socket.closeCode()).toBeNull();

    const [reader] = slow;
    reader?.resume();
    await reader?.waitFor(
      "the terminal event",
      ({ terminal, type }) => type === "event" && terminal === true,
      LONG_MS,
    );
    const events = reader?.frames.filter(({ type }) => type === "event") ?? [];
    let cursor = 0;
    let characters = 0;
    for (const { first, seq, data } of events) {
      expect(first ?? seq).toBe(cursor + 1);
      cursor = seq ?? 0;
      characters += data?.delta?.length ?? 0;
    }
    expect(characters).toBe(JOB_MIB * MIB);
    for (const socket of slow) socket.destroy();
  },
  4 * LONG_MS,
);

test(
  "a watcher that does not read does not slow the job it watches",
  async () => {
    await using server = await startServer({ env: { HOLDLINE_QUEUE_BYTES: "65536" } });
    const api = await newSession(server);
    const socket = await openRawWebSocket(server.port, api.token);
    const welcome = await socket.waitFor("welcome", ({ type }) => type === "welcome");
    expect(welcome.limits?.queueBytes).toBe(65_536);
    socket.pause();
    const { id } = await api.submit(tokensBody({ tokens: 4000, size: 4096 }));
    await until("the job to end", async () => (await api.job(id)).terminal, LONG_MS);
    expect(socket.bytesRead()).toBeLessThan(4 * MIB);
    socket.resume();
    await socket.waitFor("the terminal event", ({ terminal }) => terminal === true, LONG_MS);
    let cursor = 0;
    for (const { first, seq } of socket.frames.filter(({ type }) => type === "event")) {
      expect(first ?? seq).toBe(cursor + 1);
      cursor = seq ?? 0;
    }
    expect(cursor).toBe((await api.job(id)).head);
    socket.destroy();
  },
  2 * LONG_MS,
);
