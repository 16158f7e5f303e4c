/** The client in front of a real server process: cut again and again, and every entry arrives once and in order. */
import { expect, test } from "bun:test";
import { createClient } from "../../src/client/client.ts";
import type { LogEvent } from "../../src/client/job-events.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { createMapStorage } from "./setup.ts";

const server = sharedServer();

/** Every seq is covered once, without a hole, from 1 to the end. */
function expectWhole(events: readonly LogEvent[]): void {
  let cursor = 0;
  for (const { first, seq } of events) {
    expect(first).toBe(cursor + 1);
    cursor = seq;
  }
  expect(events.at(-1)?.kind).toBe("job.succeeded");
}

test("a stream of text and audio survives a connection that is cut every 150 entries", async () => {
  const client = createClient({ url: server().url, storage: null });
  const gaps: unknown[] = [];
  client.on("gap", (gap) => gaps.push(gap));
  client.connect();
  const tokens = 1500;
  const job = client.submit({ type: "tokens", input: { tokens, size: 12, intervalMs: 0, audioBytes: 64 } });
  const events: LogEvent[] = [];
  let audioBytes = 0;
  let cutAt = 150;
  let cuts = 0;
  job.on("audio", ({ bytes }) => {
    audioBytes += bytes.byteLength;
  });
  job.on("event", (event) => {
    if (event.kind === "output.replaced") throw new Error("the log could not be read from the cursor");
    events.push(event);
    if (event.seq < cutAt) return;
    cutAt = event.seq + 150;
    cuts += 1;
    client.dropConnection();
  });
  expect(await job.result).toEqual({ tokens });
  client.close();
  expectWhole(events);
  expect(cuts).toBeGreaterThan(3);
  expect(job.text.length).toBe(tokens * 12);
  expect(audioBytes).toBe(tokens * 64);
  expect(gaps).toEqual([]);
});

test("many jobs at once survive cuts, and none is mistaken for another", async () => {
  const client = createClient({ url: server().url, storage: null });
  client.connect();
  const jobs = Array.from({ length: 20 }, (_, index) =>
    client.submit({ type: "tokens", input: { tokens: 100 + index, size: 4, intervalMs: 1 } }),
  );
  let heard = 0;
  for (const job of jobs) {
    job.on("event", () => {
      heard += 1;
      if (heard % 400 === 0) client.dropConnection();
    });
  }
  const results = await Promise.all(jobs.map((job) => job.result));
  client.close();
  expect(results).toEqual(jobs.map((_, index) => ({ tokens: 100 + index })));
  expect(jobs.map((job) => job.text.length)).toEqual(jobs.map((_, index) => (100 + index) * 4));
});

test("a client made anew from the storage resumes the session and the job", async () => {
  const storage = createMapStorage();
  const first = createClient({ url: server().url, storage });
  first.connect();
  const started = first.submit({ type: "tokens", input: { tokens: 300, size: 8, intervalMs: 3 } });
  const half = Promise.withResolvers<void>();
  started.on("text", ({ seq }) => seq > 100 && half.resolve());
  await half.promise;
  first.close();

  const second = createClient({ url: server().url, storage });
  const [remembered] = second.remembered;
  expect(remembered).toMatchObject({ id: started.id, type: "tokens" });
  expect(remembered?.cursor).toBeGreaterThan(100);
  const job = second.job(remembered?.id ?? "");
  const events: LogEvent[] = [];
  job.on("event", (event) => events.push(event as LogEvent));
  second.connect();
  await job.result;
  expect(second.sessionId).toBe(first.sessionId);
  expect(job.text.startsWith(started.text)).toBe(true);
  expect(job.text.length).toBe(300 * 8);
  expectWhole(events);
  second.close();
});

test("a job outlives the server that ran it", async () => {
  await using mortal = await startServer();
  const client = createClient({ url: mortal.url, storage: null });
  client.connect();
  const job = client.submit({ type: "tokens", input: { tokens: 200, size: 8, intervalMs: 5 } });
  const half = Promise.withResolvers<void>();
  const resets: string[] = [];
  job.on("text", ({ seq }) => seq > 80 && half.resolve());
  job.on("reset", ({ reason }) => resets.push(reason));
  await half.promise;
  await mortal.restart();
  expect(await job.result).toEqual({ tokens: 200 });
  expect(resets).toEqual(["restart"]);
  expect(job.attempt).toBe(2);
  expect(job.text.length).toBe(200 * 8);
  client.close();
});
