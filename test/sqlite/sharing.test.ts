/** Several real processes write one file at once, and one of them is killed: no number, claim, key or limit is wrong. */
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { createSystemClock } from "../../src/lib/clock.ts";
import { FolderInUseError, joinFolder, lockFolder, lockFolderForChildren } from "../../src/sqlite/lock.ts";
import { createSqliteJobReads } from "../../src/jobs/sqlite/reads.ts";
import { createSqliteJobStore } from "../../src/jobs/sqlite/store.ts";
import { openSqlite } from "../../src/sqlite/database.ts";
import { migrate } from "../../src/sqlite/migrate.ts";
import { SQLITE_MIGRATIONS } from "../../src/sqlite/migrations.ts";
import { createInlineWriter } from "../../src/sqlite/writer.ts";
import { openStorage, prepareShared } from "../../src/storage.ts";
import { createParticipants } from "../../src/storage/participants.ts";
import { drive } from "../conformance/drive.ts";
import { expectSoundStore } from "../conformance/sound.ts";
import { temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { until, within } from "../support/wait.ts";
import { QUEUE_JOBS, USER_JOBS, type Told } from "./sharing.ts";

let folder: TemporaryFolder;
beforeEach(async () => {
  folder = await temporaryFolder();
});
afterEach(() => folder.remove());

interface Writer {
  kill(): Promise<void>;
  /** Lets it finish; what it did. */
  stop(): Promise<Told>;
}

function startWriter(dataDir: string, name: string): Writer {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, "sharing.ts"), dataDir, name], {
    stdout: "pipe",
    stderr: "inherit",
    ipc: () => {},
  });
  const out = new Response(child.stdout).text();
  return {
    async kill() {
      child.kill("SIGKILL");
      await within("the process to end", child.exited);
    },
    async stop() {
      child.send("stop");
      return JSON.parse(await within("what the process did", out)) as Told;
    },
  };
}

describe("a file that several processes write", () => {
  test("holds each key once, each run once, whole logs, and the limits of the queue, also when one is killed", async () => {
    const dataDir = join(folder.path, "data");
    const path = join(dataDir, "holdline.db");
    const options = { databaseUrl: `sqlite:${path}`, dataDir, durability: "process" } as const;
    const unlock = prepareShared(options, createSystemClock());
    const writers = ["a", "b", "c"].map((name) => startWriter(dataDir, name));
    const db = new Database(path, { readonly: true });
    const ended = db.query<{ count: number }, []>(
      "SELECT count(*) AS count FROM jobs WHERE finished_at IS NOT NULL",
    );
    const waitForMore = async (more: number): Promise<void> => {
      const least = (ended.get()?.count ?? 0) + more;
      await until("more jobs to end", () => (ended.get()?.count ?? 0) >= least, 20_000);
    };
    await waitForMore(300);
    await writers[2]?.kill();
    await waitForMore(300);
    const told = await Promise.all(writers.slice(0, 2).map((writer) => writer.stop()));
    db.close();
    unlock();

    // Both had their part, and neither waited for long.
    for (const one of told) {
      expect(one.ended.length).toBeGreaterThan(50);
      expect(one.longestMs).toBeLessThan(1500);
      expect(one.mostQueued).toBeLessThanOrEqual(QUEUE_JOBS);
    }
    expect(told.some(({ mostQueued }) => mostQueued === QUEUE_JOBS)).toBe(true);
    expect(told.some(({ refused }) => refused.queue_full > 0)).toBe(true);
    expect(told.some(({ refused }) => refused.replayed > 0)).toBe(true);
    const claimed = told.flatMap((one) => one.claimed);
    expect(new Set(claimed).size).toBe(claimed.length);
    const raw = new Database(path, { readonly: true });
    expect(raw.query("PRAGMA integrity_check").all()).toEqual([{ integrity_check: "ok" }]);
    const [counts] = raw
      .query("SELECT count(*) AS keys, count(DISTINCT job_id) AS jobs FROM idempotency_keys")
      .all() as { keys: number; jobs: number }[];
    expect(counts?.keys).toBe(counts?.jobs);
    raw.close();

    // What the killed one held is what is left, and the book of a new process agrees with the rows.
    const storage = await openStorage(options);
    const on = drive(storage.jobs);
    const all = await on.store.list({ userId: null, status: null, type: null, before: null, limit: 100_000 });
    const open = all.filter(({ job }) => job.finishedAt === null);
    expect(open.length).toBeLessThanOrEqual(USER_JOBS);
    expect((await on.trySubmit({ userJobs: open.length })).kind).toBe("too_many_jobs");
    const waiting = open.filter(({ job }) => job.status === "queued").length;
    expect((await on.trySubmit({ queueJobs: waiting })).kind).toBe("queue_full");
    const running = open.filter(({ job }) => job.status === "running");
    for (const { job } of running) expect(job.leaseOwner).toBe("boot:c:1");
    await on.recover({ node: "c", owner: "boot:c:2" });
    expect(
      (await on.store.list({ userId: null, status: "running", type: null, before: null, limit: 1 })).length,
    ).toBe(0);
    for (const { job } of all) {
      const log = await on.log(job.id);
      expect(log.map(({ seq }) => seq)).toEqual(log.map((_, n) => n + 1));
    }
    await expectSoundStore(on.store, []);
    await storage.stop();
  }, 60_000);
});

