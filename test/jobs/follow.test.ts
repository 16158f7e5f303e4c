/** Following a log and waiting for its end, for callers that pull: whole, live, and never longer than there is something. */
import { describe, expect, test } from "bun:test";
import { createFeed } from "../../src/jobs/feed.ts";
import { followLog, waitForEnd } from "../../src/jobs/follow.ts";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import type { JobId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive, nextJobId } from "../conformance/drive.ts";
import { createVirtualClock, settle } from "../handlers/virtual-clock.ts";

const QUIET_MS = 15_000;

function setup() {
  const clock = createVirtualClock();
  const store = createMemoryJobStore();
  const feed = createFeed();
  const gone = new AbortController();
  const on = drive(store, clock);
  store.onCommitted((changes) => feed.committed(changes));
  return {
    clock,
    store,
    feed,
    gone,
    on,
    /** Collects the pages as `1-3`, silence as `quiet`, the end as `end`. */
    follow: (id: JobId, after = 0): string[] => {
      const seen: string[] = [];
      const read = async (): Promise<void> => {
        const { signal } = gone;
        for await (const page of followLog({
          store,
          feed,
          clock,
          id,
          after,
          signal,
          quietMs: QUIET_MS,
          pageBytes: LIMITS.replayPageBytes,
        })) {
          seen.push(page.length === 0 ? "quiet" : `${page[0]?.seq}-${page.at(-1)?.seq}`);
        }
        seen.push("end");
      };
      void read();
      return seen;
    },
    wait: (id: JobId, waitMs: number) => waitForEnd({ store, feed, clock, id, waitMs, signal: gone.signal }),
  };
}

describe("following", () => {
  test("gives what is there, then what comes, and ends with the job", async () => {
    const { on, clock, follow } = setup();
    const run = await on.started();
    await on.text(run, "a", "b");
    const seen = follow(run.id);
    await settle();
    expect(seen).toEqual(["1-4"]);
    await on.text(run, "c");
    await settle();
    await on.succeed(run);
    await settle();
    expect(seen).toEqual(["1-4", "5-5", "6-6", "end"]);
    expect(clock.waiting).toBe(0);
  });

  test("of a finished job gives the rest of its log, in pages", async () => {
    const { on, follow } = setup();
    const run = await on.started();
    const entries = LIMITS.replayPageEvents + 10;
    await on.text(run, ...Array.from({ length: entries }, () => "x"));
    await on.succeed(run);
    const seen = follow(run.id, 2);
    await settle();
    const page = LIMITS.replayPageEvents;
    expect(seen).toEqual([`3-${page + 2}`, `${page + 3}-${entries + 3}`, "end"]);
  });

  test("misses nothing that is committed while a page is read", async () => {
    const { on, store, follow } = setup();
    const run = await on.started();
    const events = store.events.bind(store);
    store.events = async (id, query) => {
      const page = await events(id, query);
      // Committed after the page was settled, before it is seen.
      if (query.after === 2) await on.text(run, "meanwhile");
      return page;
    };
    const seen = follow(run.id, 2);
    await settle();
    expect(seen[0]).toBe("3-3");
  });

  test("shows that it is alive while nothing comes", async () => {
    const { on, clock, follow } = setup();
    const run = await on.started();
    const seen = follow(run.id);
    await clock.advance(QUIET_MS - 1);
    expect(seen).toEqual(["1-2"]);
    await clock.advance(1);
    await clock.advance(QUIET_MS);
    expect(seen).toEqual(["1-2", "quiet", "quiet"]);
  });

  test("ends when the caller is gone, and leaves nothing behind", async () => {
    const { on, clock, feed, gone, follow } = setup();
    const run = await on.started();
    const seen = follow(run.id);
    await settle();
    gone.abort();
    await settle();
    expect(seen).toEqual(["1-2", "end"]);
    expect(clock.waiting).toBe(0);
    let heard = 0;
    feed.subscribe(run.id, "entries", () => {
      heard += 1;
    });
    await on.text(run, "x");
    expect(heard).toBe(1);
    expect(seen).toEqual(["1-2", "end"]);
  });

  test("ends when the log is gone: a hole is never passed over", async () => {
    const purged = setup();
    const run = await purged.on.started();
    await purged.on.succeed(run);
    await purged.on.execute("purge", { id: run.id });
    const seen = purged.follow(run.id, 1);
    await purged.clock.advance(QUIET_MS);
    expect(seen).toEqual(["end"]);

    const trimmed = setup();
    const { on } = trimmed;
    const old = await on.started();
    await on.text(old, "a", "b");
    await on.succeed(old);
    await trimmed.clock.advance(1);
    await on.retain({ jobsBefore: 0, keysBefore: 0 });
    const rest = trimmed.follow(old.id, 2);
    await trimmed.clock.advance(QUIET_MS);
    expect(rest).toEqual(["end"]);
    const last = trimmed.follow(old.id, 4);
    await settle();
    expect(last).toEqual(["5-5", "end"]);
  });
});

describe("waiting for the end", () => {
  test("is over with the job, or with the time, whichever is first", async () => {
    const { on, clock, wait } = setup();
    const run = await on.started();
    const early = wait(run.id, 1000);
    const late = wait(run.id, 5000);
    await on.text(run, "not yet");
    await clock.advance(1000);
    expect(await early).toBe(false);
    await on.succeed(run);
    expect(await late).toBe(true);
    expect(await wait(run.id, 1000)).toBe(true);
    expect(await wait(nextJobId(), 1000)).toBe(true);
    expect(clock.waiting).toBe(0);
  });

  test("hears an end that is committed while it looks", async () => {
    const { on, store, wait } = setup();
    const run = await on.started();
    const find = store.find.bind(store);
    store.find = async (id) => {
      const job = await find(id);
      await on.succeed(run);
      return job;
    };
    expect(await wait(run.id, 60_000)).toBe(true);
  });

  test("is over when the caller is gone", async () => {
    const { on, clock, gone, wait } = setup();
    const run = await on.started();
    const waiting = wait(run.id, 60_000);
    await settle();
    gone.abort();
    expect(await waiting).toBe(false);
    expect(clock.waiting).toBe(0);
  });
});

test("a feed tells those who asked for the job, until they do not want to hear more", async () => {
  const { on, feed } = setup();
  const [one, other] = [await on.started(), await on.started()];
  const heard: string[] = [];
  const stopFirst = feed.subscribe(one.id, "entries", ({ head }) => heard.push(`first ${head}`));
  const stopSecond = feed.subscribe(one.id, "entries", ({ head }) => heard.push(`second ${head}`));
  await on.text(one, "x");
  await on.text(other, "x");
  stopFirst();
  stopFirst();
  await on.text(one, "y");
  stopSecond();
  await on.text(one, "z");
  expect(heard).toEqual(["first 3", "second 3", "second 4"]);
});

test("whoever had left before the wait began is not waited for", async () => {
  const { on, clock, gone, wait } = setup();
  const id = await on.submit();
  gone.abort();
  expect(await wait(id, 60_000)).toBe(false);
  expect(clock.waiting).toBe(0);
});
