/** A database that is closed and opened again, writer's thread and all: everything that was committed is there and goes on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { JobId, SessionId } from "../../src/lib/ids.ts";
import type { Storage } from "../../src/storage/contract.ts";
import { drive, SESSION, USER, type Drive, type HeldRun } from "../conformance/drive.ts";
import { openThreaded, temporaryFolder, type TemporaryFolder } from "../conformance/storages.ts";

const LANE = { sessionId: SESSION, lane: "answer" };
const KEY = { userId: USER, route: "POST /v1/jobs", key: "k" };

interface Made {
  readonly ids: readonly JobId[];
  readonly running: HeldRun;
  readonly finished: JobId;
  readonly waiting: JobId;
}

/** Jobs in every state they can be in. */
async function makeAll(on: Drive): Promise<Made> {
  const finished = await on.started({ key: "k", sessionId: SESSION });
  await on.text(finished, "naïve 🙂");
  await on.execute("append", {
    id: finished.id,
    lease: finished.lease,
    items: [{ kind: "output.audio", data: new Uint8Array([0, 1, 255]) }],
    jobBytes: 10_000,
  });
  await on.succeed(finished, { text: "done" });
  const failed = await on.started();
  await on.fail(failed, { retryable: false });
  const retrying = await on.started();
  await on.fail(retrying, { retryAfterMs: 5000 });
  const canceling = await on.started({ cancelOnDisconnect: true, sessionId: SESSION });
  await on.cancel(canceling.id);
  const purged = await on.started();
  await on.succeed(purged);
  await on.execute("purge", { id: purged.id });
  const expired = await on.submit({ startWithinMs: 1 });
  on.pass(1);
  await on.sweep();
  const running = await on.started(LANE);
  await on.execute("checkpoint", { id: running.id, lease: running.lease, value: '"half way"' });
  await on.text(running, "half ");
  const waiting = await on.submit({ metadata: { a: "b" } });
  const runs = [finished, failed, retrying, canceling, purged, running];
  return { ids: [...runs.map(({ id }) => id), expired, waiting], running, finished: finished.id, waiting };
}

/** All that reads can say. */
async function view(
  { jobs, sessions, revocations }: Storage,
  ids: readonly JobId[],
  sessionId: SessionId,
): Promise<unknown> {
  const all = { after: 0, limit: 1000, bytes: Number.POSITIVE_INFINITY };
  const list = { userId: USER, status: null, type: null, before: null, limit: 100 };
  return {
    jobs: await Promise.all(
      ids.map(async (id) => [
        await jobs.findWithResult(id),
        await jobs.input(id),
        await jobs.events(id, all),
        await jobs.audioChunks(id, 0),
      ]),
    ),
    list: await jobs.list(list),
    open: await jobs.openJobs(SESSION, 100),
    cancelable: await jobs.cancelable({ sessionId: null, after: null, limit: 100 }),
    key: await jobs.findByKey(KEY),
    session: await sessions.find(sessionId),
    revocations: await revocations.list(0),
  };
}

describe("a storage that is opened again", () => {
  let folder: TemporaryFolder;
  beforeAll(async () => {
    folder = await temporaryFolder();
  });
  afterAll(() => folder.remove());

  test("holds all it held, and goes on with it", async () => {
    let storage = await openThreaded(folder, "power");
    const before = drive(storage.jobs);
    const made = await makeAll(before);
    const sessionId = "session-kept" as SessionId;
    await storage.sessions.create({
      id: sessionId,
      userId: USER,
      nodeId: "node",
      createdAt: 1,
      connectedAt: null,
      lastSeenAt: 2,
      presence: "away",
      presenceAt: 2,
      chosenPresence: "busy",
      rooms: ["lobby"],
      binding: null,
      awayBy: 3.5,
      expiresBy: 4.5,
      endedAt: null,
    });
    await storage.revocations.revoke({ kind: "user", subject: "u", before: 5, until: 6 });
    const seen = await view(storage, made.ids, sessionId);
    await storage.stop();

    storage = await openThreaded(folder, "power");
    expect(await view(storage, made.ids, sessionId)).toEqual(seen);

    // The one that ran holds its lease still, and its lane; keys, counts and the queue are as they were.
    const on = drive(storage.jobs);
    on.pass(1);
    expect(await on.text(made.running, "way")).toBe("ok");
    expect(await on.trySubmit({ key: "k" })).toEqual({ kind: "replayed", id: made.finished });
    expect(await on.trySubmit({ userJobs: 4 })).toEqual({ kind: "too_many_jobs" });
    expect(await on.trySubmit({ queueJobs: 2 })).toEqual({ kind: "queue_full" });
    expect((await on.claim()).map(({ id }) => id)).toEqual([made.waiting]);
    await on.submit(LANE);
    expect(await on.job(made.running.id)).toMatchObject({ status: "canceling", cancelReason: "lane" });
    expect(await on.succeed(made.running)).toBe("canceled");
    const log = await on.log(made.running.id);
    expect(log.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
    await storage.stop();
  });

  test("returns what ran in the process before, with its checkpoint", async () => {
    const own = await temporaryFolder();
    const first = await openThreaded(own);
    const run = await drive(first.jobs).started({ owner: "boot:node:first" });
    const { id, lease } = run;
    await drive(first.jobs).execute("checkpoint", { id, lease, value: "7" });
    await first.stop();
    const second = await openThreaded(own);
    const on = drive(second.jobs);
    expect(await on.recover()).toEqual({ recovered: 1, busy: false, stuck: [] });
    expect(await on.text(run, "late")).toBe("lease_lost");
    const { type } = await on.job(id);
    const { jobs } = await on.tryClaim({ types: [{ type, most: 1 }] });
    expect(jobs[0]).toMatchObject({ checkpoint: "7", job: { attempt: 2, lostLeases: 1 } });
    await second.stop();
    await own.remove();
  });
});
