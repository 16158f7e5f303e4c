/** A job's log reaches the application once and in order, whatever happens to the connection. */
import { expect, test } from "bun:test";
import type { JobHandle } from "../../src/client/handle.ts";
import type { JobEvent } from "../../src/client/job-events.ts";
import type { OutputObject } from "../../src/protocol/jobs.ts";
import { acceptNext, BODY, createScene, failure, reaches, type Scene } from "./setup.ts";
import { JOB, jobObject, type Peer } from "./scripted-server.ts";

/** An accepted job with seq 1 and 2 delivered, and everything it hands on from then. */
async function running(scene: Scene): Promise<{ peer: Peer; job: JobHandle; events: JobEvent[] }> {
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  const events: JobEvent[] = [];
  job.on("event", (event) => events.push(event));
  await acceptNext(scene.server);
  await job.accepted;
  peer.event(1, "job.queued", { position: 1 }, { attempt: 0 });
  peer.event(2, "job.started", {});
  await reaches(job, 2);
  return { peer, job, events };
}

/** When it resolves, the client has heard everything sent before, and what it answered to that has arrived. */
async function roundTrip(peer: Peer): Promise<void> {
  peer.send({ type: "ping", at: 0 });
  await peer.next("pong");
}

const seqs = (events: readonly JobEvent[]): number[] => events.map((event) => event.seq);

test("a dropped connection resumes from the cursor and loses nothing", async () => {
  await using scene = createScene();
  const { peer, job, events } = await running(scene);
  peer.event(3, "output.text", { delta: "Hel", index: 0 });
  await reaches(job, 3);
  peer.kill();

  const second = await scene.reconnect();
  expect(second.offered).toEqual(["holdline.v1", "bearer.token-of-s1"]);
  second.welcome("s1", true);
  const ask = await second.next("attach");
  expect(ask).toMatchObject({ job: JOB, after: 3 });
  second.attached(ask, { head: 5 });
  second.event(5, "output.text", { delta: "lo, w", index: 0 }, { first: 4 });
  second.event(6, "output.text", { delta: "orld", index: 0 });
  second.event(7, "job.succeeded", { result: { text: "Hello, world" } });

  expect(await job.result).toEqual({ text: "Hello, world" });
  expect(job.text).toBe("Hello, world");
  expect(seqs(events)).toEqual([1, 2, 3, 5, 6, 7]);
  expect(events.map((event) => "replayed" in event && event.replayed)).toEqual([
    false,
    false,
    false,
    true,
    false,
    false,
  ]);
  expect([await second.next("ack"), await second.next("ack")]).toEqual([
    { type: "ack", job: JOB, seq: 3 },
    { type: "ack", job: JOB, seq: 7 },
  ]);
});

test("what was seen already is not handed on again", async () => {
  await using scene = createScene();
  const { peer, job, events } = await running(scene);
  peer.event(2, "job.started", {});
  peer.event(1, "job.queued", { position: 1 });
  peer.event(3, "output.text", { delta: "one", index: 0 });
  peer.event(3, "output.text", { delta: "one", index: 0 });
  peer.event(4, "output.text", { delta: " two", index: 0 });
  await reaches(job, 4);
  expect(seqs(events)).toEqual([1, 2, 3, 4]);
  expect(job.text).toBe("one two");
});

test("a gap is asked for again and never handed on", async () => {
  await using scene = createScene();
  const { peer, job, events } = await running(scene);
  const gaps: unknown[] = [];
  job.on("gap", (gap) => gaps.push(gap));
  peer.event(4, "output.text", { delta: "two", index: 0 });
  const ask = await peer.next("attach");
  expect(ask).toMatchObject({ job: JOB, after: 2 });
  expect(gaps).toEqual([{ cursor: 2, first: 4, seq: 4 }]);
  // Still of the old attachment: it must not be taken before the answer.
  peer.event(3, "output.text", { delta: "stale", index: 0 });
  peer.attached(ask, { head: 4 });
  peer.event(3, "output.text", { delta: "one ", index: 0 });
  peer.event(4, "output.text", { delta: "two", index: 0 });
  await reaches(job, 4);
  expect(job.text).toBe("one two");
  expect(seqs(events)).toEqual([1, 2, 3, 4]);
  // It was mended, so the next one is asked for at once as well.
  peer.event(6, "output.text", { delta: "four", index: 0 });
  expect(await peer.next("attach")).toMatchObject({ after: 4 });
});

test("a job that is deleted while it is being read is refused, though nobody asked", async () => {
  await using scene = createScene();
  const { peer, job } = await running(scene);
  peer.send({
    type: "error",
    job: JOB,
    code: "job_purged",
    detail: "The job was deleted.",
    retryable: false,
  });
  expect(job.result).rejects.toMatchObject({ code: "job_purged" });
});

