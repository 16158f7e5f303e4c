/** Conformance of the reads for nodes that did not hear of a change: how jobs stand, and which ones are new. */
import { expect } from "bun:test";
import type { JobId, SessionId } from "../../../src/lib/ids.ts";
import { nextJobId, SESSION, USER, type Check, type Drive } from "../drive.ts";

const OTHER = "0196a000-0000-7000-8000-00000000abcd" as SessionId;
/** Before all jobs. */
const BEGINNING = "00000000-0000-7000-8000-000000000000" as JobId;

async function headOf(on: Drive, id: JobId) {
  const [head] = await on.store.heads([id]);
  return head;
}

export function heads(check: Check): void {
  check("tells how each of many jobs stands, and leaves out what is unknown", async (on) => {
    const run = await on.started({ sessionId: SESSION, type: "work" });
    await on.text(run, "a", "b");
    const waiting = await on.submit({ sessionId: null });
    const found = await on.store.heads([run.id, nextJobId(), waiting, run.id]);
    expect(found.toSorted((a, b) => (a.id < b.id ? -1 : 1))).toEqual([
      {
        id: run.id,
        userId: USER,
        sessionId: SESSION,
        type: "work",
        status: "running",
        attempt: 1,
        head: 4,
        silenced: false,
        open: true,
      },
      {
        id: waiting,
        userId: USER,
        sessionId: null,
        type: "work",
        status: "queued",
        attempt: 0,
        head: 1,
        silenced: false,
        open: true,
      },
    ]);
    expect(await on.store.heads([])).toEqual([]);
  });

  check("tells that a job gave way in its lane, and of no other cancel", async (on) => {
    const first = await on.started({ sessionId: SESSION, lane: "voice" });
    const second = await on.submit({ sessionId: SESSION, lane: "voice" });
    expect(await headOf(on, first.id)).toMatchObject({ status: "canceling", silenced: true });
    await on.execute("cancel", { id: second, reason: "requested", graceMs: 0 });
    expect(await headOf(on, second)).toMatchObject({ status: "canceled", silenced: false });
  });

  check("tells what was receipted or deleted from what is open", async (on) => {
    const [receipted, deleted, ended] = [
      await on.started({ sessionId: SESSION }),
      await on.started({ sessionId: SESSION }),
      await on.started({ sessionId: SESSION }),
    ];
    for (const run of [receipted, deleted, ended]) await on.succeed(run);
    const { head } = await on.job(receipted.id);
    await on.execute("acknowledge", { id: receipted.id, sessionId: SESSION, seq: head });
    await on.execute("purge", { id: deleted.id });
    const open = async (id: JobId) => (await headOf(on, id))?.open;
    expect([await open(receipted.id), await open(deleted.id), await open(ended.id)]).toEqual([
      false,
      false,
      true,
    ]);
    const asked = { sessions: [SESSION], after: BEGINNING, limit: 10 };
    expect((await on.store.newJobsOf(asked)).map(({ id }) => id)).toEqual([ended.id]);
  });

  check("finds the new jobs of many sessions, oldest first, page by page", async (on) => {
    const before = await on.submit({ sessionId: SESSION });
    const ids: JobId[] = [];
    for (const sessionId of [OTHER, SESSION, OTHER, SESSION]) ids.push(await on.submit({ sessionId }));
    // Of nobody who was asked for.
    await on.submit({ sessionId: null });
    await on.submit({ sessionId: "0196a000-0000-7000-8000-00000000eeee" as SessionId });
    const sessions = [SESSION, OTHER];
    const pages: JobId[][] = [];
    for (let after = before; ;) {
      const page = await on.store.newJobsOf({ sessions, after, limit: 3 });
      pages.push(page.map(({ id }) => id));
      const last = page.at(-1);
      if (last === undefined) break;
      expect([last]).toEqual([...(await on.store.heads([last.id]))]);
      after = last.id;
    }
    expect(pages).toEqual([ids.slice(0, 3), ids.slice(3), []]);
    expect(await on.store.newJobsOf({ sessions: [OTHER], after: before, limit: 10 })).toHaveLength(2);
    expect(await on.store.newJobsOf({ sessions: [], after: BEGINNING, limit: 10 })).toEqual([]);
  });
}
