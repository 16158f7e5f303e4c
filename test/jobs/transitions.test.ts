/** Random lives of one job on the pure transitions: whatever happens to it, its log and its record stay sound. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { sizeOf, type Item, type JobRecord, type StoredEvent } from "../../src/jobs/job.ts";
import * as transitions from "../../src/jobs/transitions.ts";
import type { RunEnd } from "../../src/jobs/transitions.ts";
import type { Instant } from "../../src/lib/clock.ts";
import type { LeaseToken } from "../../src/lib/ids.ts";
import { isTerminalStatus } from "../../src/protocol/jobs.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { ERROR, specOf, textItem } from "../conformance/drive.ts";
import { expectSoundLog } from "../conformance/sound.ts";
import { readable, readLog } from "./log-reading.ts";

const MAX_LOST_LEASES = 3;
const JOB_BYTES = 600;

type Answer = StoredEvent[] | "lease_lost" | "output_too_large";

/** One thing that happens; `lease` picks one of those that were ever given, 0 being the newest. */
type Step =
  | { readonly do: "start" }
  | { readonly do: "append"; readonly lease: number; readonly items: readonly Item[] }
  | { readonly do: "end"; readonly lease: number; readonly how: RunEnd }
  | { readonly do: "lose"; readonly reason: "worker_lost" | "restart" }
  | { readonly do: "cancel" }
  | { readonly do: "enforce" }
  | { readonly do: "expire" };

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.string({ maxLength: 20 }).map((delta) => textItem(delta)),
  fc.uint8Array({ minLength: 1, maxLength: 40 }).map((data) => ({ kind: "output.audio" as const, data })),
  fc.double({ min: 0, max: 1 }).map((ratio) => ({
    kind: "job.progress" as const,
    data: JSON.stringify({ ratio }),
  })),
);

const how: fc.Arbitrary<RunEnd> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ kind: "succeeded" as const, result: '{"ok":true}' }) },
  { weight: 3, arbitrary: fc.constant({ kind: "released" as const }) },
  {
    weight: 4,
    arbitrary: fc
      .record({
        retryable: fc.boolean(),
        random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      })
      .map(({ retryable, random }) => ({
        kind: "error" as const,
        error: { ...ERROR, retryable },
        random,
      })),
  },
);

