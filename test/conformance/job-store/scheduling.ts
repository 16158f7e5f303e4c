/** Conformance of schedules: which ticks are over, and that each has one job. */
import { expect } from "bun:test";
import { specOf, type Check, type Drive } from "../drive.ts";

const DEFINITION = "* * * * * UTC";

let names = 0;

/** A schedule that nobody has heard of: what is known of one outlives its jobs, and so the tests before. */
function unheard(): string {
  names += 1;
  return `schedule-${String(names).padStart(6, "0")}`;
}

const began = (on: Drive, name: string, definition = DEFINITION) =>
  on.execute("schedule", { name, definition });

function strike(on: Drive, name: string, tick: number, userJobs = Number.POSITIVE_INFINITY) {
  return on.execute("tick", {
    schedule: { name, tick },
    spec: specOf(),
    input: "{}",
    idempotency: null,
    userJobs,
    queueJobs: Number.POSITIVE_INFINITY,
  });
}

const rowOf = async (on: Drive, name: string) =>
  (await on.store.schedules()).find((row) => row.name === name);

export function scheduling(check: Check): void {
  check("begins where it is first seen, and goes on from its last tick", async (on) => {
    const name = unheard();
    const first = on.now().wallMs;
    expect(await began(on, name)).toBe(first);
    on.pass(5000);
    expect(await began(on, name)).toBe(first);
    const outcome = await strike(on, name, first + 1000);
    if (outcome.kind !== "accepted") throw new Error(outcome.kind);
    expect(outcome.job.status).toBe("queued");
    expect(await began(on, name)).toBe(first + 1000);
    expect(await rowOf(on, name)).toEqual({
      name,
      definition: DEFINITION,
      tick: first + 1000,
      jobId: outcome.job.id,
    });
  });

  check("has one job a tick, whoever asks and however often", async (on) => {
    const name = unheard();
    const first = await began(on, name);
    const outcomes = await Promise.all([1, 1, 2, 1, 2].map((n) => strike(on, name, first + n)));
    expect(outcomes.map(({ kind }) => kind)).toEqual(["accepted", "over", "accepted", "over", "over"]);
    expect(await strike(on, name, first)).toEqual({ kind: "over" });
  });

  check("keeps a tick open that was refused", async (on) => {
    const name = unheard();
    const first = await began(on, name);
    expect(await strike(on, name, first + 1, 0)).toEqual({ kind: "too_many_jobs" });
    expect(await strike(on, name, first + 1)).toMatchObject({ kind: "accepted" });
  });

  check("begins anew when it means other ticks", async (on) => {
    const name = unheard();
    const first = await began(on, name);
    await strike(on, name, first + 60_000);
    on.pass(10_000);
    const definition = "0 0 * * * UTC";
    expect(await began(on, name, definition)).toBe(on.now().wallMs);
    expect(await rowOf(on, name)).toEqual({ name, definition, tick: on.now().wallMs, jobId: null });
  });

  check("knows nothing of another, nor of one that was never seen", async (on) => {
    const [one, other] = [unheard(), unheard()];
    const first = await began(on, one);
    expect(await strike(on, other, first + 1)).toEqual({ kind: "over" });
    expect(await rowOf(on, other)).toBeUndefined();
    await began(on, other);
    expect(await strike(on, one, first + 1)).toMatchObject({ kind: "accepted" });
    expect(await strike(on, other, first + 1)).toMatchObject({ kind: "accepted" });
  });
}
