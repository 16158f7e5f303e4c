/** A job whose sound is not wanted any more falls silent in the client at once, and the text that was heard can be told. */
import { expect, test } from "bun:test";
import type { JobHandle } from "../../src/client/handle.ts";
import { sentenceAt } from "../../src/client/heard.ts";
import { OTHER_JOB } from "./scripted-server.ts";
import { acceptNext, BODY, createScene, reaches } from "./setup.ts";

const FORMAT = { codec: "pcm_s16le", sampleRate: 16_000, channels: 1 };
const IN_LANE = { ...BODY, lane: "voice" };

/** Lengths of the sound that is to be played, and `silenced` where it has to stop. */
function hear(job: JobHandle): (number | "silenced")[] {
  const heard: (number | "silenced")[] = [];
  job.on("audio", ({ bytes }) => heard.push(bytes.byteLength));
  job.on("silenced", () => heard.push("silenced"));
  return heard;
}

test("submitting another job of its lane silences a job before the server has answered", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const first = scene.client.submit(IN_LANE);
  const elsewhere = scene.client.submit({ ...BODY, lane: "other" });
  const [heard, heardElsewhere] = [hear(first), hear(elsewhere)];
  await acceptNext(scene.server);
  await first.accepted;
  await acceptNext(scene.server, OTHER_JOB);
  peer.event(1, "job.queued", { position: 1 });
  peer.event(2, "output.audio.format", FORMAT);
  peer.audio(3, new Uint8Array(320));
  await reaches(first, 3);
  const second = scene.client.submit(IN_LANE);
  expect(heard).toEqual([320, "silenced"]);
  // What the network held still comes, is counted, and is not played.
  peer.audio(4, new Uint8Array(320));
  peer.audio(5, new Uint8Array(0));
  peer.event(6, "output.text", { delta: "unheard", index: 0 });
  peer.event(7, "job.canceled", { reason: "lane" });
  await first.result.catch(() => undefined);
  expect(first.text).toBe("unheard");
  expect(first.ended).toEqual({ outcome: "canceled", reason: "lane" });
  expect(heard).toEqual([320, "silenced"]);
  expect(heardElsewhere).toEqual([]);
  // The next of the lane silences the second, and the first not again.
  const heardSecond = hear(second);
  scene.client.submit(IN_LANE);
  expect([heard.length, heardSecond]).toEqual([2, ["silenced"]]);
});

test.each(["job.canceling", "job.canceled"] as const)("%s silences a job", async (kind) => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(BODY);
  const heard = hear(job);
  await acceptNext(scene.server);
  await job.accepted;
  peer.event(1, "job.queued", { position: 1 });
  peer.event(2, kind, { reason: "requested" });
  await reaches(job, 2);
  expect(heard).toEqual(["silenced"]);
});

test("a cancel silences a job before the server has heard of it", async () => {
  await using scene = createScene();
  await scene.online();
  const job = scene.client.submit(BODY);
  const heard = hear(job);
  await acceptNext(scene.server);
  await job.accepted;
  const canceled = job.cancel();
  expect(heard).toEqual(["silenced"]);
  await acceptNext(scene.server);
  await canceled;
});

test("a job that has ended is heard to its end, or until another one of its lane is submitted", async () => {
  await using scene = createScene();
  const peer = await scene.online();
  const job = scene.client.submit(IN_LANE);
  const heard = hear(job);
  await acceptNext(scene.server);
  await job.accepted;
  peer.event(1, "job.queued", { position: 1 });
  peer.event(2, "job.succeeded", { result: null });
  await job.result;
  expect(heard).toEqual([]);
  // It was made faster than it is played: sound may still be playing.
  scene.client.submit(IN_LANE);
  expect(heard).toEqual(["silenced"]);
});

test("from what was played to what was heard of the text", () => {
  const spans = [
    { from: 0, to: 4, startMs: 0 },
    { from: 6, to: 20, startMs: 500 },
    { from: 21, to: 30, startMs: 1500 },
  ];
  const data = [{ other: 1 }, { speech: spans[0] ?? null }, new Uint8Array(2), { speech: { skipped: "x" } }];
  data.push(...spans.slice(1).map((speech) => ({ speech })), "text" as never, null as never);
  expect([-1, 0, 499, 500, 1499, 9999].map((ms) => sentenceAt(data, ms)?.from ?? null)).toEqual([
    null,
    0,
    0,
    6,
    6,
    21,
  ]);
});