test("a writer that was silent for longer than the others' moves are kept counts right all the same", async () => {
  const path = join(folder.path, "holdline.db");
  const open = () => {
    const connection = openSqlite({ path, durability: "process" });
    migrate(connection.raw, SQLITE_MIGRATIONS);
    const writer = createInlineWriter(connection.raw, createParticipants(connection, { wallMs: null }));
    const on = drive(createSqliteJobStore(writer, createSqliteJobReads(connection)));
    return { on, raw: connection.raw, close: () => connection.close() };
  };
  const [silent, busy] = [open(), open()];
  await silent.on.submit();
  for (let n = 0; n < 1100; n += 1) await busy.on.cancel(await busy.on.submit());
  await busy.on.submit();
  const [kept] = busy.raw.query("SELECT min(num) AS first, count(*) AS count FROM queue_moves").all() as [
    { first: number; count: number },
  ];
  expect(kept.first).toBeGreaterThan(1);
  expect(kept.count).toBeLessThanOrEqual(2000);
  expect((await silent.on.trySubmit({ queueJobs: 2 })).kind).toBe("queue_full");
  expect((await silent.on.trySubmit({ userJobs: 2 })).kind).toBe("too_many_jobs");
  expect((await silent.on.trySubmit({ queueJobs: 3, userJobs: 3 })).kind).toBe("accepted");
  silent.close();
  busy.close();
});

describe("the lock of a folder", () => {
  test("of a parent lets its children in, and nobody else, until the last child is gone", () => {
    const path = join(folder.path, "a.lock");
    const unlock = lockFolderForChildren(path);
    expect(() => lockFolder(path)).toThrow(FolderInUseError);
    expect(() => lockFolderForChildren(path)).toThrow(FolderInUseError);
    const leave = [joinFolder(path), joinFolder(path)];
    expect(() => lockFolder(path)).toThrow(FolderInUseError);
    // The parent is killed; its children have not noticed yet.
    unlock();
    expect(() => lockFolder(path)).toThrow(FolderInUseError);
    expect(() => lockFolderForChildren(path)).toThrow(FolderInUseError);
    leave[0]?.();
    expect(() => lockFolder(path)).toThrow(FolderInUseError);
    leave[1]?.();
    lockFolder(path)();
  });

  test("of a single server lets no child in", () => {
    const path = join(folder.path, "a.lock");
    const unlock = lockFolder(path);
    expect(() => joinFolder(path)).toThrow(FolderInUseError);
    unlock();
  });
});
