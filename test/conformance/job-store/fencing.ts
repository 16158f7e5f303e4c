/** Conformance of leases: after every way to lose one, its holder can write nothing more. */
import { expect } from "bun:test";
import type { LeaseToken } from "../../../src/lib/ids.ts";
import { LIMITS } from "../../../src/protocol/limits.ts";
import { nextJobId, textItem, type Check, type Drive, type HeldRun } from "../drive.ts";

/** Another process of ours: what a remote worker says again is answered again (remote.ts). */
const REMOTE = { owner: "boot:node:elsewhere", leaseMs: 1000 };

/** Ways to lose a lease; each leaves the job as it is then. */
const LOSSES: readonly (readonly [way: string, lose: (on: Drive, run: HeldRun) => Promise<unknown>])[] = [
  ["the run succeeded", (on, run) => on.succeed(run)],
  ["the run failed for good", (on, run) => on.fail(run, { retryable: false })],
  ["the run is to be retried", (on, run) => on.fail(run)],
  ["the run was released", (on, run) => on.release(run)],
  [
    "the lease ran out",
    async (on) => {
      on.pass(1000);
      await on.sweep();
    },
  ],
  [
    "the lease ran out for the last time",
    async (on) => {
      on.pass(1000);
      await on.sweep({ maxLostLeases: 1 });
    },
  ],
  [
    "the run did not stop when it was canceled",
    async (on, run) => {
      await on.cancel(run.id);
      on.pass(LIMITS.cancelGraceMs);
      await on.sweep();
    },
  ],
  [
    "the run stopped when it was canceled",
    async (on, run) => {
      await on.cancel(run.id);
      await on.release(run);
    },
  ],
  [
    "the next run has started",
    async (on, run) => {
      await on.release(run);
      await on.again(run.id);
    },
  ],
];

async function expectFenced(on: Drive, run: HeldRun): Promise<void> {
  const { id, lease } = run;
  const record = await on.job(id);
  const log = await on.log(id);
  const told = on.announced.length;
  expect(await on.text(run, "too late")).toBe("lease_lost");
  // Even what would change nothing is refused: a stale holder has to learn that it is one.
  expect(await on.execute("append", { id, lease, items: [], jobBytes: 1 })).toBe("lease_lost");
  expect(await on.execute("checkpoint", { id, lease, value: "1" })).toBe("lease_lost");
  expect(await on.succeed(run)).toBe("lease_lost");
  expect(await on.fail(run)).toBe("lease_lost");
  expect(await on.release(run)).toBe("lease_lost");
  expect(await on.job(id)).toEqual(record);
  expect(await on.log(id)).toEqual(log);
  expect(on.announced.length).toBe(told);
}

export function fencing(check: Check): void {
  for (const [way, lose] of LOSSES) {
    check(`is fenced once ${way}`, async (on) => {
      const run = await on.started(REMOTE);
      await on.text(run, "in time");
      await lose(on, run);
      await expectFenced(on, run);
    });
  }

  check("is fenced once a restart returned it", async (on) => {
    const run = await on.started({ owner: "boot:node:before" });
    await on.recover();
    await expectFenced(on, run);
  });

  check("is of one job: that of another opens nothing, nor does a guess", async (on) => {
    const [mine, other] = [await on.started(), await on.started()];
    await expectFenced(on, { ...mine, lease: other.lease });
    for (const guess of ["", "null", `${mine.lease}0`]) {
      await expectFenced(on, { ...mine, lease: guess as LeaseToken });
    }
    expect(await on.text(mine, "still mine")).toBe("ok");
  });

  check("is of no use for a job that was never claimed, or never was", async (on) => {
    const holder = await on.started();
    await expectFenced(on, { ...holder, id: await on.submit() });
    const unknown = { ...holder, id: nextJobId() };
    expect(await on.text(unknown, "a")).toBe("lease_lost");
    expect(await on.succeed(unknown)).toBe("lease_lost");
    const { id, lease } = unknown;
    expect(await on.execute("checkpoint", { id, lease, value: "1" })).toBe("lease_lost");
  });

  check("lets the present holder write though a stale one tries at the same moment", async (on) => {
    const stale = await on.started();
    await on.release(stale);
    const held = await on.again(stale.id);
    const item = textItem("x");
    const outcomes = await Promise.all([
      on.text(stale, "x"),
      on.text(held, "x"),
      on.succeed(stale),
      on.execute("append", { id: held.id, lease: held.lease, items: [item], jobBytes: LIMITS.jobBytes }),
    ]);
    expect(outcomes).toEqual(["lease_lost", "ok", "lease_lost", "ok"]);
  });
}
