/**
 * Which remote workers were heard of lately and what they hold, as far as this process knows: for operators, and for a
 * drain, which waits for them. Nothing depends on it being whole; the store alone knows who holds what.
 */
import type { Follower } from "../../jobs/follower.ts";
import type { Change, JobSummary } from "../../jobs/job.ts";
import type { Clock } from "../../lib/clock.ts";
import type { JobId } from "../../lib/ids.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { WorkerObject } from "../../protocol/workers.ts";

/** A worker by the token it uses and the name it gives itself. */
export interface WorkerIdentity {
  readonly tokenId: string;
  readonly name: string;
}

export interface Directory extends Follower {
  /** `types`: what it asks for, when it does. */
  heard(worker: WorkerIdentity, types?: readonly string[]): void;
  polls(worker: WorkerIdentity, step: 1 | -1): void;
  holds(worker: WorkerIdentity, id: JobId): void;
  /** Runs that are over are held by nobody. */
  committed(changes: readonly Change[]): void;
  /** Heard last first. */
  list(): readonly WorkerObject[];
  /** Leases known here. */
  readonly leases: number;
  /** Resolves when no lease is known here, or after `limitMs`. */
  settled(limitMs: number): Promise<void>;
}

interface Entry extends WorkerIdentity {
  types: readonly string[];
  polling: number;
  heardMs: number;
  heardAt: number;
}

const keyOf = ({ tokenId, name }: WorkerIdentity): string => `${tokenId}:${name}`;

const isOver = ({ status }: Pick<JobSummary, "status">): boolean =>
  status !== "running" && status !== "canceling";

export function createDirectory(clock: Clock): Directory {
  /** Heard last at the end. */
  const entries = new Map<string, Entry>();
  const holders = new Map<JobId, string>();
  let whenFree: (() => void) | null = null;

  /** Those that are too many, or too long ago; the first are those unheard for longest. */
  const forget = (): void => {
    for (const [key, { heardMs, polling }] of entries) {
      const isOld = clock.steadyMs() - heardMs > LIMITS.workerSeenMs && polling === 0;
      if (!isOld && entries.size <= LIMITS.workersSeen) return;
      entries.delete(key);
    }
  };

  const entryOf = (worker: WorkerIdentity): Entry => {
    const key = keyOf(worker);
    const found = entries.get(key) ?? { ...worker, types: [], polling: 0, heardMs: 0, heardAt: 0 };
    found.heardMs = clock.steadyMs();
    found.heardAt = clock.wallMs();
    entries.delete(key);
    entries.set(key, found);
    forget();
    return found;
  };

  return {
    heard(worker, types) {
      const entry = entryOf(worker);
      if (types !== undefined) entry.types = types;
    },
    polls(worker, step) {
      entryOf(worker).polling += step;
    },
    holds(worker, id) {
      entryOf(worker);
      holders.set(id, keyOf(worker));
    },
    committed(changes) {
      if (holders.size === 0) return;
      for (const { job } of changes) if (isOver(job)) holders.delete(job.id);
      if (holders.size === 0) whenFree?.();
    },
    minds: (hint) => holders.has(hint.id) && isOver(hint),
    followed: () => holders.keys(),
    moved(jobs) {
      for (const job of jobs) if (isOver(job)) holders.delete(job.id);
      if (holders.size === 0) whenFree?.();
    },
    list() {
      const leases = Map.groupBy(holders, ([, key]) => key);
      forget();
      return [...entries.values()].toReversed().map((entry) => ({
        name: entry.name,
        tokenId: entry.tokenId,
        types: [...entry.types],
        leases: (leases.get(keyOf(entry)) ?? []).map(([id]) => id),
        polling: entry.polling,
        lastHeardAt: new Date(entry.heardAt).toISOString(),
      }));
    },
    get leases() {
      return holders.size;
    },
    async settled(limitMs) {
      if (holders.size === 0) return;
      const free = Promise.withResolvers<void>();
      whenFree = free.resolve;
      const timer = clock.after(limitMs, free.resolve);
      await free.promise;
      timer.cancel();
    },
  };
}
