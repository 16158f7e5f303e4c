/** The type `tokens`: exactly as much as was asked for, with a content that can be foretold, failing when told to. */
import { describe, expect, test } from "bun:test";
import { createTokensHandler, tokenAudio, tokenText, tokensInputSchema } from "../../src/handlers/tokens.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { createFakeJob, createInstantClock, settle } from "./fake-job.ts";

class Killed extends Error {}

function handlerOf({ chaos = false, clock = createInstantClock() } = {}) {
  const kill = (): never => {
    throw new Killed();
  };
  return createTokensHandler({ chaos, clock, kill });
}

const context = { userId: "user", previous: () => Promise.resolve(null) };

describe("the input", () => {
  const good = { tokens: 1, size: 1, intervalMs: 0 };
  const bad: [input: Record<string, unknown>, pointer: string][] = [
    [{ tokens: 0 }, "/tokens"],
    [{ tokens: 100_001 }, "/tokens"],
    [{ size: 0 }, "/size"],
    [{ size: 4097 }, "/size"],
    [{ intervalMs: -1 }, "/intervalMs"],
    [{ intervalMs: undefined }, "/intervalMs"],
    [{ audioBytes: 3 }, "/audioBytes"],
    [{ audioBytes: 65_538 }, "/audioBytes"],
    [{ failAt: 0 }, "/failAt"],
    [{ failTimes: 0 }, "/failTimes"],
    [{ crashAt: 1.5 }, "/crashAt"],
    [{ speed: 1 }, ""],
  ];
  test.each(bad)("%j is refused at %s", (change, pointer) => {
    const issues = tokensInputSchema.safeParse({ ...good, ...change }).error?.issues ?? [];
    expect(issues.map(({ path }) => path.map((step) => `/${String(step)}`).join(""))).toEqual([pointer]);
  });

  test("at its limits is taken", () => {
    const input = { tokens: 100_000, size: 4096, intervalMs: 0, audioBytes: 65_536 };
    expect(tokensInputSchema.parse(input)).toEqual(input);
  });

  test("may ask for a crash only where chaos is allowed", () => {
    const input = { ...good, crashAt: 1 };
    expect(handlerOf({ chaos: true }).check?.(input, context)).toBeUndefined();
    let refusal: unknown;
    try {
      void handlerOf().check?.(input, context);
    } catch (error) {
      refusal = error;
    }
    expect(refusal).toBeInstanceOf(Refusal);
    expect(refusal).toMatchObject({ code: "invalid_request", errors: [{ pointer: "/input/crashAt" }] });
  });
});

describe("the content", () => {
  test("is exactly as long as asked for, and tells its number where that fits", () => {
    for (const size of [1, 2, 7, 64, 4096]) {
      for (const n of [1, 9, 10, 12_345, 100_000]) expect(tokenText(n, size)).toHaveLength(size);
    }
    expect(tokenText(42, 8)).toStartWith("42 ");
    expect(tokenText(12_345, 3)).toBe("345");
    expect(tokenText(42, 4096)).toMatch(/^[\x20-\x7e]+$/);
  });

  test("depends on the number and on nothing else", () => {
    expect(tokenText(7, 20)).toBe(tokenText(7, 20));
    expect(new Set(Array.from({ length: 200 }, (_, n) => tokenText(n + 1, 6))).size).toBe(200);
    expect(tokenAudio(7, 64)).toEqual(tokenAudio(7, 64));
    expect(tokenAudio(7, 64)).not.toEqual(tokenAudio(8, 64));
  });

  test("of the audio is the number and then a quiet tone", () => {
    const samples = tokenAudio(258, 400);
    const view = new DataView(samples.buffer);
    expect(view.getUint32(0, true)).toBe(258);
    const heard = Array.from({ length: 100 }, (_, at) => view.getInt16(2 * at + 4, true));
    expect(Math.max(...heard)).toBeGreaterThan(500);
    expect(Math.max(...heard.map(Math.abs))).toBeLessThan(2000);
    expect(tokenAudio(1, 2)).toHaveLength(2);
  });
});

