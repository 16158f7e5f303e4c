/** Conformance of lanes: at most one unfinished job per session and lane, a new one cancels the one before. */
import { expect } from "bun:test";
import type { SessionId } from "../../../src/lib/ids.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { SESSION, type Check } from "../drive.ts";

const LANE = { sessionId: SESSION, lane: "answer" };

export function lanes(check: Check): void {
  check("cancels the job before that still waits", async (on) => {
    const first = await on.submit(LANE);
    const second = await on.submit(LANE);
    expect(await on.kinds(first)).toEqual(["job.queued", "job.canceled"]);
    expect((await on.last(first)).data).toEqual({ reason: "lane" });
    expect(await on.job(second)).toMatchObject({ status: "queued" });
    // The end of the one before is told first: it is in the same commit.
    expect(on.announced.map(({ job }) => [job.id, job.status])).toEqual([
      [first, "queued"],
      [first, "canceled"],
      [second, "queued"],
    ]);
  });

  check("asks the job before that runs to stop, within the usual grace", async (on) => {
    const first = await on.started(LANE);
    await on.submit(LANE);
    expect(await on.job(first.id)).toMatchObject({
      status: "canceling",
      cancelReason: "lane",
      cancelBy: on.now().steadyMs + LIMITS.cancelGraceMs,
    });
  });

  check("says with each change that nobody listens any more, also with what is still written", async (on) => {
    const run = await on.started(LANE);
    await on.text(run, "before");
    await on.submit(LANE);
    await on.text(run, "after");
    const of = on.announced.filter(({ job }) => job.id === run.id);
    expect(of.map(({ silenced, events }) => [events.at(-1)?.kind, silenced])).toEqual([
      ["job.queued", false],
      ["job.started", false],
      ["output.text", false],
      ["job.canceling", true],
      ["output.text", true],
    ]);
    // Whoever cancels a job by hand may still want to hear it.
    const other = await on.started();
    await on.cancel(other.id);
    expect(on.announced.at(-1)).toMatchObject({ job: { status: "canceling" }, silenced: false });
  });

  check("looks past a job that is being canceled already at the one that came after it", async (on) => {
    const first = await on.started(LANE);
    const second = await on.started(LANE);
    const third = await on.submit(LANE);
    const fourth = await on.submit(LANE);
    const statuses = [];
    for (const id of [first.id, second.id, third, fourth]) statuses.push((await on.job(id)).status);
    expect(statuses).toEqual(["canceling", "canceling", "canceled", "queued"]);
  });

  check("touches nothing of other lanes, other sessions, or no lane at all", async (on) => {
    const others = [
      await on.submit({ ...LANE, lane: "Answer" }),
      await on.submit({ ...LANE, sessionId: "session-2" as SessionId }),
      await on.submit({ sessionId: SESSION }),
      await on.submit({ lane: "answer" }),
    ];
    await on.submit(LANE);
    for (const id of others) expect(await on.job(id)).toMatchObject({ status: "queued" });
  });

  check("is free once its job has ended", async (on) => {
    const run = await on.started(LANE);
    await on.succeed(run);
    await on.submit(LANE);
    expect(await on.job(run.id)).toMatchObject({ status: "succeeded", head: 3 });
  });

  check("cancels nothing when the new job is refused", async (on) => {
    const first = await on.submit(LANE);
    expect(await on.trySubmit({ ...LANE, queueJobs: 1 })).toEqual({ kind: "queue_full" });
    expect(await on.job(first)).toMatchObject({ status: "queued" });
  });
}
