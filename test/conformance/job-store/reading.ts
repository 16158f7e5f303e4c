/** Conformance of the reads of one job: whole, paged, and as of the last commit. */
import { expect } from "bun:test";
import type { Item, StoredEvent } from "../../../src/jobs/job.ts";
import type { EventsQuery } from "../../../src/jobs/store.ts";
import type { JobId, UserId } from "../../../src/lib/ids.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { dataOf, nextJobId, textItem, type Check, type Drive } from "../drive.ts";

/** Page after page, each after the last seq of the one before. */
async function readPaged(on: Drive, id: JobId, page: Omit<EventsQuery, "after">): Promise<StoredEvent[][]> {
  const pages: StoredEvent[][] = [];
  for (let after = 0; ;) {
    const events = await on.store.events(id, { after, ...page });
    const last = events.at(-1);
    if (last === undefined) return pages;
    pages.push([...events]);
    after = last.seq;
  }
}

async function longLog(on: Drive, entries: number, size: number): Promise<JobId> {
  const run = await on.started();
  await on.text(run, ...Array.from({ length: entries - 2 }, (_none, n) => `${n}`.padEnd(size, "·")));
  return run.id;
}

export function reading(check: Check): void {
  check("of a job that is not there finds nothing", async (on) => {
    const id = nextJobId();
    expect(await on.store.find(id)).toBeNull();
    expect(await on.store.findOwn("alice" as UserId, id)).toBeNull();
    expect(await on.store.findWithResult(id)).toBeNull();
    expect(await on.store.input(id)).toBeNull();
    expect(await on.log(id)).toEqual([]);
    expect(await on.store.audioChunks(id, 0)).toEqual([]);
    expect(await on.store.position(id)).toBe(1);
  });

  check("finds one's own job as it finds any, and another's not at all", async (on) => {
    const { id } = await on.started();
    const job = await on.job(id);
    expect(await on.store.findOwn(job.userId, id)).toEqual(job);
    for (const stranger of [`${job.userId}x`, job.userId.toUpperCase(), ""]) {
      expect(await on.store.findOwn(stranger as UserId, id)).toBeNull();
    }
  });

  check("gives what stood there at that moment, whatever is done to it later", async (on) => {
    const run = await on.started();
    const [record, log] = [await on.job(run.id), await on.log(run.id)];
    const [copy, length] = [{ ...record }, log.length];
    await on.text(run, "more");
    await on.succeed(run);
    expect(record).toEqual(copy);
    expect(log).toHaveLength(length);
  });

  check("sees what was committed before it began", async (on) => {
    const run = await on.started();
    for (let n = 1; n <= 5; n += 1) {
      await on.text(run, `${n}`);
      const [record, log] = await Promise.all([on.job(run.id), on.log(run.id)]);
      expect(record.head).toBe(2 + n);
      expect(dataOf(log.at(-1))).toEqual({ delta: `${n}`, index: 0 });
    }
  });

  check("pages a log by its number of entries", async (on) => {
    const id = await longLog(on, 130, 1);
    const whole = await on.log(id);
    expect(whole).toHaveLength(130);
    for (const limit of [1, 63, 64, 65, 129, 130, 131]) {
      const pages = await readPaged(on, id, { limit, bytes: Number.POSITIVE_INFINITY });
      expect(pages.flat()).toEqual([...whole]);
      expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
      expect(pages).toHaveLength(Math.ceil(130 / limit));
    }
  });

  check("ends a page once it holds the bytes, with one entry at least", async (on) => {
    const id = await longLog(on, 200, 50);
    const whole = await on.log(id);
    const sizes = whole.map(({ data }) => Buffer.byteLength(data));
    for (const bytes of [1, 500, 20_000]) {
      const pages = await readPaged(on, id, { limit: 1000, bytes });
      expect(pages.flat()).toEqual([...whole]);
      expect(pages.length).toBeGreaterThan(1);
      for (const page of pages.slice(0, -1)) {
        const held = page.map(({ seq }) => sizes[seq - 1] ?? 0);
        const total = held.reduce((sum, size) => sum + size, 0);
        expect(total).toBeGreaterThanOrEqual(bytes);
        expect(total - (held.at(-1) ?? 0)).toBeLessThan(bytes);
      }
    }
  });

  check("after the head, or far past it, finds no entry", async (on) => {
    const first = await longLog(on, 5, 1);
    await longLog(on, 5, 1);
    for (const after of [5, 6, 2 ** 22, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      expect(await on.store.events(first, { after, limit: 10, bytes: 1000 })).toEqual([]);
      expect(await on.store.audioChunks(first, after)).toEqual([]);
    }
  });

  check("keeps the logs of neighbours apart", async (on) => {
    const runs = [await on.started(), await on.started(), await on.started()];
    for (let n = 0; n < 4; n += 1) for (const run of runs) await on.text(run, `${run.id} ${n}`);
    for (const run of runs) {
      const deltas = (await on.log(run.id)).slice(2).map(dataOf);
      expect(deltas).toEqual([0, 1, 2, 3].map((n) => ({ delta: `${run.id} ${n}`, index: 0 })));
    }
  });

  check("lists the audio chunks with their sizes, and nothing else", async (on) => {
    const run = await on.started();
    const items: Item[] = [
      { kind: "output.audio", data: new Uint8Array(10) },
      textItem("spoken"),
      // Bytes that would be fewer characters if they were taken for text.
      { kind: "output.audio", data: new Uint8Array([0xc3, 0xa9, 0, 0xc3, 0xa9]) },
      { kind: "output.data", data: new Uint8Array(99) },
      { kind: "output.audio", data: new Uint8Array(7) },
    ];
    const { id, lease } = run;
    await on.execute("append", { id, lease, items, jobBytes: LIMITS.jobBytes });
    expect(await on.store.audioChunks(id, 0)).toEqual([
      { seq: 3, bytes: 10 },
      { seq: 5, bytes: 5 },
      { seq: 7, bytes: 7 },
    ]);
    expect(await on.store.audioChunks(id, 3)).toEqual([
      { seq: 5, bytes: 5 },
      { seq: 7, bytes: 7 },
    ]);
  });

  check("has a result only for a job that succeeded, and keeps a large one whole", async (on) => {
    const [good, bad, running] = [await on.started(), await on.started(), await on.started()];
    const result = { text: "ü".repeat(400_000) };
    await on.succeed(good, result);
    await on.fail(bad, { retryable: false });
    expect((await on.store.findWithResult(good.id))?.result).toBe(JSON.stringify(result));
    for (const { id } of [bad, running]) {
      expect(await on.store.findWithResult(id)).toEqual({ job: await on.job(id), result: null });
    }
  });
}
