/** R44: the wire to PostgreSQL breaks around a COMMIT. What is answered, what is stored, what is announced, and how often. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Change } from "../../src/jobs/job.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { DatabaseInUseError } from "../../src/postgres/place.ts";
import { openStorage } from "../../src/storage.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { drive, type Drive } from "../conformance/drive.ts";
import { failureOf } from "../conformance/failure.ts";
import { temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";
import { until } from "../support/wait.ts";
import { openCommitCutter, type CommitCutter } from "./commit-cutter.ts";

let server: PostgresServer;
let folder: TemporaryFolder;
beforeAll(async () => {
  [server, folder] = await Promise.all([startPostgres(), temporaryFolder()]);
});
afterAll(async () => {
  await server.remove();
  await folder.remove();
});

interface Scene extends AsyncDisposable {
  readonly wire: CommitCutter;
  readonly on: Drive;
  readonly storage: Storage;
}

async function open(): Promise<Scene> {
  const wire = await openCommitCutter(await server.database());
  const storage = await openStorage({ databaseUrl: wire.url, dataDir: folder.path, durability: "process" });
  return {
    wire,
    storage,
    on: drive(storage.jobs),
    async [Symbol.asyncDispose]() {
      await storage.stop();
      await wire[Symbol.asyncDispose]();
    },
  };
}

/** The numbers of the entries that were announced of a job. */
const announcedOf = (changes: readonly Change[], id: string): number[] =>
  changes.flatMap(({ job, events }) => (job.id === id ? events.map(({ seq }) => seq) : []));

describe.each(["before", "after"] as const)("faults/R44: the wire is cut %s the COMMIT", (when) => {
  test("a submit is answered as unknown, and asking again with its key makes it one job", async () => {
    await using scene = await open();
    const { wire, on } = scene;
    wire.cut(when);
    const failure = await failureOf(on.trySubmit({ key: "key" }));
    expect(failure).toBeInstanceOf(Refusal);
    expect((failure as Refusal).code).toBe("storage_unavailable");
    expect((failure as Refusal).message).toContain("did not confirm");
    expect(wire.cuts).toBe(1);
    wire.restore();
    const again = await until("the database to be back", () =>
      on.trySubmit({ key: "key" }).catch(() => null),
    );
    expect(again.kind).toBe(when === "after" ? "replayed" : "accepted");
    const id = again.kind === "replayed" ? again.id : again.kind === "accepted" ? again.job.id : null;
    expect(
      (await on.store.list({ userId: null, status: null, type: null, before: null, limit: 9 })).length,
    ).toBe(1);
    // Whether it was stored by then or not: it is announced once.
    expect(announcedOf(on.announced, String(id))).toEqual([1]);
  });

  test("a claim goes on when it is known what became of it, so that no job is held and run by nobody", async () => {
    await using scene = await open();
    const { wire, on } = scene;
    const id = await on.submit();
    wire.cut(when);
    const claiming = on.tryClaim().catch((error: unknown) => error);
    await until("the cut", () => wire.cuts === 1);
    wire.restore();
    if (when === "before") {
      expect(await claiming).toMatchObject({ code: "storage_unavailable" });
      expect(await on.job(id)).toMatchObject({ status: "queued" });
    } else {
      expect(await claiming).toMatchObject({ jobs: [{ job: { id, status: "running" } }] });
    }
    expect(announcedOf(on.announced, id)).toEqual(when === "before" ? [1] : [1, 2]);
  });

  test("what a run writes is stored and announced once, by itself", async () => {
    await using scene = await open();
    const { wire, on } = scene;
    const run = await on.started();
    wire.cut(when);
    const written = on.text(run, "a", "b");
    await until("the cut", () => wire.cuts === 1);
    wire.restore();
    expect(await written).toBe("ok");
    expect(await on.text(run, "c")).toBe("ok");
    const log = await on.log(run.id);
    expect(log.map(({ data }) => JSON.parse(String(data)).delta).slice(2)).toEqual(["a", "b", "c"]);
    expect(announcedOf(on.announced, run.id)).toEqual(log.map(({ seq }) => seq));
  });
});

test("who waits while nothing can be reached is refused in time, and nothing of it is stored", async () => {
  await using scene = await open();
  const { wire, on } = scene;
  wire.cut("before");
  await failureOf(on.trySubmit());
  const failure = await failureOf(on.trySubmit({ key: "later" }));
  expect((failure as Refusal).code).toBe("storage_unavailable");
  expect(failure.message).toContain("Nothing was stored");
  wire.restore();
  await until("the database to be back", () => on.trySubmit().catch(() => null));
  expect(
    await on.store.findByKey({ userId: "user-1" as never, route: "POST /v1/jobs", key: "later" }),
  ).toBeNull();
});

test("a database that says nothing is given up in seconds, for reads and for writes, and used again when it speaks", async () => {
  await using scene = await open();
  const { wire, on } = scene;
  const id = await on.submit();
  wire.silence();
  const [written, read] = await Promise.all([failureOf(on.trySubmit()), failureOf(on.store.find(id))]);
  for (const failure of [written, read]) expect((failure as Refusal).code).toBe("storage_unavailable");
  wire.restore();
  await until("the database to be back", () => on.trySubmit().catch(() => null));
  expect((await on.job(id)).head).toBe(1);
}, 30_000);

test("a command that is to blame itself takes no other of its batch with it", async () => {
  await using scene = await open();
  const { on, storage } = scene;
  const token = { id: "one", kind: "admin", name: "x", types: null, rooms: null, createdAt: 1 } as const;
  const whole = { ...token, expiresAt: null, lastUsedAt: null, revokedAt: null };
  await storage.machineTokens.create(whole, "hash");
  const outcomes = await Promise.allSettled([
    on.submit(),
    storage.machineTokens.create({ ...whole, id: "two" }, "hash"),
    on.submit(),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  expect(await storage.jobs.waiting()).toBe(2);
});

test("a second server is told so", async () => {
  const databaseUrl = await server.database();
  const other = await temporaryFolder();
  const first = await openStorage({ databaseUrl, dataDir: folder.path, durability: "process" });
  const second = openStorage({ databaseUrl, dataDir: other.path, durability: "process" });
  expect(await failureOf(second)).toBeInstanceOf(DatabaseInUseError);
  await first.stop();
  const third = await openStorage({ databaseUrl, dataDir: other.path, durability: "process" });
  await third.stop();
  await other.remove();
}, 20_000);
