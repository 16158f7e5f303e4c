/** The reading half of the memory driver: what every read of the contract means, said in the plainest way. */
import type { JobId } from "../lib/ids.ts";
import { isTerminalStatus, isWaitingStatus } from "../protocol/job-status.ts";
import { byPlace } from "./execute.ts";
import { headOf, sizeOf, summarize, type StoredEvent } from "./job.ts";
import { keyName, type MemoryJobs, type Row } from "./memory-tables.ts";
import { resultOf } from "./result.ts";
import { POSITION_MOST, type JobStore, type JobWithResult } from "./store.ts";

export function createMemoryJobReads(stored: MemoryJobs): Omit<JobStore, "execute" | "onCommitted"> {
  const { rows, keys } = stored;
  /** The log as reads see it: a purged one is gone, though its entries may wait for retention. */
  const logOf = (id: JobId): readonly StoredEvent[] => {
    const row = rows.get(id);
    return row === undefined || row.job.purgedAt !== null ? [] : row.events;
  };
  const withResult = (row: Row): JobWithResult => ({
    job: { ...row.job },
    result: resultOf(row.job, logOf(row.job.id).at(-1)),
  });

  return {
    find: async (id) => {
      const row = rows.get(id);
      return row === undefined ? null : { ...row.job };
    },
    findOwn: async (userId, id) => {
      const row = rows.get(id);
      return row === undefined || row.job.userId !== userId ? null : { ...row.job };
    },
    findWithResult: async (id) => {
      const row = rows.get(id);
      return row === undefined ? null : withResult(row);
    },
    input: async (id) => rows.get(id)?.input ?? null,
    findByKey: async (key) => {
      const found = keys.get(keyName(key));
      return found === undefined ? null : { id: found.id, fingerprint: found.fingerprint };
    },
    events: async (id, { after, limit, bytes }) => {
      const page: StoredEvent[] = [];
      let size = 0;
      for (const event of logOf(id)) {
        if (event.seq <= after) continue;
        if (page.length >= limit || size >= bytes) break;
        page.push(event);
        size += sizeOf(event.data);
      }
      return page;
    },
    audioChunks: async (id, after) =>
      logOf(id)
        .filter((event) => event.kind === "output.audio" && event.seq > after)
        .map((event) => ({ seq: event.seq, bytes: sizeOf(event.data) })),
    list: async (query) =>
      [...rows.values()]
        .filter(
          ({ job }) =>
            (query.userId === null || job.userId === query.userId) &&
            job.purgedAt === null &&
            (query.status === null || job.status === query.status) &&
            (query.type === null || job.type === query.type) &&
            (query.before === null || job.id < query.before),
        )
        .toSorted((a, b) => (a.job.id < b.job.id ? 1 : -1))
        .slice(0, query.limit)
        .map(withResult),
    openJobs: async (sessionId, limit) =>
      [...rows.values()]
        .filter(({ job }) => job.sessionId === sessionId && !job.acknowledged && job.purgedAt === null)
        .toSorted((a, b) => (a.job.id < b.job.id ? 1 : -1))
        .slice(0, limit)
        .map(({ job }) => summarize(job)),
    heads: async (ids) =>
      [...new Set(ids)].flatMap((id) => {
        const row = rows.get(id);
        return row === undefined ? [] : [headOf(row.job)];
      }),
    newJobsOf: async ({ sessions, after, limit }) => {
      const wanted = new Set<string | null>(sessions);
      return [...rows.values()]
        .map(({ job }) => headOf(job))
        .filter(({ id, sessionId, open }) => open && id > after && wanted.has(sessionId))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit);
    },
    cancelable: async ({ sessionId, after, limit }) =>
      [...rows.values()]
        .filter(({ job, num }) => {
          if (!job.cancelOnDisconnect || isTerminalStatus(job.status)) return false;
          return num > (after === null ? 0 : (rows.get(after)?.num ?? 0));
        })
        .toSorted((a, b) => a.num - b.num)
        .flatMap(({ job }) =>
          job.sessionId === null || (sessionId !== null && job.sessionId !== sessionId)
            ? []
            : [{ id: job.id, sessionId: job.sessionId, orphanMs: job.orphanMs }],
        )
        .slice(0, limit),
    waiting: async () => [...rows.values()].filter(({ job }) => isWaitingStatus(job.status)).length,
    position: async (id) => {
      const own = rows.get(id);
      if (own === undefined) return 1;
      // One that was put off would be the last of those that are in line.
      const place = { ...own, priority: own.job.priority, id, turn: own.turn ?? Number.POSITIVE_INFINITY };
      const ahead = [...rows.values()].filter(
        ({ job, turn, num }) =>
          isWaitingStatus(job.status) &&
          turn !== null &&
          job.type === own.job.type &&
          byPlace({ id: job.id, priority: job.priority, turn, num }, place) < 0,
      );
      return Math.min(ahead.length, POSITION_MOST) + 1;
    },
    schedules: async () => [...stored.schedules.values()],
    webhook: async (id) => {
      const row = rows.get(id);
      if (row === undefined || row.webhook === null || row.job.purgedAt !== null) return null;
      return { webhook: { ...row.webhook }, attempts: row.attempts };
    },
    nextWebhook: async () => {
      const times = [...rows.values()].flatMap(({ webhook }) => webhook?.dueBy ?? []);
      return times.length === 0 ? null : Math.min(...times);
    },
    steadyMs: async () => stored.steadyMs,
  };
}
