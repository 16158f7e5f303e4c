/**
 * The server's side of remote workers (PROTOCOL section 6), wired: who waits, who holds what, and what the workers are
 * told while the server drains. What a worker does to a job is decided by the store (jobs/remote.ts).
 */
import type { Change, Item, JobRecord } from "../../jobs/job.ts";
import type { Follower } from "../../jobs/follower.ts";
import type { ClaimedJob, HoldOutcome, JobOutcome, JobStore } from "../../jobs/store.ts";
import type { RunEnd } from "../../jobs/transitions.ts";
import { instant, type Clock } from "../../lib/clock.ts";
import type { Ids, JobId, LeaseToken } from "../../lib/ids.ts";
import type { Logger } from "../../lib/logger.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { Control, WorkerObject } from "../../protocol/workers.ts";
import type { Registry } from "../registry.ts";
import { createDirectory, type WorkerIdentity } from "./directory.ts";
import { createDispatch } from "./dispatch.ts";

/** A run as its worker names it: the job, the lease, and the worker token it was leased with. */
export interface RemoteRun {
  readonly id: JobId;
  readonly lease: LeaseToken;
  readonly tokenId: string;
}

export interface Wish {
  readonly worker: WorkerIdentity;
  readonly types: readonly string[];
  readonly most: number;
  readonly waitMs: number;
  readonly signal: AbortSignal;
  /** Rejects when the worker may take no job any more. */
  readonly confirm: () => Promise<unknown>;
}

export interface Sign {
  /** JSON text, or null when nothing was said of it. */
  readonly progress: string | null;
  readonly checkpoint: string | null;
}

export interface RemoteCounts {
  /** Calls that wait for a job. */
  readonly polls: number;
  /** Leases known to this process. */
  readonly leases: number;
  /** Since the start. */
  readonly leased: number;
  readonly items: number;
  readonly lost: number;
}

export interface Remote {
  /** Whether workers serve this type. */
  serves(type: string): boolean;
  /** Jobs under a lease each; none when the time is over, the server drains, or the caller left. */
  lease(wish: Wish): Promise<readonly ClaimedJob[]>;
  /** Items of a run, as the store takes them. */
  deliver(
    run: RemoteRun,
    first: number | null,
    items: readonly (readonly Item[])[],
  ): Promise<JobOutcome<"deliver">>;
  hold(worker: WorkerIdentity, run: Omit<RemoteRun, "tokenId">, sign: Sign): Promise<HoldOutcome>;
  end(run: RemoteRun, how: RunEnd): Promise<JobOutcome<"end">>;
  /** The job, if this run holds it at this moment. */
  held(run: RemoteRun): Promise<JobRecord | null>;
  /** Whether the worker itself ended this run, which is then held by nobody. */
  wasEnded(run: RemoteRun): Promise<boolean>;
  readonly control: Control;
  /**
   * Calls `listener` when the workers are to finish, or go elsewhere: who streams is answered then. At once if that is so
   * already; not after the returned function was called.
   */
  onTerminated(listener: () => void): () => void;
  workers(): readonly WorkerObject[];
  readonly counts: RemoteCounts;
  /** Leases known here that other nodes hear of. */
  readonly leases: Follower;
  wake(type: string): void;
  committed(changes: readonly Change[]): void;
  start(): void;
  /** Hands out nothing more; whoever waits is answered. Resolves when no lease is known here, or after `drainMs`. */
  drain(drainMs: number): Promise<void>;
  /** The end is near: from here on `control` is `terminate`. */
  terminate(): void;
  /** Who streams is answered: the run goes on with the next call, at another node. */
  handOver(): void;
}

export interface RemoteOptions {
  readonly store: JobStore;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly jobBytes: number;
}

/** Leases belong to a token, not to a name: names are not proven. */
const workerOwner = (tokenId: string): string => `worker:${tokenId}`;

export function createRemote(options: RemoteOptions): Remote {
  const { store, registry, clock, ids, logger, jobBytes } = options;
  const serves = (type: string): boolean => registry.find(type)?.remote === true;
  const directory = createDirectory(clock);
  const dispatch = createDispatch({ store, clock, ids, logger, serves });
  const streaming = new Set<() => void>();
  let terminated = false;
  const counted = { leased: 0, items: 0, lost: 0 };
  let control: Control = "run";

  const countLost = (changes: readonly Change[]): void => {
    for (const { job, events } of changes) {
      const last = events.at(-1);
      const isLoss = last?.kind === "job.retrying" || last?.kind === "job.failed";
      if (!isLoss || !serves(job.type) || !String(last.data).includes('"worker_lost"')) continue;
      counted.lost += 1;
      logger.warn({ job: job.id, type: job.type, attempt: job.attempt }, "a worker lost its lease");
    }
  };

  const answerStreams = (): void => {
    terminated = true;
    for (const listener of streaming) listener();
    streaming.clear();
  };

  return {
    serves,

    async lease({ worker, ...wish }) {
      directory.heard(worker, wish.types);
      directory.polls(worker, 1);
      try {
        const owner = workerOwner(worker.tokenId);
        const jobs = await dispatch.poll({ ...wish, owner, worker: worker.name });
        for (const { job } of jobs) directory.holds(worker, job.id);
        counted.leased += jobs.length;
        return jobs;
      } finally {
        directory.polls(worker, -1);
      }
    },

    async deliver({ id, lease, tokenId }, first, items) {
      const at = instant(clock);
      const owner = workerOwner(tokenId);
      const { leaseMs } = LIMITS;
      const outcome = await store.execute({
        op: "deliver", at, id, lease, owner, first, items, jobBytes, leaseMs,
      }); // prettier-ignore
      if (typeof outcome !== "string" && outcome.kind === "ok") counted.items += items.length;
      return outcome;
    },

    async hold(worker, { id, lease }, sign) {
      const at = instant(clock);
      const owner = workerOwner(worker.tokenId);
      const { leaseMs } = LIMITS;
      const outcome = await store.execute({ op: "hold", at, id, lease, owner, leaseMs, jobBytes, ...sign });
      if (typeof outcome !== "string") directory.holds(worker, id);
      return outcome;
    },

    end: ({ id, lease, tokenId }, how) =>
      store.execute({ op: "end", at: instant(clock), id, lease, owner: workerOwner(tokenId), how }),

    async held({ id, lease, tokenId }) {
      const job = await store.find(id);
      return job?.leaseToken === lease && job.leaseOwner === workerOwner(tokenId) ? job : null;
    },

    async wasEnded({ id, lease, tokenId }) {
      const job = await store.find(id);
      return job?.endedBy?.endsWith(`:${workerOwner(tokenId)}:${lease}`) === true;
    },

    get control() {
      return control;
    },
    onTerminated(listener) {
      if (terminated) listener();
      else streaming.add(listener);
      return () => void streaming.delete(listener);
    },
    workers: () => directory.list(),
    get counts() {
      return { ...counted, polls: dispatch.waiting, leases: directory.leases };
    },
    leases: directory,
    wake: (type) => dispatch.wake(type),
    committed(changes) {
      countLost(changes);
      directory.committed(changes);
      dispatch.committed(changes);
    },
    start: () => dispatch.start(),
    drain(drainMs) {
      control = "quiet";
      dispatch.stop();
      return directory.settled(drainMs);
    },
    terminate() {
      control = "terminate";
      answerStreams();
    },
    handOver: answerStreams,
  };
}