const lease = fc.nat({ max: 3 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.constant({ do: "start" as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      lease,
      items: fc.array(item, { maxLength: 3 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("end" as const), lease, how }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("lose" as const),
      reason: fc.constantFrom("worker_lost" as const, "restart" as const),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "cancel" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "enforce" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "expire" as const }) },
);

/** A job with its log and every lease it was ever given, newest first; the last one is nobody's. */
interface Life {
  readonly job: JobRecord;
  readonly log: StoredEvent[];
  readonly leases: LeaseToken[];
  releases: number;
  nowMs: number;
}

function waits({ status }: JobRecord): boolean {
  return status === "queued" || status === "retrying";
}

function act(life: Life, given: Step, at: Instant): Answer {
  const { job, leases } = life;
  const of = (index: number): LeaseToken => leases[Math.min(index, leases.length - 1)] ?? ("" as LeaseToken);
  switch (given.do) {
    case "start": {
      // Stores start only what waits; everything else may come at any moment.
      if (!waits(job)) return [];
      const token = `lease-${leases.length}` as LeaseToken;
      leases.unshift(token);
      return transitions.start(job, at, { token, owner: "boot:node:here", leaseMs: 30_000 });
    }
    case "append":
      return transitions.append(job, at, of(given.lease), given.items, { jobBytes: JOB_BYTES });
    case "end": {
      const events = transitions.end(job, at, of(given.lease), given.how);
      if (events !== "lease_lost" && given.how.kind === "released" && job.status === "retrying")
        life.releases += 1;
      return events;
    }
    case "lose":
      return transitions.lose(job, at, given.reason, MAX_LOST_LEASES);
    case "cancel":
      return transitions.cancel(job, at, "requested", 10_000);
    case "enforce":
      return transitions.enforceCancel(job, at);
    case "expire":
      return transitions.expire(job, at);
  }
}

/** What one step may change at all, given what stood before. */
function checkStep(before: JobRecord, life: Life, given: Step, answer: Answer): void {
  const { job, leases } = life;
  const events = typeof answer === "string" ? [] : answer;
  if (events.length === 0 && !(given.do === "append" && given.items.length === 0)) {
    expect(job).toEqual(before);
  }
  if (isTerminalStatus(before.status)) expect(events).toEqual([]);
  expect(job.attempt).toBe(before.attempt + (given.do === "start" && events.length > 0 ? 1 : 0));
  if (given.do === "append" || given.do === "end") {
    const held = before.leaseToken !== null && leases[given.lease] === before.leaseToken;
    expect(answer === "lease_lost").toBe(!held);
  }
  for (const event of events) expect(event).toMatchObject({ attempt: job.attempt, at: life.nowMs });
  // A run is held by exactly one lease; whoever waits or has ended, by none.
  const runs = job.status === "running" || job.status === "canceling";
  expect([job.leaseToken !== null, job.leaseOwner !== null, job.leaseBy !== null]).toEqual([
    runs,
    runs,
    runs,
  ]);
  expect(job.cancelBy !== null).toBe(job.status === "canceling");
  expect(job.finishedAt !== null).toBe(isTerminalStatus(job.status));
}

function checkBudgets({ job }: Life): void {
  expect(job.errors).toBeLessThanOrEqual(job.maxAttempts);
  expect(job.lostLeases).toBeLessThanOrEqual(MAX_LOST_LEASES);
  if (waits(job) || job.status === "running") {
    expect(job.errors).toBeLessThan(job.maxAttempts);
    expect(job.lostLeases).toBeLessThan(MAX_LOST_LEASES);
  }
  expect(job.logBytes).toBeLessThanOrEqual(JOB_BYTES);
}

describe("a job", () => {
  test("stays sound whatever happens to it", () => {
    const seen = new Set<string>();
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 60, size: "max" }),
        fc.record({
          maxAttempts: fc.integer({ min: 1, max: 4 }),
          retryAfterOutput: fc.boolean(),
          startWithinMs: fc.constantFrom(null, 50),
        }),
        (steps, options) => {
          const { job, events } = transitions.accept(specOf(options), { wallMs: 1000, steadyMs: 1 }, 1);
          const life: Life = {
            job,
            log: [...events],
            leases: ["nobody's" as LeaseToken],
            releases: 0,
            nowMs: 1000,
          };
          for (const given of steps) {
            life.nowMs += 7;
            const before = structuredClone(job);
            const answer = act(life, given, { wallMs: life.nowMs, steadyMs: life.nowMs / 3 });
            if (typeof answer !== "string") life.log.push(...answer);
            checkStep(before, life, given, answer);
            checkBudgets(life);
          }
          expectSoundLog(life.log, isTerminalStatus(job.status));
          expect(readLog(life.log)).toEqual(readable(job, life.releases));
          const written = life.log.filter(
            ({ kind }) => kind.startsWith("output.") && kind !== "output.reset",
          );
          const progress = life.log.filter(({ kind }) => kind === "job.progress");
          expect(job.logBytes).toBe(
            [...written, ...progress].reduce((sum, { data }) => sum + sizeOf(data), 0),
          );
          seen.add(job.status);
        },
      ),
      { numRuns: 600 },
    );
    // The lives were not all the same.
    expect(seen.size).toBeGreaterThanOrEqual(7);
  });
});

const AT: Instant = { wallMs: 1000, steadyMs: 1000 };

function running(change: Partial<JobRecord>): { job: JobRecord; token: LeaseToken } {
  const { job } = transitions.accept(specOf({ maxAttempts: 25 }), AT, 1);
  const token = "held" as LeaseToken;
  transitions.start(job, AT, { token, owner: "boot:node:here", leaseMs: 1 });
  Object.assign(job, change);
  return { job, token };
}

describe("the last attempt that a frame can number", () => {
  const error: RunEnd = { kind: "error", error: ERROR, random: 0 };

  test("is not followed by another one after an error", () => {
    const last = running({ attempt: LIMITS.attempts });
    transitions.end(last.job, AT, last.token, error);
    expect(last.job.status).toBe("failed");
    const one = running({ attempt: LIMITS.attempts - 1 });
    transitions.end(one.job, AT, one.token, error);
    expect(one.job.status).toBe("retrying");
  });

  test("is not followed by another one after a lost lease", () => {
    const last = running({ attempt: LIMITS.attempts });
    transitions.lose(last.job, AT, "worker_lost", LIMITS.maxLostLeases);
    expect(last.job.status).toBe("failed");
    const one = running({ attempt: LIMITS.attempts - 1 });
    transitions.lose(one.job, AT, "worker_lost", LIMITS.maxLostLeases);
    expect(one.job.status).toBe("retrying");
  });

  test("is not followed by another one after a release", () => {
    const last = running({ attempt: LIMITS.attempts });
    transitions.end(last.job, AT, last.token, { kind: "released" });
    expect(last.job.status).toBe("failed");
  });
});

test("a log takes its last entry, and none beyond", () => {
  const { job, token } = running({ head: LIMITS.jobEvents - 2 });
  const bounds = { jobBytes: LIMITS.jobBytes };
  const items = [textItem("a"), textItem("b")];
  expect(transitions.append(job, AT, token, [...items, textItem("c")], bounds)).toBe("output_too_large");
  expect(transitions.append(job, AT, token, items, bounds)).toHaveLength(2);
  expect(job.head).toBe(LIMITS.jobEvents);
  expect(transitions.append(job, AT, token, [textItem("c")], bounds)).toBe("output_too_large");
});
