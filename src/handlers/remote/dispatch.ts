/**
 * Who waits for work from outside, and who gets it: long polls of remote workers, served in the order they came, one
 * claim at a time. A submit wakes one of them at most, so that a thousand idle workers cost no more than one.
 */
import type { Change } from "../../jobs/job.ts";
import type { ClaimedJob, JobStore } from "../../jobs/store.ts";
import { instant, type Clock, type Timer } from "../../lib/clock.ts";
import type { Ids } from "../../lib/ids.ts";
import type { Logger } from "../../lib/logger.ts";
import { LIMITS } from "../../protocol/limits.ts";

export interface Poll {
  /** Of the lease: who may write under it. */
  readonly owner: string;
  /** Name of the worker. */
  readonly worker: string;
  readonly types: readonly string[];
  /** Most jobs it takes. */
  readonly most: number;
  readonly waitMs: number;
  /** Aborted when its caller left. */
  readonly signal: AbortSignal;
  /** Rejects when the caller may take no job any more. Asked right before each claim: it may have waited for long. */
  readonly confirm: () => Promise<unknown>;
}

export interface Dispatch {
  /** Resolves as soon as there is a job, or with none when the time is over, the server drains, or the caller left. */
  poll(poll: Poll): Promise<readonly ClaimedJob[]>;
  /** A job of this type may be ready. */
  wake(type: string): void;
  committed(changes: readonly Change[]): void;
  start(): void;
  /** Everybody who waits is answered; who comes later is not kept waiting. */
  stop(): void;
  /** Calls that wait. */
  readonly waiting: number;
}

export interface DispatchOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  /** Whether remote workers serve this type. */
  readonly serves: (type: string) => boolean;
}

interface Waiter extends Poll {
  readonly untilMs: number;
  readonly resolve: (jobs: readonly ClaimedJob[]) => void;
  readonly reject: (reason: unknown) => void;
}

/** Jobs may become ready without a word to this process; then they are found after this. */
const LOOK_MS = 2000;

export function createDispatch(options: DispatchOptions): Dispatch {
  const { store, clock, ids, logger } = options;
  /** In the order they came. */
  const waiters = new Set<Waiter>();
  /** Types of which a job may be ready and nobody has looked yet. */
  const hot = new Set<string>();
  let serving = false;
  let stopped = false;
  let readyTimer: Timer | null = null;
  let lookTimer: Timer | null = null;

  const wants = (waiter: Waiter): boolean => waiter.types.some((type) => hot.has(type));

  const answer = (waiter: Waiter, jobs: readonly ClaimedJob[]): void => {
    waiters.delete(waiter);
    waiter.resolve(jobs);
  };

  const claim = async (waiter: Waiter, types: readonly string[], most: number): Promise<ClaimedJob[]> => {
    const { jobs, nextReadyMs } = await store.execute({
      op: "claim",
      at: instant(clock),
      types: types.map((type) => ({ type, most })),
      most,
      secret: ids.hex(16),
      owner: waiter.owner,
      worker: waiter.worker,
      leaseMs: LIMITS.leaseUnheardMs,
    });
    readyTimer?.cancel();
    readyTimer = nextReadyMs === null ? null : clock.after(nextReadyMs - clock.steadyMs(), look);
    return [...jobs];
  };

  /** What was claimed for somebody who is gone goes back, as if it had never been claimed. */
  const giveBack = (jobs: readonly ClaimedJob[]): void => {
    for (const { job } of jobs) {
      const how = { kind: "released" } as const;
      store
        .execute({ op: "end", at: instant(clock), id: job.id, lease: job.leaseToken, how })
        .catch((error: unknown) => logger.warn({ error }, "a lease could not be given back"));
    }
  };

  const serve = async (waiter: Waiter): Promise<void> => {
    await waiter.confirm();
    if (!waiters.has(waiter)) return;
    const types = waiter.types.filter((type) => hot.has(type));
    const rivals = [...waiters].filter((other) => other.types.some((type) => types.includes(type))).length;
    // A burst is shared by those who wait for it.
    const most = Math.ceil(waiter.most / rivals);
    // Whatever comes while the claim is under way marks them again.
    for (const type of types) hot.delete(type);
    const jobs = await claim(waiter, types, most);
    if (jobs.length === most) for (const type of types) hot.add(type);
    if (jobs.length === 0) return;
    if (waiters.has(waiter)) answer(waiter, jobs);
    else giveBack(jobs);
  };

  const serveAll = async (): Promise<void> => {
    serving = true;
    for (;;) {
      const next = [...waiters].find(wants);
      if (next === undefined) break;
      try {
        await serve(next);
      } catch (error) {
        waiters.delete(next);
        next.reject(error);
      }
    }
    serving = false;
    hot.clear();
    // Everybody was looked at since they came: who has no time left goes without.
    const nowMs = clock.steadyMs();
    for (const waiter of waiters) if (stopped || waiter.untilMs <= nowMs) answer(waiter, []);
  };

  const mark = (types: Iterable<string>): void => {
    if (waiters.size === 0) return;
    for (const type of types) hot.add(type);
    if (!serving) void serveAll();
  };

  const look = (): void => mark([...waiters].flatMap(({ types }) => types));

  return {
    poll(poll) {
      if (stopped || poll.signal.aborted) return Promise.resolve([]);
      const { promise, resolve, reject } = Promise.withResolvers<readonly ClaimedJob[]>();
      const waiter: Waiter = { ...poll, untilMs: clock.steadyMs() + poll.waitMs, resolve, reject };
      const timer = clock.after(poll.waitMs, () => {
        // A claim that is under way may bring something yet.
        if (!serving) answer(waiter, []);
      });
      const leave = (): void => answer(waiter, []);
      poll.signal.addEventListener("abort", leave, { once: true });
      waiters.add(waiter);
      mark(poll.types);
      return promise.finally(() => {
        timer.cancel();
        poll.signal.removeEventListener("abort", leave);
      });
    },

    wake: (type) => {
      if (options.serves(type)) mark([type]);
    },

    committed(changes) {
      if (waiters.size === 0) return;
      for (const { job } of changes) {
        const waits = job.status === "retrying" || (job.status === "queued" && !serving);
        if (waits && options.serves(job.type)) mark([job.type]);
      }
    },

    start() {
      lookTimer = clock.every(LOOK_MS, look);
    },

    stop() {
      stopped = true;
      lookTimer?.cancel();
      readyTimer?.cancel();
      if (!serving) for (const waiter of waiters) answer(waiter, []);
    },

    get waiting() {
      return waiters.size;
    },
  };
}
