/**
 * Jobs that other nodes accept, run and end. Hints say which of them may matter here; the store is asked how those
 * stand, and whoever follows them is told. Hints may be lost: unless this node is alone, everything that is followed,
 * and the new jobs of everybody who is seated here, are looked up now and then.
 */
import type { Backplane } from "../backplane/backplane.ts";
import type { Follower } from "../jobs/follower.ts";
import type { JobSummary } from "../jobs/job.ts";
import type { JobStore } from "../jobs/store.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { idAt, type JobId, type SessionId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { slices } from "../lib/slices.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Hub } from "./hub.ts";
import type { Reading } from "./reading.ts";

export interface ElsewhereOptions {
  readonly store: Pick<JobStore, "heads" | "newJobsOf">;
  readonly backplane: Pick<Backplane, "alone">;
  readonly hub: Pick<Hub, keyof Follower | "sessions" | "settle" | "asking">;
  /** Who follows jobs beside the sockets. */
  readonly others: readonly Follower[];
  readonly reading: Reading;
  /** A job of this type may be ready to run. */
  readonly onReady: (type: string) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Elsewhere {
  /** Another node tells of jobs. */
  heard(hints: readonly JobSummary[]): void;
  /** Hints may have been lost: everything is looked up, now. Resolves when it was. */
  missed(): Promise<void>;
  start(): void;
  /** Resolves when nothing is read any more. */
  stop(): Promise<void>;
}

export function createElsewhere(options: ElsewhereOptions): Elsewhere {
  const { store, backplane, hub, reading, onReady, clock, logger } = options;
  const followers = [hub, ...options.others];
  /** Jobs that were heard of since the last read of heads began. */
  const wanted = new Set<JobId>();
  let asking: Promise<void> | null = null;
  let looking: Promise<void> | null = null;
  let again = false;
  let stopped = false;
  let timer: Timer | null = null;
  /** Jobs up to this id were looked for. */
  let settled = idAt(0);

  const readHeads = async (ids: readonly JobId[]): Promise<void> => {
    const asked = hub.asking();
    const jobs = await store.heads(ids);
    for (const follower of followers) follower.moved(jobs, asked);
    reading.found(jobs);
  };

  /** One read at a time: what is heard meanwhile is read together. */
  const readWanted = async (): Promise<void> => {
    try {
      while (wanted.size > 0 && !stopped) {
        const ids = [...wanted].slice(0, LIMITS.lookJobs);
        for (const id of ids) wanted.delete(id);
        await readHeads(ids);
      }
    } catch (error) {
      logger.warn({ error }, "jobs that another node told of could not be read");
    }
  };

  /** Other work gets its turn between two reads. */
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

  const lookForNew = async (sessions: readonly SessionId[]): Promise<void> => {
    for (let after = settled; !stopped;) {
      const asked = hub.asking();
      const page = await store.newJobsOf({ sessions, after, limit: LIMITS.lookJobs });
      hub.moved(page, asked);
      const last = page.at(-1);
      if (last === undefined || page.length < LIMITS.lookJobs) return;
      after = last.id;
      await turn();
    }
  };

  const lookAtAll = async (): Promise<void> => {
    for (const sessions of slices(hub.sessions(), LIMITS.lookJobs)) {
      await lookForNew(sessions);
      await turn();
    }
    const followed = new Set(followers.flatMap((follower) => [...follower.followed()]));
    for (const ids of slices([...followed], LIMITS.lookJobs)) {
      if (stopped) return;
      await readHeads(ids);
      await turn();
    }
  };

  const lookUntilDone = async (): Promise<void> => {
    try {
      while (again && !stopped) {
        again = false;
        const newMs = clock.steadyMs() - LIMITS.newJobMs;
        if (!backplane.alone) await lookAtAll();
        settled = idAt(Math.max(0, newMs));
        hub.settle(settled);
      }
    } catch (error) {
      logger.warn({ error }, "what other nodes did to jobs could not be looked up");
    }
  };

  /** One look at a time; whoever asks while one is under way gets another one after it. */
  const look = (): void => {
    again = true;
    looking ??= lookUntilDone().finally(() => {
      looking = null;
    });
  };

  return {
    heard(hints) {
      const ready = new Set<string>();
      for (const hint of hints) {
        if (hint.status === "queued" || hint.status === "retrying") ready.add(hint.type);
        if (followers.some((follower) => follower.minds(hint))) wanted.add(hint.id);
      }
      for (const type of ready) onReady(type);
      if (wanted.size === 0) return;
      asking ??= readWanted().finally(() => {
        asking = null;
      });
    },
    missed() {
      look();
      return looking ?? Promise.resolve();
    },
    start() {
      timer = clock.every(LIMITS.lookMs, () => {
        // Not by what the look finds: it may take long.
        reading.renew();
        look();
      });
    },
    async stop() {
      stopped = true;
      timer?.cancel();
      reading.stop();
      await Promise.all([asking, looking]);
    },
  };
}
