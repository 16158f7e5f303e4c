/** Barge-in (docs/protocol.md, "Lanes"): what another job of the lane took the place of falls silent, and loses nothing. */
import { expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { checkLog } from "../support/log-checker.ts";
import { openRawWebSocket } from "../support/raw-websocket.ts";
import { sharedServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import { newWorker } from "../support/worker.ts";
import type { EventBody, ReceivedEvent } from "../support/wire.ts";

const server = sharedServer({ env: { HOLDLINE_WORKER_TYPES: "say" } });

const MIB = 1024 * 1024;
const CHUNK_BYTES = 65_536;
/** More than any kernel takes for a socket that nobody reads, with what the server itself lets wait. */
const SOUND_MIB = 24;
const LONG_MS = 60_000;
const FORMAT = { codec: "pcm_s16le", sampleRate: 24_000, channels: 1 } as const;

const soundBytesOf = (log: readonly EventBody[]): number =>
  log.reduce(
    (sum, { data }) => sum + Buffer.byteLength((data as { bytes?: string }).bytes ?? "", "base64"),
    0,
  );

/** Every seq of 1…head, once. */
function expectContiguous(events: readonly { first?: number; seq?: number }[], head: number): void {
  let cursor = 0;
  for (const { first, seq = 0 } of events.toSorted((a, b) => (a.seq ?? 0) - (b.seq ?? 0))) {
    expect(first ?? seq).toBe(cursor + 1);
    cursor = seq;
  }
  expect(cursor).toBe(head);
}

/** Sound first, and from some entry on none. */
function expectFallsSilent(sound: readonly ReceivedEvent[]): number {
  const lengths = sound.map(({ bytes }) => bytes?.byteLength ?? 0);
  const heard = lengths.findIndex((length) => length === 0);
  expect(heard).not.toBe(-1);
  expect(lengths.slice(heard).every((length) => length === 0)).toBe(true);
  return lengths.reduce((sum, length) => sum + length, 0);
}

test(
  "a slow connection is not sent the sound that still waits, and the new job does not wait behind it",
  async () => {
    const api = await newSession(server());
    const socket = await openRawWebSocket(server().port, api.token);
    await socket.waitFor("welcome", ({ type }) => type === "welcome");
    socket.pause();
    const input = { tokens: 100_000, size: 1, intervalMs: 1, audioBytes: CHUNK_BYTES };
    const first = await api.submit(tokensBody(input, { lane: "voice" }));
    const enough = (2 * SOUND_MIB * MIB) / CHUNK_BYTES;
    await until("much to be said", async () => (await api.job(first.id)).head > enough, LONG_MS);
    const second = await api.submit(tokensBody({ tokens: 1, audioBytes: 64 }, { lane: "voice" }));
    const { head } = await api.finished(first.id);
    await api.finished(second.id);
    socket.resume();
    const isEnd = (job: string) =>
      socket.waitFor("the end", (frame) => frame.job === job && frame.terminal === true, LONG_MS);
    await Promise.all([isEnd(first.id), isEnd(second.id)]);

    const sound = socket.binary.filter(({ job }) => job === first.id);
    const texts = socket.frames.filter(({ type, job }) => type === "event" && job === first.id);
    const sentBytes = expectFallsSilent(sound);
    // What the network held when it was canceled, and not the rest.
    expect(sentBytes).toBeLessThan((SOUND_MIB * MIB) / 2);
    expectContiguous([...sound, ...texts], head);
    expect(texts.at(-1)).toMatchObject({ kind: "job.canceled", data: { reason: "lane" }, terminal: true });
    expect(
      socket.binary.filter(({ job }) => job === second.id).map(({ bytes }) => bytes?.byteLength),
    ).toEqual([64]);
    // The log has it all, for whoever asks.
    const log = await api.log(first.id);
    expect(checkLog(log)).toEqual([]);
    expect(soundBytesOf(log)).toBeGreaterThan(SOUND_MIB * MIB);
    expect((await api.output(first.id)).audio?.bytes).toBe(soundBytesOf(log));
    socket.destroy();
  },
  2 * LONG_MS,
);

/** A session on a socket, and a run of `say` by a worker that has said something. */
async function saying(options: Record<string, unknown> = { lane: "voice" }) {
  const client = await connect(server());
  const api = apiOf(server(), client.token);
  const worker = await newWorker(server(), { types: ["say"] });
  const { id } = await api.submit({ type: "say", input: {}, ...options });
  const run = await worker.take();
  const chunk = { kind: "output.audio", data: { bytes: Buffer.alloc(960, 7).toString("base64") } };
  await run.output([{ kind: "output.audio.format", data: FORMAT }, chunk, chunk]);
  await client.waitForEvent(id, "sound", ({ kind }) => kind === "output.audio");
  return {
    client,
    api,
    id,
    run,
    say: () => run.output([chunk, { kind: "output.text", data: { delta: "." } }]),
  };
}

test("a worker that has not heard of it yet is written down and not heard", async () => {
  const { client, api, id, run, say } = await saying();
  const next = await api.submit(lastingBody({ lane: "voice" }));
  for (let n = 0; n < 3; n += 1) expect((await say()).status).toBe(200);
  await client.waitForEvent(id, "the last text", ({ kind, seq }) => kind === "output.text" && seq >= 10);
  expect((await run.beat()).body.leases?.[0]).toMatchObject({ status: "cancel", reason: "lane" });
  await run.complete();
  await client.waitForEnd(id);
  const events = client.events(id);
  const canceling = events.findIndex(({ kind }) => kind === "job.canceling");
  const lengths = (some: readonly ReceivedEvent[]) =>
    some.flatMap(({ kind, bytes }) => (kind === "output.audio" ? [bytes?.byteLength] : []));
  expect(lengths(events.slice(0, canceling))).toEqual([960, 960]);
  expect(lengths(events.slice(canceling))).toEqual([0, 0, 0]);
  expectContiguous(events, (await api.job(id)).head);
  expect(soundBytesOf(await api.log(id))).toBe(5 * 960);
  await api.cancel(next.id);
  await client.close();
});

test("whoever comes back later is not sent the sound either, and is told every entry", async () => {
  const { client, api, id, run } = await saying();
  await client.close();
  const next = await api.submit(lastingBody({ lane: "voice" }));
  await run.complete();
  await using back = await connect(server(), { token: client.token });
  expect(await back.attach(id, 3)).toMatchObject({ after: 3, recovered: true });
  await back.waitForEnd(id);
  expect(back.events(id).map(({ seq, kind, bytes }) => [seq, kind, bytes?.byteLength])).toEqual([
    [4, "output.audio", 0],
    [5, "output.audio", 0],
    [6, "job.canceling", undefined],
    [7, "job.canceled", undefined],
  ]);
  await api.cancel(next.id);
});

test("a job that was canceled for any other reason keeps its sound", async () => {
  const { client, api, id, run, say } = await saying({});
  await api.cancel(id);
  await say();
  await run.complete();
  await client.waitForEnd(id);
  const lengths = client.events(id).flatMap(({ bytes }) => (bytes === undefined ? [] : [bytes.byteLength]));
  expect(lengths).toEqual([960, 960, 960]);
  await client.close();
});