test("a fold that begins behind the cursor is asked for again from the cursor", async () => {
  await using scene = createScene();
  const { peer, job } = await running(scene);
  peer.event(3, "output.text", { delta: "a", index: 0 });
  peer.event(5, "output.text", { delta: "abc", index: 0 }, { first: 3 });
  const ask = await peer.next("attach");
  expect(ask.after).toBe(3);
  peer.attached(ask, { head: 5 });
  peer.event(5, "output.text", { delta: "bc", index: 0 }, { first: 4 });
  await reaches(job, 5);
  expect(job.text).toBe("abc");
});

test("a server that keeps leaving gaps is asked with back-off", async () => {
  await using scene = createScene();
  const { peer } = await running(scene);
  peer.event(9, "output.text", { delta: "x", index: 0 });
  peer.attached(await peer.next("attach"), { head: 9 });
  peer.event(9, "output.text", { delta: "x", index: 0 });
  await roundTrip(peer);
  expect(peer.count("attach")).toBe(0);
  // Half of 500 ms × 2², by the scene's fixed random number.
  scene.clock.advance(1000);
  expect(await peer.next("attach")).toMatchObject({ after: 2 });
});

test("events that overtake the 202 are kept for the handle", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  const events: JobEvent[] = [];
  job.on("event", (event) => events.push(event));
  const { respond } = await scene.server.requests.take();
  peer.event(1, "job.queued", { position: 1 }, { attempt: 0 });
  peer.event(2, "job.started", {});
  peer.event(3, "output.text", { delta: "early", index: 0 });
  await roundTrip(peer);
  expect(events).toEqual([]);

  respond(Response.json(jobObject(), { status: 202 }));
  await reaches(job, 3);
  expect(seqs(events)).toEqual([1, 2, 3]);
  expect(job.text).toBe("early");
  expect(peer.count("attach")).toBe(0);
});

test("a job whose 202 came after a reconnect is attached from its beginning", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  const { respond } = await scene.server.requests.take();
  peer.event(1, "job.queued", { position: 1 }, { attempt: 0 });
  peer.kill();
  const second = await scene.reconnect();
  second.welcome("s1", true);
  await scene.phase("online");
  respond(Response.json(jobObject(), { status: 202 }));
  const ask = await second.next("attach");
  expect(ask).toMatchObject({ job: JOB, after: 0 });
  second.attached(ask, { head: 1 });
  second.event(1, "job.queued", { position: 1 }, { attempt: 0 });
  await reaches(job, 1);
});

test("a job the server did not attach by itself is asked for after a second", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  await acceptNext(scene.server);
  await job.accepted;
  expect(peer.count("attach")).toBe(0);
  scene.clock.advance(1000);
  expect(await peer.next("attach")).toMatchObject({ job: JOB, after: 0 });
});

test("a reset voids text, data and the audio format", async () => {
  await using scene = createScene();
  const { peer, job } = await running(scene);
  const resets: unknown[] = [];
  const audio: (number | null)[] = [];
  job.on("reset", (reset) => resets.push(reset));
  job.on("audio", ({ bytes, format }) => audio.push(bytes.byteLength, format?.sampleRate ?? null));
  peer.event(3, "output.text", { delta: "wrong", index: 0 });
  peer.event(4, "output.data", { page: 1 });
  peer.event(5, "output.audio.format", { codec: "pcm_s16le", sampleRate: 16_000, channels: 1 });
  peer.audio(6, new Uint8Array(320));
  peer.event(7, "output.reset", { reason: "worker_lost" }, { attempt: 2 });
  await reaches(job, 7);
  expect(job.text).toBe("");
  expect(job.data).toEqual([]);
  expect(resets).toEqual([{ reason: "worker_lost" }]);
  peer.audio(8, new Uint8Array(4), 2);
  peer.event(9, "output.text", { delta: "right", index: 0 }, { attempt: 2 });
  await reaches(job, 9);
  expect(job.text).toBe("right");
  expect(job.attempt).toBe(2);
  expect(audio).toEqual([320, 16_000, 4, null]);
});

