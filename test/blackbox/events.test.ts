/** A job's log over HTTP: pages, SSE and NDJSON, read afterwards and followed live (PROTOCOL section 3). */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Api, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { expectWhole, outline, textOf } from "../support/log-checker.ts";
import { sharedServer } from "../support/server.ts";
import { openNdjson, openSse, type SseBlock } from "../support/streams.ts";
import { until } from "../support/wait.ts";
import type { EventBody } from "../support/wire.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();
let api: Api;
let job: string;
/** The whole log of `job`: text, audio, and the end. */
let log: EventBody[];
beforeAll(async () => {
  api = await newSession(server());
  job = (await api.submit(tokensBody({ tokens: 20, size: 10, audioBytes: 64 }))).id;
  await api.finished(job);
  log = await api.log(job);
});

const urlOf = (id: string, query = "") => `${server().url}/v1/jobs/${id}/events${query}`;
/** The events of SSE blocks, comments left out. */
const eventsOf = (blocks: readonly SseBlock[]) =>
  blocks.flatMap(({ data }) => (data === undefined ? [] : [JSON.parse(data) as EventBody]));

describe("GET …/events as JSON", () => {
  test("gives the whole log in order, never folded", () => {
    expectWhole(log);
    expect(outline(log).slice(0, 2)).toEqual(["job.queued", "job.started"]);
    const texts = log.filter(({ kind }) => kind === "output.text");
    expect(texts.map(({ data }) => data.delta?.length)).toEqual(Array.from({ length: 20 }, () => 10));
    expect(textOf(log)).toHaveLength(200);
  });

  test("has the fields of the protocol: at in milliseconds, binary output as base64", () => {
    const audio = log.find(({ kind }) => kind === "output.audio");
    expectShape(audio, {
      job,
      attempt: 1,
      data: { bytes: expect.stringMatching(/^[A-Za-z0-9+/]+=*$/) },
    });
    expect(Buffer.from(audio?.data.bytes ?? "", "base64").byteLength).toBe(64);
    for (const { at } of log) expect(Math.abs(at - Date.now())).toBeLessThan(60_000);
    const format = log.find(({ kind }) => kind === "output.audio.format");
    expect(format?.data).toEqual({
      codec: "pcm_s16le",
      sampleRate: expect.any(Number),
      channels: expect.any(Number),
    });
  });

  test("says head, oldest, terminal, and where to go on", async () => {
    const head = log.length;
    const first = await api.page(job, "?limit=5");
    expect(first).toMatchObject({ head, oldest: 1, terminal: true, next: 5 });
    expect(first.events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    const second = await api.page(job, "?after=5&limit=5");
    expect(second.events.map(({ seq }) => seq)).toEqual([6, 7, 8, 9, 10]);
    expect(await api.page(job, `?after=${head - 1}`)).toMatchObject({ next: null, terminal: true });
    expect(await api.page(job, `?after=${head}`)).toMatchObject({ events: [], head, terminal: true });
  });

  test("of an unfinished job is not terminal and goes on from its head", async () => {
    const { id } = await api.submit(lastingBody());
    await api.inStatus(id, "running");
    const page = await api.page(id);
    expect(page.terminal).toBe(false);
    expect(page.next).toBe(page.events.at(-1)?.seq ?? 0);
    await api.cancel(id);
  });

  test("after a seq beyond the head is 410 cursor_expired, reason ahead", async () => {
    for (const after of [log.length + 1, 1_000_000]) {
      const answer = await api.call("GET", `/v1/jobs/${job}/events?after=${after}`);
      expectProblem(answer, 410, "cursor_expired");
      expect(answer.body).toMatchObject({
        reason: "ahead",
        oldest: 1,
        head: log.length,
        outputUrl: `/v1/jobs/${job}/output`,
      });
    }
  });

  const bad = [
    "after=-1",
    "after=abc",
    "after=1.5",
    "after=9223372036854775808",
    "limit=0",
    "limit=-1",
    "limit=1001",
    "limit=1e9",
  ];
  test.each(bad)("faults/R36 ?%s is 400: an explicit answer, never 500", async (query) => {
    const answer = await api.call("GET", `/v1/jobs/${job}/events?${query}`);
    expect(["invalid_request", "invalid_cursor"]).toContain(answer.body.code);
    expectProblem(answer, 400, answer.body.code);
  });

  test("that accepts nothing we have is 406 not_acceptable", async () => {
    const answer = await api.call("GET", `/v1/jobs/${job}/events`, { headers: { accept: "image/png" } });
    expectProblem(answer, 406, "not_acceptable");
  });
});

describe("GET …/events as server-sent events", () => {
  test("gives the same events, each with id = seq and without event:, and ends after the terminal one", async () => {
    await using stream = await openSse(urlOf(job), api.token);
    expect(stream.status).toBe(200);
    expect(stream.headers.get("content-type")).toStartWith("text/event-stream");
    const blocks = await stream.rest();
    expect(eventsOf(blocks)).toEqual(log);
    const withData = blocks.filter(({ data }) => data !== undefined);
    expect(withData.map(({ id }) => Number(id))).toEqual(log.map(({ seq }) => seq));
    for (const { event } of blocks) expect(event).toBeUndefined();
  });

  test("starts after `after`, and Last-Event-ID wins over it", async () => {
    await using plain = await openSse(urlOf(job, "?after=7"), api.token);
    expect(eventsOf(await plain.rest()).map(({ seq }) => seq)).toEqual(log.slice(7).map(({ seq }) => seq));
    await using resumed = await openSse(urlOf(job, "?after=7"), api.token, { "last-event-id": "12" });
    expect(eventsOf(await resumed.rest())).toEqual(log.slice(12));
  });

  test("follows a running job live", async () => {
    const { id } = await api.submit(tokensBody({ tokens: 5, intervalMs: 60 }));
    await using stream = await openSse(urlOf(id), api.token);
    const first = await stream.next();
    expect(eventsOf(first === null ? [] : [first])).toMatchObject([{ seq: 1, kind: "job.queued" }]);
    expect((await api.job(id)).terminal).toBe(false);
    const rest = eventsOf(await stream.rest());
    expect([...eventsOf(first === null ? [] : [first]), ...rest]).toEqual(await api.log(id));
  });

  test("ahead of the log is 410 before any stream", async () => {
    const answer = await api.call("GET", `/v1/jobs/${job}/events?after=${log.length + 1}`, {
      headers: { accept: "text/event-stream" },
    });
    expectProblem(answer, 410, "cursor_expired");
  });

  test.concurrent(
    "writes a comment every 15 s while nothing happens",
    async () => {
      const { id } = await api.submit(lastingBody());
      await using stream = await openSse(urlOf(id), api.token);
      const startedMs = performance.now();
      let block = await stream.next();
      while (block !== null && block.data !== undefined) block = await stream.next(20_000);
      expect(block).toHaveProperty("comment");
      expect(performance.now() - startedMs).toBeGreaterThan(10_000);
      await api.cancel(id);
    },
    25_000,
  );
});

describe("GET …/events as NDJSON", () => {
  test("gives the same events, one a line, and ends after the terminal one", async () => {
    await using stream = await openNdjson(urlOf(job), api.token);
    expect(stream.headers.get("content-type")).toStartWith("application/x-ndjson");
    expect(await stream.rest()).toEqual(log);
  });

  test("starts after `after` and follows a running job live", async () => {
    const { id } = await api.submit(tokensBody({ tokens: 5, intervalMs: 60 }));
    await until("seq 2", async () => (await api.job(id)).head >= 2);
    await using stream = await openNdjson(urlOf(id, "?after=2"), api.token);
    const first = await stream.next();
    expect(first?.seq).toBe(3);
    expect([first, ...(await stream.rest())]).toEqual((await api.log(id)).slice(2));
  });
});

test("many readers of one running job see one log (section 1, promise 4)", async () => {
  const { id } = await api.submit(tokensBody({ tokens: 200, size: 8, intervalMs: 2 }));
  const readers = Array.from({ length: 10 }, async (_, n) => {
    if (n % 2 === 0) {
      await using stream = await openNdjson(urlOf(id), api.token);
      return await stream.rest();
    }
    await using stream = await openSse(urlOf(id), api.token);
    return eventsOf(await stream.rest());
  });
  const seen = await Promise.all(readers);
  const whole = await api.log(id);
  expectWhole(whole);
  for (const events of seen) expect(events).toEqual(whole);
});

test("a page of large entries ends before its limit, at 8 MiB, and the next one goes on", async () => {
  const { id } = await api.submit(tokensBody({ tokens: 200, size: 4, audioBytes: 65_536 }));
  const { head } = await api.finished(id);
  const first = await api.page(id, "?limit=1000");
  // 13 MB of audio in base64, an eighth of a MiB at most beyond the bound.
  const bytes = first.events.reduce((sum, { data }) => sum + ((data.bytes?.length ?? 0) / 4) * 3, 0);
  expect(bytes).toBeGreaterThan(8 * 1024 * 1024 - 65_536);
  expect(bytes).toBeLessThan(8 * 1024 * 1024 + 131_072);
  expect(first.next).toBe(first.events.length);
  const rest = await api.page(id, `?limit=1000&after=${first.next}`);
  expect(rest.events.map(({ seq }) => seq)).toEqual(
    Array.from({ length: head - first.events.length }, (_, n) => first.events.length + 1 + n),
  );
  expect(rest.next).toBeNull();
});
