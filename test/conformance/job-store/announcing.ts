/** Conformance of `onCommitted`: every committed change, once, in order, as it is stored. */
import { expect } from "bun:test";
import type { Change, Item } from "../../../src/jobs/job.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { nextJobId, SESSION, textItem, USER, type Check } from "../drive.ts";

export function announcing(check: Check): void {
  check("says what the job is now and which entries were logged", async (on) => {
    const run = await on.started({ sessionId: SESSION, type: "a" });
    await on.text(run, "x", "y");
    const job = { id: run.id, userId: USER, sessionId: SESSION, type: "a" };
    const log = await on.log(run.id);
    const silenced = false;
    expect(on.announced).toEqual([
      { job: { ...job, status: "queued", attempt: 0, head: 1 }, first: 1, events: log.slice(0, 1), silenced },
      {
        job: { ...job, status: "running", attempt: 1, head: 2 },
        first: 2,
        events: log.slice(1, 2),
        silenced,
      },
      {
        job: { ...job, status: "running", attempt: 1, head: 4 },
        first: 3,
        events: log.slice(2, 4),
        silenced,
      },
    ]);
  });

  check("carries what was appended as it was given, bytes included", async (on) => {
    const run = await on.started();
    const bytes = new Uint8Array(300).map((_zero, index) => index);
    const items: Item[] = [textItem("naïve 🙂"), { kind: "output.audio", data: bytes }, textItem("z", 2)];
    const { id, lease } = run;
    await on.execute("append", { id, lease, items, jobBytes: LIMITS.jobBytes });
    const told = on.announced.at(-1)?.events ?? [];
    expect(told.map(({ kind, data }) => ({ kind, data }))).toEqual(items);
    expect(told).toEqual((await on.log(id)).slice(2));
  });

  check("is heard before `execute` resolves, by every listener once", async (on) => {
    const heard: string[] = [];
    on.store.onCommitted((changes) => heard.push(...changes.map(({ job }) => `first ${job.status}`)));
    on.store.onCommitted((changes) => heard.push(...changes.map(({ job }) => `second ${job.status}`)));
    const id = await on.submit();
    expect(heard.toSorted()).toEqual(["first queued", "second queued"]);
    await on.cancel(id);
    expect(heard.slice(2).toSorted()).toEqual(["first canceled", "second canceled"]);
  });

  check("can be read from the store when it is heard", async (on) => {
    const reads: Promise<boolean>[] = [];
    on.store.onCommitted((changes) => {
      for (const { job } of changes) reads.push(on.job(job.id).then(({ head }) => head >= job.head));
    });
    const run = await on.started();
    await Promise.all([on.text(run, "a"), on.text(run, "b"), on.succeed(run)]);
    expect(await Promise.all(reads)).toEqual([true, true, true, true, true]);
  });

  check("comes in the order of the commits, also for what is given at once", async (on) => {
    const ids = [nextJobId(), nextJobId(), nextJobId()];
    await Promise.all(ids.map((id) => on.submit({ id })));
    const runs = await on.claim();
    await Promise.all(runs.flatMap((run) => [on.text(run, "x"), on.text(run, "y"), on.succeed(run)]));
    const told = on.announced.map(({ job, first }) => `${ids.indexOf(job.id)}:${first}`);
    const wanted = ["0:1 1:1 2:1", "0:2 1:2 2:2", "0:3 0:4 0:5", "1:3 1:4 1:5", "2:3 2:4 2:5"];
    expect(told.join(" ")).toBe(wanted.join(" "));
  });

  check("is made of changes only: refusals and what writes no entry are silent", async (on) => {
    const run = await on.started({ sessionId: SESSION });
    const { id, lease } = run;
    const told: Change[] = [];
    on.store.onCommitted((changes) => told.push(...changes));
    await on.execute("checkpoint", { id, lease, value: "1" });
    await on.execute("renew", { owner: "boot:node:here", leaseMs: 1000 });
    await on.execute("append", { id, lease, items: [textItem("x")], jobBytes: 1 });
    await on.text({ ...run, id: nextJobId() }, "x");
    await on.trySubmit({ userJobs: 0 });
    await on.claim();
    await on.sweep();
    await on.recover();
    await on.cancel(nextJobId());
    expect(told).toEqual([]);

    await on.succeed(run);
    expect(told.splice(0)).toHaveLength(1);
    await on.cancel(id);
    await on.execute("acknowledge", { id, sessionId: SESSION, seq: 3 });
    await on.execute("purge", { id });
    await on.retain();
    expect(told).toEqual([]);
  });
}