test("a log that cannot be read from the cursor is replaced by the output so far", async () => {
  await using scene = createScene();
  const { peer, job, events } = await running(scene);
  peer.event(3, "output.text", { delta: "old", index: 0 });
  await reaches(job, 3);
  peer.kill();
  const second = await scene.reconnect();
  second.welcome("s1", true);
  const ask = await second.next("attach");
  const output: OutputObject = {
    text: "old and new",
    seq: 40,
    attempt: 1,
    data: [],
    audio: { format: { codec: "pcm_s16le", sampleRate: 8000, channels: 1 }, bytes: 10, url: "/x" },
  };
  second.send({
    type: "attached",
    re: ask.id ?? "",
    job: JOB,
    after: 3,
    head: 40,
    oldest: 41,
    status: "running",
    attempt: 1,
    terminal: false,
    recovered: false,
    reason: "trimmed",
    output,
  });
  second.event(41, "output.text", { delta: "er", index: 0 });
  await reaches(job, 41);
  expect(job.text).toBe("old and newer");
  expect(events.slice(-2).map(({ kind, seq }) => [kind, seq])).toEqual([
    ["output.replaced", 40],
    ["output.text", 41],
  ]);
  expect(events.at(-2)).toMatchObject({ reason: "trimmed" });
});

test("a job that ended behind the cursor is finished from the job object", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.job(JOB, { after: 7 });
  const ask = await peer.next("attach");
  peer.attached(ask, { head: 7, terminal: true });
  const { request, respond } = await scene.server.requests.take();
  expect(new URL(request.url).pathname).toBe(`/v1/jobs/${JOB}`);
  respond(Response.json(jobObject(JOB, { status: "succeeded", terminal: true, head: 7, result: { n: 1 } })));
  expect(await job.result).toEqual({ n: 1 });
});

test("a job the server does not give out is lost, and says why", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.job(JOB);
  const ask = await peer.next("attach");
  peer.send({
    type: "error",
    re: ask.id ?? "",
    code: "job_purged",
    detail: "It was deleted.",
    retryable: false,
  });
  expect(await failure(job.result)).toMatchObject({ code: "job_purged", message: "It was deleted." });
  expect(job.ended).toEqual({ outcome: "lost", code: "job_purged", detail: "It was deleted." });
});

test("an attach the server refuses for now is repeated", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  scene.client.job(JOB);
  const ask = await peer.next("attach");
  peer.send({ type: "error", re: ask.id ?? "", code: "rate_limited", detail: "Too many.", retryable: true });
  await roundTrip(peer);
  expect(peer.count("attach")).toBe(0);
  scene.clock.advance(500);
  expect(await peer.next("attach")).toMatchObject({ job: JOB, after: 0 });
});

test("an unknown kind of event keeps its place and is not handed on", async () => {
  await using scene = createScene();
  const { peer, job, events } = await running(scene);
  peer.send({
    type: "event",
    job: JOB,
    seq: 3,
    attempt: 1,
    at: 0,
    kind: "output.smell" as "output.text",
    data: {},
  });
  peer.event(4, "output.text", { delta: "on", index: 0 });
  await reaches(job, 4);
  expect(seqs(events)).toEqual([1, 2, 4]);
});

test("for await gives every event and ends after the last", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  const heard: string[] = [];
  const reading = (async () => {
    for await (const event of job) heard.push(event.kind);
  })();
  await acceptNext(scene.server);
  peer.event(1, "job.queued", { position: 1 });
  peer.event(2, "job.started", {});
  peer.event(3, "job.failed", {
    error: { code: "handler_error", message: "No.", retryable: false, attempt: 1, origin: "handler" },
  });
  await reading;
  expect(heard).toEqual(["job.queued", "job.started", "job.failed"]);
  expect(await failure(job.result)).toMatchObject({ code: "handler_error" });
  expect(job.status).toBe("failed");
});

test("acknowledgements are gathered; the end is acknowledged at once", async () => {
  await using scene = createScene();
  const { peer, job } = await running(scene);
  for (let seq = 3; seq <= 20; seq += 1) peer.event(seq, "output.text", { delta: "x", index: 0 });
  await reaches(job, 20);
  scene.clock.advance(2000);
  expect(await peer.next("ack")).toEqual({ type: "ack", job: JOB, seq: 20 });
  peer.event(21, "job.succeeded", { result: null });
  expect(await peer.next("ack")).toEqual({ type: "ack", job: JOB, seq: 21 });
  expect(peer.count("ack")).toBe(0);
});

test("an attachment that the server begins anew by itself goes on from what it says", async () => {
  await using scene = createScene();
  const { peer, job, events } = await running(scene);
  const gaps: unknown[] = [];
  scene.client.on("gap", (gap) => gaps.push(gap));
  const output = { text: "what is left", seq: 6, attempt: 1, data: [] } satisfies OutputObject;
  peer.send({
    type: "attached",
    job: JOB,
    after: 2,
    head: 7,
    oldest: 7,
    status: "succeeded",
    attempt: 1,
    terminal: true,
    recovered: false,
    reason: "trimmed",
    output,
  });
  peer.event(7, "job.succeeded", { result: null });
  expect(await job.result).toBeNull();
  expect(job.text).toBe("what is left");
  expect(seqs(events)).toEqual([1, 2, 6, 7]);
  expect(gaps).toEqual([]);
});
