/** Catching up folds text: fewer and larger frames that say the same (PROTOCOL section 5). */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { type Api, newSession, tokensBody } from "../support/http.ts";
import { expectWhole, textOf } from "../support/log-checker.ts";
import { sharedServer } from "../support/server.ts";
import type { EventBody } from "../support/wire.ts";

const server = sharedServer();
const LONG_MS = 60_000;
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

async function ended(body: unknown): Promise<{ job: string; log: EventBody[] }> {
  const { id } = await api.submit(body);
  await api.finished(id);
  return { job: id, log: await api.log(id) };
}

async function caughtUp(job: string, after = 0) {
  await using client = await connect(server(), { token: api.token });
  await client.attach(job, after);
  await client.waitForEnd(job, LONG_MS);
  return client.events(job);
}

describe("catching up", () => {
  test.each([
    [5000, 40],
    [800, 1000],
  ])(
    "folds %d texts of %d into frames of at most 64 KiB that cover the log exactly",
    async (tokens, size) => {
      const { job, log } = await ended(tokensBody({ tokens, size }));
      const events = await caughtUp(job);
      expectWhole(log, [{ after: 0, events }]);
      const texts = events.filter(({ kind }) => kind === "output.text");
      expect(texts.length).toBeLessThan(tokens / 8);
      for (const { frameBytes } of texts) expect(frameBytes).toBeLessThanOrEqual(65_536);
      expect(texts.map(({ data }) => data.delta).join("")).toBe(textOf(log));
    },
  );

  test("starts inside what another connection got folded", async () => {
    const { job, log } = await ended(tokensBody({ tokens: 300, size: 10 }));
    for (const after of [3, 100, 301]) expectWhole(log, [{ after, events: await caughtUp(job, after) }]);
  });

  test("does not fold across audio", async () => {
    const { job, log } = await ended(tokensBody({ tokens: 50, size: 10, audioBytes: 20 }));
    const events = await caughtUp(job);
    expectWhole(log, [{ after: 0, events }]);
    expect(events.filter(({ kind }) => kind === "output.text")).toHaveLength(50);
  });

  test("does not fold across attempts", async () => {
    const { job, log } = await ended(tokensBody({ tokens: 20, size: 10, failAt: 11 }));
    const events = await caughtUp(job);
    expectWhole(log, [{ after: 0, events }]);
    expect(new Set(events.map(({ attempt }) => attempt))).toEqual(new Set([0, 1, 2]));
  });
});

test("a frame that does not fold has no first", async () => {
  const { job } = await ended(tokensBody({ tokens: 1 }));
  await using client = await connect(server(), { token: api.token });
  await client.attach(job);
  await client.waitForEnd(job);
  for (const frame of client.frames("event")) expect(frame).not.toHaveProperty("first");
});
