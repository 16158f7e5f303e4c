/** R21, R27: a process that stands still past its leases, beside another one on the same store. */
import { expect, test } from "bun:test";
import { createGates, createPlace, createWorks, handlerOf } from "../handlers/run-setup.ts";
import { createVirtualClock, settle } from "../handlers/virtual-clock.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { outline } from "../support/log-checker.ts";

test("faults/R21 R27 a run that outlived its lease is run elsewhere in lease and sweep, and its own end comes too late", async () => {
  const place = createPlace();
  const stopped = createVirtualClock();
  const gates = createGates();
  const first = createWorks({ ...place, clock: stopped }, [handlerOf(gates.work)], { bootId: "first" });
  const second = createWorks(place, [handlerOf(gates.work)], { bootId: "second", concurrency: 0 });
  await first.start();
  await second.start();
  const id = await place.on.submit();
  first.wake();
  await settle();
  const [slow] = gates.begun;
  await slow?.text("the first word");
  expect(await place.on.job(id)).toMatchObject({ status: "running", leaseOwner: "boot:node:first" });

  // While it renews its lease nobody takes it.
  for (let seconds = 0; seconds < 60; seconds += 1) {
    await stopped.advance(1000);
    await place.clock.advance(1000);
  }
  expect(await place.on.job(id)).toMatchObject({ status: "running", attempt: 1 });

  // Then its process stands still, and only the other one's time goes on.
  await place.clock.advance(LIMITS.leaseMs - LIMITS.leaseRenewMs - 1);
  expect(await place.on.job(id)).toMatchObject({ attempt: 1 });
  // The second one had no place for runs so far, so that the first got it.
  const third = createWorks(place, [handlerOf(gates.work)], { bootId: "second" });
  third.wake();
  await place.clock.advance(LIMITS.leaseRenewMs + 2000);
  expect(await place.on.job(id)).toMatchObject({
    status: "running",
    attempt: 2,
    leaseOwner: "boot:node:second",
    lostLeases: 1,
  });
  const [, quick] = gates.begun;
  await quick?.text("another word");

  // It goes on as if nothing had happened, and changes nothing.
  const late = slow?.text("a late word").then(
    () => "written",
    () => "refused",
  );
  await stopped.advance(LIMITS.leaseRenewMs);
  gates.open(0, "too late");
  await stopped.advance(1000);
  expect(await late).toBe("refused");
  expect(await place.on.job(id)).toMatchObject({
    status: "running",
    attempt: 2,
    leaseOwner: "boot:node:second",
  });
  gates.open(1, "in time");
  await settle();
  const log = await place.on.log(id);
  expect(outline(log)).toEqual([
    "job.queued",
    "job.started",
    "output.text",
    "job.retrying",
    "job.started",
    "output.reset",
    "output.text",
    "job.succeeded",
  ]);
  expect(log.map(({ data }) => String(data)).join()).not.toContain("late");
  expect((await place.on.last(id)).data).toEqual({ result: "in time" });
  for (const works of [first, second, third]) await works.stop(0);
});
