/** What the client keeps and sends is bounded, and crossing a bound costs time, never an event. */
import { expect, test } from "bun:test";
import { createAcks } from "../../src/client/acks.ts";
import { createEarlyEvents } from "../../src/client/early.ts";
import { createEmitter } from "../../src/client/emitter.ts";
import { fromTextFrame, type LogEvent } from "../../src/client/job-events.ts";
import { createManualClock } from "./manual-clock.ts";
import { BODY, createScene, reaches } from "./setup.ts";
import { JOB } from "./scripted-server.ts";

function text(job: string, seq: number): LogEvent {
  const data = { delta: "x", index: 0 };
  return fromTextFrame({ type: "event", job, seq, attempt: 1, at: 0, kind: "output.text", data }, 0);
}

test("acknowledgements stay within their budget, and the ends of jobs go first", () => {
  const clock = createManualClock();
  const sent: string[] = [];
  const acks = createAcks({
    clock,
    send(frame) {
      sent.push("job" in frame ? frame.job : "");
      return true;
    },
  });
  for (let job = 0; job < 100; job += 1) acks.handled(`running${job}`, 1, false);
  expect(sent).toEqual([]);
  for (let job = 0; job < 70; job += 1) acks.handled(`ended${job}`, 9, true);
  // Sixty at once, then four a second.
  expect(sent.length).toBe(60);
  clock.advance(2000);
  expect(sent.slice(60)).toEqual(Array.from({ length: 8 }, (_, index) => `ended${60 + index}`));
  clock.advance(60_000);
  expect(new Set(sent).size).toBe(170);
  expect(sent.length).toBe(170);
  expect(clock.waiting).toBe(0);
});

test("an acknowledgement that finds no connection waits for the next one", () => {
  const clock = createManualClock();
  let connected = false;
  const sent: number[] = [];
  const acks = createAcks({
    clock,
    send(frame) {
      if (connected && frame.type === "ack") sent.push(frame.seq);
      return connected;
    },
  });
  acks.handled(JOB, 7, true);
  expect(sent).toEqual([]);
  connected = true;
  acks.flush();
  expect(sent).toEqual([7]);
  acks.stop();
});

test("early events are kept of sixty-four jobs, the newest ones", () => {
  const early = createEarlyEvents();
  for (let job = 0; job < 65; job += 1) early.keep(text(`job${job}`, 1), 100);
  expect(early.take("job0")).toBeNull();
  expect(early.take("job1")?.map(({ seq }) => seq)).toEqual([1]);
  expect(early.take("job64")?.length).toBe(1);
  expect(early.take("job64")).toBeNull();
});

test("early events are kept up to four megabytes, whole jobs or none", () => {
  const early = createEarlyEvents();
  const megabyte = 1024 * 1024;
  early.keep(text("a", 1), megabyte);
  early.keep(text("b", 1), megabyte);
  early.keep(text("b", 2), megabyte);
  early.keep(text("b", 3), megabyte + 1);
  expect(early.take("a")).toBeNull();
  expect(early.take("b")?.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  // The middle of a log is of no use without its beginning.
  early.keep(text("a", 2), 1);
  expect(early.take("a")).toBeNull();
});

test("a job whose early events were let go is asked for from its beginning", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  const { respond, request } = await scene.server.requests.take();
  expect(request.method).toBe("POST");
  peer.event(1, "job.queued", { position: 1 });
  for (let other = 0; other < 64; other += 1) peer.event(1, "job.queued", {}, { job: `other${other}` });
  const asked = scene.client.request({ type: "leave", room: "none" });
  peer.send({ type: "ok", re: (await peer.next("leave")).id ?? "" });
  await asked;
  respond(Response.json({ id: JOB, type: "chat" }, { status: 202 }));
  await job.accepted;
  peer.event(2, "job.started", {});
  const ask = await peer.next("attach");
  expect(ask).toMatchObject({ job: JOB, after: 0 });
  peer.attached(ask, { head: 2 });
  peer.event(1, "job.queued", { position: 1 });
  peer.event(2, "job.started", {});
  await reaches(job, 2);
  expect(job.status).toBe("running");
});

test("a listener that throws disturbs nobody and is reported", () => {
  const reported: unknown[] = [];
  const emitter = createEmitter<{ word: string }>((error) => reported.push(error));
  const fault = new Error("a listener's own fault");
  emitter.on("word", () => {
    throw fault;
  });
  const heard: string[] = [];
  const stop = emitter.on("word", (word) => heard.push(word));
  emitter.emit("word", "one");
  stop();
  emitter.emit("word", "two");
  expect(heard).toEqual(["one"]);
  expect(reported).toEqual([fault, fault]);
});
