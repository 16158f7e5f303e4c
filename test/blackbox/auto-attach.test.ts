/** A job submitted while its session's socket is open comes to that socket by itself (PROTOCOL section 5). */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, lastingBody, tokensBody } from "../support/http.ts";
import { expectWhole, outline } from "../support/log-checker.ts";
import { sharedServer, startServer } from "../support/server.ts";

const server = sharedServer();

describe("automatic attachment", () => {
  test("delivers everything from seq 1, without an attached frame", async () => {
    await using client = await connect(server());
    const api = apiOf(server(), client.token);
    const { id } = await api.submit(tokensBody({ tokens: 20, size: 7, intervalMs: 2, audioBytes: 32 }));
    await client.waitForEnd(id);
    const log = await api.log(id);
    expectWhole(log, [{ after: 0, events: client.events(id) }]);
    expect(client.events(id).at(-1)?.seq).toBe(log.length);
    expect(client.frames("attached")).toEqual([]);
  });

  test("carries audio as binary frames with the attempt, the seq and the payload of the log", async () => {
    await using client = await connect(server());
    const api = apiOf(server(), client.token);
    const { id } = await api.submit(tokensBody({ tokens: 3, size: 1, audioBytes: 65_536 }));
    await client.waitForEnd(id);
    const audio = client.received.flatMap((item) => (item.kind === "binary" ? [item.event] : []));
    expect(audio.map(({ job, attempt, kind }) => `${job} ${attempt} ${kind}`)).toEqual(
      Array.from({ length: 3 }, () => `${id} 1 output.audio`),
    );
    for (const { bytes, frameBytes } of audio) {
      expect(bytes).toHaveLength(65_536);
      expect(frameBytes).toBe(65_560);
    }
    // expectWhole compares each payload with the log's base64.
    expectWhole(await api.log(id), [{ after: 0, events: client.events(id) }]);
  });

  test("marks the terminal event and no other", async () => {
    await using client = await connect(server());
    const { id } = await apiOf(server(), client.token).submit(tokensBody());
    await client.waitForEnd(id);
    const frames = client.frames("event").filter(({ job }) => job === id);
    expect(frames.at(-1)).toMatchObject({
      kind: "job.succeeded",
      terminal: true,
      data: { result: { tokens: 3 } },
    });
    for (const frame of frames.slice(0, -1)) expect(frame).not.toHaveProperty("terminal");
  });

  test("keeps the events of many jobs at once apart and each in order", async () => {
    await using client = await connect(server());
    const api = apiOf(server(), client.token);
    const jobs = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        api.submit(tokensBody({ tokens: 30, size: n + 1, intervalMs: 1, audioBytes: 16 })),
      ),
    );
    for (const { id } of jobs) {
      await client.waitForEnd(id);
      expectWhole(await api.log(id), [{ after: 0, events: client.events(id) }]);
    }
  });

  test("is for the session that submitted and no other", async () => {
    await using client = await connect(server());
    await using stranger = await connect(server());
    const { id } = await apiOf(server(), client.token).submit(tokensBody());
    await client.waitForEnd(id);
    await stranger.settle();
    expect(stranger.frames("event")).toEqual([]);
  });

  test("is left out when attachments does not allow; an attach later finds it all", async () => {
    await using small = await startServer({ env: { HOLDLINE_ATTACHMENTS_MAX: "1" } });
    await using client = await connect(small);
    const api = apiOf(small, client.token);
    const held = await api.submit(lastingBody());
    await client.waitForEvent(held.id, "an event", () => true);
    const { id } = await api.submit(tokensBody());
    await api.finished(id);
    await client.settle();
    expect(client.events(id)).toEqual([]);
    await api.cancel(held.id);
    await client.waitForEnd(held.id);
    await client.attach(id);
    await client.waitForEnd(id);
    expectWhole(await api.log(id), [{ after: 0, events: client.events(id) }]);
  });
});

test("events flow while the job runs, not only at its end", async () => {
  await using client = await connect(server());
  const { id } = await apiOf(server(), client.token).submit(lastingBody());
  await client.waitForEvent(id, "the first text", ({ kind }) => kind === "output.text");
  expect(outline(client.events(id))).toEqual(["job.queued", "job.started", "output.text"]);
  await apiOf(server(), client.token).cancel(id);
});
