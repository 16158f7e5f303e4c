/**
 * Who runs what and when, in this process: claims ready jobs while there are free slots, keeps their leases, and lets
 * time have its way (late starts, unheard cancels, lost leases). The store decides; this only asks at the right moment.
 */
import type { Change, JobRecord } from "../jobs/job.ts";
import { traceIdOf } from "../jobs/job-object.ts";
import { ownerOf } from "../jobs/holder.ts";
import type { JobStore } from "../jobs/store.ts";
import type { Follower } from "../jobs/follower.ts";
import { instant, type Clock, type Timer } from "../lib/clock.ts";
import type { Ids, JobId, LeaseToken } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { repeat, type Repeated } from "../lib/repeat.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { Registry } from "./registry.ts";
import { startRun, type Run, type RunOptions } from "./run.ts";
import { RunStopped } from "./run-end.ts";

export interface SchedulerOptions extends Pick<RunOptions, "random" | "eventBytes" | "jobBytes"> {
  readonly store: JobStore;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  /** Name this process: a later one of the same node knows by them that this one is gone. */
  readonly nodeId: string;
  readonly bootId: string;
  readonly concurrency: number;
  readonly maxLostLeases: number;
  /** false: nothing is claimed here, and time has its way elsewhere. */
  readonly runsJobs?: boolean;
}

export interface Scheduler extends Follower {
  /**
   * Returns the runs of earlier processes of this node, then begins to claim. The first claim takes a commit, so whoever listens in
   * the same turn is reachable before anything runs: a job that kills its process cannot keep it from ever answering.
   */
  start(): Promise<void>;
  /** A job of this type may be ready, or a slot is free. */
  wake(): void;
  /** Watches for cancels of what runs here, and for retries. What other nodes do to its runs it is told as a follower. */
  committed(changes: readonly Change[]): void;
  /**
   * Claims nothing more; runs may finish until `drainMs`, then they are released. Time goes on having its way until
   * `others` are done as well, whose runs are not in this process.
   */
  stop(drainMs: number, others?: Promise<void>): Promise<void>;
  /**
   * Other nodes have, or may have, given what runs here to others: its runs are stopped, and what is claimed from now on
   * is held by this boot.
   */
  disown(bootId: string): void;
  /** Handlers that have not settled. */
  readonly running: number;
  /** Types that had a run in this thread since this was asked last. */
  takeRunTypes(): readonly string[];
  /** Those among them that were told to stop and did not, though their jobs have ended: by type. */
  readonly abandoned: ReadonlyMap<string, number>;
}

