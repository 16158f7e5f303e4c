/** Runs and schedulers on the memory store and a clock that the test moves. */
import { z } from "zod";
import type { AnyHandler, RunningJob } from "../../src/handlers/handler.ts";
import { createRegistry } from "../../src/handlers/registry.ts";
import { startRun, type Run } from "../../src/handlers/run.ts";
import { createScheduler, type Scheduler, type SchedulerOptions } from "../../src/handlers/scheduler.ts";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import type { ClaimedJob, JobStore } from "../../src/jobs/store.ts";
import { createIds } from "../../src/lib/ids.ts";
import type { Logger } from "../../src/lib/logger.ts";
import type { Json } from "../../src/protocol/events.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive, type Drive, type SubmitOptions } from "../conformance/drive.ts";
import { createVirtualClock, type VirtualClock } from "./virtual-clock.ts";

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export function recordingLogger(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: string, bound: Readonly<Record<string, unknown>>): Logger["info"] =>
    (fields, message) =>
      void lines.push({ level, message, fields: { ...bound, ...fields } });
  const bind = (bound: Readonly<Record<string, unknown>>): Logger => ({
    debug: at("debug", bound),
    info: at("info", bound),
    warn: at("warn", bound),
    error: at("error", bound),
    child: (fields) => bind({ ...bound, ...fields }),
    flush: () => Promise.resolve(),
  });
  return { logger: bind({}), lines };
}

export type Work = (job: RunningJob, input: unknown) => Promise<Json | void>;

/** A handler that takes any input and logs every text as it comes. */
export function handlerOf(run: Work, options: Partial<AnyHandler> = {}): AnyHandler {
  return { type: "work", input: z.unknown(), output: ["text"], rollupMs: 0, run, ...options };
}

export interface Place {
  readonly store: JobStore;
  readonly clock: VirtualClock;
  readonly on: Drive;
  readonly logger: Logger;
  readonly lines: LogLine[];
}

/** `wrap` stands between the runs and the store. */
export function createPlace(wrap: (store: JobStore) => JobStore = (store) => store): Place {
  const clock = createVirtualClock();
  const store = wrap(createMemoryJobStore());
  return { store, clock, on: drive(store, clock), ...recordingLogger() };
}

/** Submits a job, claims it and starts its run. */
export async function startOne(
  place: Place,
  handler: AnyHandler,
  options: SubmitOptions & { eventBytes?: number; jobBytes?: number } = {},
): Promise<{ run: Run; claimed: ClaimedJob }> {
  const { eventBytes = LIMITS.eventBytes, jobBytes = LIMITS.jobBytes, ...submit } = options;
  await place.on.submit({ type: handler.type, ...submit });
  const claimed = await claimOne(place, handler);
  return { run: startClaimed(place, handler, claimed, { eventBytes, jobBytes }), claimed };
}

/** Starts the next run of a job that is ready again. */
export async function startAgain(place: Place, handler: AnyHandler): Promise<Run> {
  const { eventBytes, jobBytes } = LIMITS;
  return startClaimed(place, handler, await claimOne(place, handler), { eventBytes, jobBytes });
}

async function claimOne({ on }: Place, { type }: AnyHandler): Promise<ClaimedJob> {
  const [claimed] = (await on.tryClaim({ types: [{ type, most: 1 }] })).jobs;
  if (claimed === undefined) throw new Error("nothing was claimed");
  return claimed;
}

function startClaimed(
  { store, clock, logger }: Place,
  handler: AnyHandler,
  claimed: ClaimedJob,
  bounds: { readonly eventBytes: number; readonly jobBytes: number },
): Run {
  return startRun(handler, claimed, { store, clock, logger, random: () => 0.5, ...bounds });
}

/** A scheduler that hears the store, not started yet. */
export function createWorks(
  place: Place,
  handlers: readonly AnyHandler[],
  options: Partial<SchedulerOptions> = {},
): Scheduler {
  const { store, clock, logger } = place;
  const scheduler = createScheduler({
    store,
    clock,
    logger,
    registry: createRegistry(handlers),
    ids: createIds(clock),
    nodeId: "node",
    bootId: "this",
    random: () => 0.5,
    concurrency: 10,
    maxLostLeases: LIMITS.maxLostLeases,
    eventBytes: LIMITS.eventBytes,
    jobBytes: LIMITS.jobBytes,
    ...options,
  });
  store.onCommitted((changes) => scheduler.committed(changes));
  return scheduler;
}

/** Handlers that wait until the test lets each of them go on, in the order in which they began. */
export function createGates(): {
  readonly begun: RunningJob[];
  /** Ends the n-th run that began. */
  readonly open: (index: number, result?: Json) => void;
  readonly work: Work;
  /** The same, for a handler that settles when it is told to stop. */
  readonly obedient: Work;
} {
  const begun: RunningJob[] = [];
  const gates: ((result: Json) => void)[] = [];
  const work: Work = (job) =>
    new Promise<Json>((resolve) => {
      begun.push(job);
      gates.push(resolve);
    });
  return {
    begun,
    open: (index, result = null) => gates[index]?.(result),
    work,
    obedient: (job, input) =>
      Promise.race([
        work(job, input),
        new Promise<never>((_resolve, reject) => {
          job.signal.addEventListener("abort", () => reject(job.signal.reason as Error), { once: true });
        }),
      ]),
  };
}
