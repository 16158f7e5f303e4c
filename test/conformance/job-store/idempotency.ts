/** Conformance of idempotency keys: one key, one job, whatever came in between (PROTOCOL section 3). */
import { expect } from "bun:test";
import type { UserId } from "../../../src/lib/ids.ts";
import { nextJobId, USER, type Check } from "../drive.ts";

const KEY = { userId: USER, route: "POST /v1/jobs", key: "k" };

export function idempotency(check: Check): void {
  check("used again with the same body gives the job that it made", async (on) => {
    const id = await on.submit({ key: "k", fingerprint: "f" });
    const other = nextJobId();
    expect(await on.trySubmit({ id: other, key: "k", fingerprint: "f" })).toEqual({ kind: "replayed", id });
    expect(await on.store.find(other)).toBeNull();
    expect(await on.store.findByKey(KEY)).toEqual({ id, fingerprint: "f" });
  });

  check("used again with another body is refused", async (on) => {
    await on.submit({ key: "k", fingerprint: "f" });
    const other = nextJobId();
    expect(await on.trySubmit({ id: other, key: "k", fingerprint: "g" })).toEqual({ kind: "reused" });
    expect(await on.store.find(other)).toBeNull();
  });

  check("means nothing to another user, on another route, or in other letters", async (on) => {
    await on.submit({ key: "k" });
    const others = [{ userId: "user-2" as UserId }, { route: "POST /v1/jobs/x/retry" }, { key: "K" }];
    for (const other of others) {
      expect(await on.trySubmit({ key: "k", fingerprint: "other", ...other })).toMatchObject({
        kind: "accepted",
      });
    }
    expect(await on.store.findByKey({ ...KEY, key: "unknown" })).toBeNull();
  });

  check("is looked up before the limits, and after the job has ended", async (on) => {
    const id = await on.submit({ key: "k" });
    expect(await on.trySubmit({ key: "k", userJobs: 1, queueJobs: 1 })).toEqual({ kind: "replayed", id });
    await on.cancel(id);
    expect(await on.trySubmit({ key: "k" })).toEqual({ kind: "replayed", id });
  });

  check("of a refused job is not remembered", async (on) => {
    expect(await on.trySubmit({ key: "k", userJobs: 0 })).toEqual({ kind: "too_many_jobs" });
    expect(await on.trySubmit({ key: "k", queueJobs: 0 })).toEqual({ kind: "queue_full" });
    expect(await on.store.findByKey(KEY)).toBeNull();
    expect(await on.trySubmit({ key: "k", fingerprint: "other" })).toMatchObject({ kind: "accepted" });
  });

  check("given several times at once makes one job", async (on) => {
    const outcomes = await Promise.all([
      on.trySubmit({ key: "k" }),
      on.trySubmit({ key: "k" }),
      on.trySubmit({ key: "k", fingerprint: "other" }),
      on.trySubmit({ key: "k" }),
    ]);
    expect(outcomes.map(({ kind }) => kind)).toEqual(["accepted", "replayed", "reused", "replayed"]);
    const jobs = await on.store.list({ userId: USER, status: null, type: null, before: null, limit: 10 });
    expect(jobs).toHaveLength(1);
    expect(outcomes[3]).toMatchObject({ id: jobs[0]?.job.id });
  });
}
