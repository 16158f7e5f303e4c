/** What must hold of every log whatever was done to the job: checked after each test of the conformance suite. */
import { expect } from "bun:test";
import type { Change, StoredEvent } from "../../src/jobs/job.ts";
import type { JobStore } from "../../src/jobs/store.ts";
import type { JobId } from "../../src/lib/ids.ts";
import { isTerminalKind } from "../../src/protocol/events.ts";
import { isTerminalStatus } from "../../src/protocol/jobs.ts";

/** The announced entries of each job, which must follow each other without gap or repeat. */
function announcedLogs(announced: readonly Change[]): Map<JobId, StoredEvent[]> {
  const logs = new Map<JobId, StoredEvent[]>();
  for (const { job, first, events } of announced) {
    const known = logs.get(job.id) ?? [];
    logs.set(job.id, known);
    // Compared without `expect` where nothing is wrong: some tests announce thousands.
    const follows = events.length > 0 && first === known.length + 1;
    known.push(...events);
    if (!follows || job.head !== known.length)
      throw new Error(`${job.id} announced ${first} to ${job.head} where ${known.length} entries are known`);
  }
  return logs;
}

/** The log says in its kinds what its job's status says: one terminal entry, the last, or none. */
export function expectSoundLog(events: readonly StoredEvent[], terminal: boolean): void {
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1));
  const ends = events.filter(({ kind }) => isTerminalKind(kind));
  expect(ends).toEqual(terminal ? events.slice(-1) : []);
  const attempts = events.map(({ attempt }) => attempt);
  expect(attempts).toEqual(attempts.toSorted((a, b) => a - b));
  // Every run has a number of its own, and nothing of a run is logged before it started.
  const starts = events.filter(({ kind }) => kind === "job.started").map(({ attempt }) => attempt);
  expect(starts).toEqual(starts.map((_attempt, index) => index + 1));
}

/** Jobs that are looked at one by one: the first and the last of a test that makes thousands. */
const LOOKED_AT = 50;

/** Compares what was announced, what can be read and what the records say. */
export async function expectSoundStore(store: JobStore, announced: readonly Change[]): Promise<void> {
  const logs = [...announcedLogs(announced)];
  const some = logs.length <= 2 * LOOKED_AT ? logs : [...logs.slice(0, LOOKED_AT), ...logs.slice(-LOOKED_AT)];
  for (const [id, told] of some) {
    const job = await store.find(id);
    if (job === null) continue; // retention took it
    expect(job.head).toBe(told.length);
    expectSoundLog(told, isTerminalStatus(job.status));
    const read = await store.events(id, { after: 0, limit: 1_000_000, bytes: Number.POSITIVE_INFINITY });
    expect(read).toEqual(job.purgedAt === null ? told.slice(job.oldest - 1) : []);
  }
}