const SWEEP_MS = 1000;
const SWEEP_MOST = 200;
/** Jobs that one line of the log names. */
const STUCK_NAMED = 20;
/** Clocks that moved against each other by more are worth a write. */
const APART_MOST_MS = 50;
/** Most jobs of one claim: their start is work for this thread. */
const CLAIM_MOST = 64;
/** How long a released run may take to notice, before the process goes on without it. */
const RELEASE_GRACE_MS = 2000;

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { store, registry, clock, ids, logger, runsJobs = true } = options;
  let owner = ownerOf(options.nodeId, options.bootId);
  /** Every handler that has not settled: it holds a slot, whatever became of its job. */
  const slots = new Set<Run>();
  /** Runs of handlers that do not hear: their jobs have ended, their places are still taken. */
  const abandoned = new Set<Run>();
  /** The latest run of each job, the one a cancel is meant for. */
  const runs = new Map<JobId, Run>();
  const perType = new Map<string, number>();
  const startedTypes = new Set<string>();
  /** Cancels of jobs that are perhaps being claimed: announced before the claim is answered. */
  const early = new Set<JobId>();
  /** Claimed jobs that are yet to be given back, and their leases. */
  const owed = new Map<JobId, LeaseToken>();
  let claiming = false;
  let claims: Promise<void> = Promise.resolve();
  let again = false;
  /** More may wait than the last claim could take: then every place that gets free is worth another one. */
  let backlog = true;
  let stopping = false;
  let readyTimer: Timer | null = null;
  const repeated: Repeated[] = [];
  /** Wall clock minus steady one, when the jobs that wait for a time of day were last told. */
  let apartMs = Number.NaN;
  const gone = new AbortController();

  const freeSlots = (): { type: string; most: number }[] => {
    const all = options.concurrency - slots.size;
    if (all <= 0) return [];
    return registry.list().flatMap(({ type, concurrency, remote }) => {
      if (remote === true) return [];
      const most = Math.min(all, (concurrency ?? options.concurrency) - (perType.get(type) ?? 0));
      return most > 0 ? [{ type, most }] : [];
    });
  };

  const started = (run: Run): void => {
    slots.add(run);
    startedTypes.add(run.type);
    runs.set(run.id, run);
    perType.set(run.type, (perType.get(run.type) ?? 0) + 1);
    void run.done.then(() => {
      slots.delete(run);
      if (abandoned.delete(run)) {
        logger.info({ job: run.id, type: run.type }, "an abandoned handler has returned");
      }
      // The job can be back in a later run already.
      if (runs.get(run.id) === run) runs.delete(run.id);
      perType.set(run.type, (perType.get(run.type) ?? 1) - 1);
      // What comes later wakes by itself; a claim of nothing would only be in the way of the next commit.
      if (backlog) wake();
    });
  };

  /** Every line about a run says whose it is, and what its caller knows it by. */
  const loggerOf = ({ id, type, attempt, traceparent, correlationId }: JobRecord): Logger =>
    logger.child({
      job: id,
      type,
      attempt,
      traceId: traceIdOf(traceparent),
      ...(correlationId === null ? {} : { correlationId }),
    });

  /** What was claimed and is not run here: kept, its lease would be renewed for ever, so that it is tried until stored. */
  const giveBack = async (id: JobId, lease: LeaseToken): Promise<void> => {
    owed.set(id, lease);
    try {
      await store.execute({ op: "end", at: instant(clock), id, lease, how: { kind: "released" } });
      if (owed.get(id) === lease) owed.delete(id);
    } catch (error) {
      logger.warn({ error, job: id }, "a job could not be given back");
    }
  };

  const claim = async (): Promise<void> => {
    const types = freeSlots();
    backlog = types.length < registry.list().filter(({ remote }) => remote !== true).length;
    if (types.length === 0) return;
    const most = Math.min(CLAIM_MOST, options.concurrency - slots.size);
    early.clear();
    const claimer = owner;
    const claimed = await store.execute({
      op: "claim",
      at: instant(clock),
      types,
      most,
      secret: ids.hex(16),
      owner: claimer,
      leaseMs: LIMITS.leaseMs,
    });
    for (const one of claimed.jobs) {
      const handler = registry.find(one.job.type);
      // Its type was taken away meanwhile; or others took over, and nobody would renew its lease; or this has stopped.
      if (handler === null || claimer !== owner || gone.signal.aborted) {
        void giveBack(one.job.id, one.job.leaseToken);
        continue;
      }
      const run = startRun(handler, one, { ...options, logger: loggerOf(one.job), gone: gone.signal });
      started(run);
      if (early.has(run.id)) run.stop(new RunStopped("canceled"));
    }
    if (claimed.jobs.length === most) again = true;
    const taken = Map.groupBy(claimed.jobs, ({ job }) => job.type);
    backlog ||= again || types.some(({ type, most: ofType }) => taken.get(type)?.length === ofType);
    readyTimer?.cancel();
    const { nextReadyMs } = claimed;
    readyTimer = nextReadyMs === null ? null : clock.after(nextReadyMs - clock.steadyMs(), wake);
  };

  const claimAll = async (): Promise<void> => {
    claiming = true;
    try {
      do {
        again = false;
        await claim();
      } while (again && !stopping);
    } catch (error) {
      logger.warn({ error }, "jobs could not be claimed");
    } finally {
      claiming = false;
    }
  };

  const wake = (): void => {
    again = true;
    if (runsJobs && !claiming && !stopping) claims = claimAll();
  };

  /** A wall clock that was set brings the times of day nearer, or takes them further away. */
  const realign = async (): Promise<void> => {
    const nowApartMs = clock.wallMs() - clock.steadyMs();
    if (Math.abs(nowApartMs - apartMs) <= APART_MOST_MS) return;
    await store.execute({ op: "realign", at: instant(clock) });
    apartMs = nowApartMs;
  };

  const sweep = async (): Promise<void> => {
    abandonDeaf();
    for (const [id, lease] of owed) void giveBack(id, lease);
    try {
      await realign();
      const { maxLostLeases } = options;
      const most = SWEEP_MOST;
      for (let more = true; more;) {
        const random = options.random();
        const at = instant(clock);
        const step = await store.execute({ op: "sweep", at, owner, maxLostLeases, most, random });
        tellStuck(step.stuck);
        more = step.busy;
      }
      wake();
    } catch (error) {
      logger.warn({ error }, "the sweep failed");
    }
  };

  const tellStuck = (stuck: readonly JobId[]): void => {
    if (stuck.length > 0)
      logger.error(
        { jobs: stuck.slice(0, STUCK_NAMED), count: stuck.length },
        "jobs could not be rescued: their rows make no sense",
      );
  };

  /** What a handler holds while it ignores that it was stopped cannot be taken back, so that it is said. */
  const abandonDeaf = (): void => {
    const nowMs = clock.steadyMs();
    for (const run of slots) {
      if (abandoned.has(run) || run.stoppedMs === null) continue;
      if (nowMs - run.stoppedMs < LIMITS.cancelGraceMs) continue;
      abandoned.add(run);
      logger.warn(
        { job: run.id, type: run.type },
        "a handler ignores that it was stopped: it keeps its place",
      );
      void run.abandon();
    }
  };

  const renew = async (): Promise<void> => {
    try {
      if (slots.size > 0)
        await store.execute({ op: "renew", at: instant(clock), owner, leaseMs: LIMITS.leaseMs });
    } catch (error) {
      logger.warn({ error }, "leases could not be renewed");
    }
  };

  /** A job is to be canceled: one that runs here, or is perhaps being claimed. */
  const cancel = (id: JobId): void => {
    const run = runs.get(id);
    if (run !== undefined) run.stop(new RunStopped("canceled"));
    else if (claiming) early.add(id);
  };

  return {
    async start() {
      const { maxLostLeases } = options;
      let recovered = 0;
      for (let busy = true; busy;) {
        const step = await store.execute({
          op: "recover",
          at: instant(clock),
          owner,
          node: options.nodeId,
          boot: null,
          reason: "restart",
          maxLostLeases,
          most: SWEEP_MOST,
        });
        recovered += step.recovered;
        tellStuck(step.stuck);
        ({ busy } = step);
      }
      if (recovered > 0) logger.info({ jobs: recovered }, "runs of the process before are returned");
      if (!runsJobs) return;
      await realign();
      // A worker may go on with its lease when its server is back.
      await store.execute({ op: "grant", at: instant(clock), leaseMs: LIMITS.leaseMs });
      repeated.push(repeat(clock, SWEEP_MS, sweep), repeat(clock, LIMITS.leaseRenewMs, renew));
      wake();
    },

    wake,

    committed(changes) {
      for (const { job } of changes) {
        if (job.status === "canceling") cancel(job.id);
        else if (job.status === "canceled") runs.get(job.id)?.stop(new RunStopped("lease_lost"));
        else if (job.status === "retrying") wake();
      }
    },

    minds({ id, status, attempt }) {
      const run = runs.get(id);
      if (run === undefined) return claiming && status === "canceling";
      return status !== "running" || attempt !== run.attempt;
    },
    followed: () => runs.keys(),
    moved(jobs) {
      for (const { id, status, attempt } of jobs) {
        const run = runs.get(id);
        if (status === "canceling") cancel(id);
        // How a job stood before this run says nothing of it.
        else if (
          run !== undefined &&
          attempt >= run.attempt &&
          (attempt > run.attempt || status !== "running")
        )
          run.stop(new RunStopped("lease_lost"));
      }
    },

    async stop(drainMs, others) {
      stopping = true;
      const untilMs = clock.steadyMs() + drainMs;
      const within = async (delayMs: number, awaited: Promise<unknown>): Promise<void> => {
        const late = Promise.withResolvers<void>();
        const timer = clock.after(delayMs, late.resolve);
        await Promise.race([awaited, late.promise]);
        timer.cancel();
      };
      // One that is under way brings runs that have to be waited for as well; what became of it may be unknown for long.
      await within(Math.max(drainMs, RELEASE_GRACE_MS), claims);
      readyTimer?.cancel();
      // Nobody waits for a handler that was given up before.
      const living = (): Run[] => [...slots].filter((run) => !abandoned.has(run));
      const allDone = (): Promise<unknown> => Promise.all(living().map((run) => run.done));
      await within(Math.max(untilMs - clock.steadyMs(), 0), allDone());
      for (const run of slots) run.stop(new RunStopped("released", { released: true }));
      await within(RELEASE_GRACE_MS, allDone());
      gone.abort();
      // Handed back all the same: the next process must not count it as lost.
      await Promise.all(living().map((run) => run.abandon()));
      await others;
      // Last: what still finished needed its lease, and whoever canceled it the sweep.
      for (const one of repeated.splice(0)) void one.stop();
    },

    disown(bootId) {
      owner = ownerOf(options.nodeId, bootId);
      for (const run of slots) run.stop(new RunStopped("lease_lost"));
    },

    get running() {
      return slots.size;
    },

    takeRunTypes() {
      const types = new Set([...startedTypes, ...[...slots].map(({ type }) => type)]);
      startedTypes.clear();
      return [...types].filter((type) => registry.find(type)?.isolate !== true);
    },

    get abandoned() {
      const counts = new Map<string, number>();
      for (const { type } of abandoned) counts.set(type, (counts.get(type) ?? 0) + 1);
      return counts;
    },
  };
}