describe("a run", () => {
  test("writes that many texts, in order, each an entry of its own", async () => {
    const fake = createFakeJob();
    const handler = handlerOf();
    expect(handler.rollupMs).toBe(0);
    expect(await handler.run(fake.job, { tokens: 1000, size: 9, intervalMs: 0 })).toEqual({ tokens: 1000 });
    expect(fake.written).toEqual(Array.from({ length: 1000 }, (_, n) => ({ text: tokenText(n + 1, 9) })));
  });

  test("says the format first, and follows each text with a chunk", async () => {
    const fake = createFakeJob();
    await handlerOf().run(fake.job, { tokens: 2, size: 3, intervalMs: 0, audioBytes: 6 });
    expect(fake.written).toEqual([
      { format: { codec: "pcm_s16le", sampleRate: 16_000, channels: 1 } },
      { text: tokenText(1, 3) },
      { audio: tokenAudio(1, 6) },
      { text: tokenText(2, 3) },
      { audio: tokenAudio(2, 6) },
    ]);
  });

  test("waits between texts, neither before the first nor after the last", async () => {
    const clock = createInstantClock();
    await handlerOf({ clock }).run(createFakeJob().job, { tokens: 4, size: 1, intervalMs: 250 });
    expect(clock.waits).toEqual([250, 250, 250]);
  });

  test("runs ahead of the disk, but not without bound, and ends when all is committed", async () => {
    const fake = createFakeJob({ held: true });
    let ended = false;
    const running = Promise.resolve(handlerOf().run(fake.job, { tokens: 300, size: 1, intervalMs: 0 })).then(
      () => (ended = true),
    );
    await settle();
    expect(fake.pending()).toBe(256);
    await fake.commit();
    expect([fake.pending(), ended]).toEqual([44, false]);
    await fake.commit();
    expect(await running).toBe(true);
  });

  test("stops when it is aborted", async () => {
    const fake = createFakeJob();
    const canceled = new Error("canceled");
    fake.abort(canceled);
    const ended = handlerOf().run(fake.job, { tokens: 5, size: 1, intervalMs: 10 });
    expect(await Promise.resolve(ended).catch((error: unknown) => error)).toBe(canceled);
    expect(fake.written).toEqual([]);
  });

  const failing = { tokens: 5, size: 1, intervalMs: 0, failAt: 3 };
  const crashing = { tokens: 5, size: 1, intervalMs: 0, crashAt: 3 };
  const rows: [name: string, input: typeof failing | typeof crashing, attempt: number, texts: number][] = [
    ["fails before text failAt", failing, 1, 2],
    ["fails once unless told otherwise", failing, 2, 5],
    ["fails in as many runs as told", { ...failing, failTimes: 2 } as typeof failing, 2, 2],
    ["and then no more", { ...failing, failTimes: 2 } as typeof failing, 3, 5],
    ["fails before the first text", { ...failing, failAt: 1 }, 1, 0],
    ["never reaches a failure past its end", { ...failing, failAt: 6 }, 1, 5],
    ["is killed before text crashAt", crashing, 1, 2],
    ["is killed once unless told otherwise", crashing, 2, 5],
    ["is killed in as many runs as told", { ...crashing, crashTimes: 3 } as typeof crashing, 3, 2],
  ];
  test.each(rows)("%s", async (_, input, attempt, texts) => {
    const fake = createFakeJob({ attempt });
    const ended = Promise.resolve(handlerOf({ chaos: true }).run(fake.job, input));
    const error = await ended.then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(fake.texts()).toHaveLength(texts);
    if (texts === 5) expect(error).toBeNull();
    else if ("crashAt" in input) expect(error).toBeInstanceOf(Killed);
    else expect((error as Error).name).toBe("Error");
  });

  test("of a job that was stored under chaos is not killed once chaos is over", async () => {
    const fake = createFakeJob();
    expect(await handlerOf().run(fake.job, crashing)).toEqual({ tokens: 5 });
  });

  test.each([
    ["failure", failing],
    ["kill", crashing],
  ])("commits what came before a %s", async (_, input) => {
    const fake = createFakeJob({ held: true });
    let ended = false;
    const running = Promise.resolve(handlerOf({ chaos: true }).run(fake.job, input))
      .catch(() => undefined)
      .then(() => (ended = true));
    await settle();
    expect([fake.pending(), ended]).toEqual([2, false]);
    await fake.commit();
    expect(await running).toBe(true);
  });
});
