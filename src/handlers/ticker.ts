/**
 * Submits the jobs of schedules when their ticks come. Which tick is over stands in the store, in the transaction of its
 * job: whoever asks, however often, after however many restarts, a tick has one job.
 */
import { definitionOf, type Schedule } from "../jobs/schedule.ts";
import type { JobSpec } from "../jobs/job.ts";
import type { JobStore } from "../jobs/store.ts";
import { instant, type Clock, type Timer } from "../lib/clock.ts";
import type { Ids, UserId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { collectMistakes } from "../lib/mistakes.ts";
import { freshTraceparent } from "../lib/traceparent.ts";
import type { SubmitOptions } from "../protocol/jobs.ts";
import type { AnyHandler } from "./handler.ts";
import { limitOf, resolveOptions } from "./job-options.ts";
import type { Registry } from "./registry.ts";
import { findPrevious } from "./run.ts";
import { handlerOfSchedule } from "./schedule-check.ts";

export interface TickerOptions {
  readonly schedules: readonly Schedule[];
  readonly store: JobStore;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
  /** 0 = no limit. */
  readonly userJobs: number;
  readonly queueJobs: number;
  /** A job of this type is about to be stored: whoever runs such jobs may want to claim in the same commit. */
  readonly onSubmit: (type: string) => void;
}

export interface Ticker {
  /** Rejects with Mistakes when schedules name types that are not there, or inputs that their types refuse. */
  start(): Promise<void>;
  /** Submits nothing more. */
  stop(): Promise<void>;
}

/** The wall clock may be set at any time: it is looked at this often, and a refused tick is tried again. */
const LOOK_MS = 1000;

/** One schedule, and how far it has come. */
interface Line {
  readonly schedule: Schedule;
  /** First tick that is not over (wall time); null: none will come. */
  nextMs: number | null;
  /** The tick whose refusal was logged. */
  refusedMs: number | null;
}

function optionsOf({ name, metadata, ...rest }: Schedule, tickMs: number): SubmitOptions {
  const { priority, maxAttempts, timeoutMs, startWithinMs } = rest;
  return {
    metadata: { ...metadata, schedule: name, tick: new Date(tickMs).toISOString() },
    priority: priority ?? undefined,
    maxAttempts: maxAttempts ?? undefined,
    timeoutMs: timeoutMs ?? undefined,
    startWithinMs: startWithinMs ?? undefined,
  };
}

export function createTicker(options: TickerOptions): Ticker {
  const { schedules, store, registry, clock, ids, logger, onSubmit } = options;
  const lines: Line[] = [];
  let timer: Timer | null = null;
  let looking: Promise<void> = Promise.resolve();
  let stopping = false;

  const handlerOf = (schedule: Schedule): Promise<AnyHandler> =>
    handlerOfSchedule(schedule, registry, (id) => findPrevious(store, schedule.userId as UserId, id));

  const submit = async (schedule: Schedule, tickMs: number): Promise<string> => {
    const handler = await handlerOf(schedule);
    const spec: JobSpec = {
      id: ids.job(),
      userId: schedule.userId as UserId,
      sessionId: null,
      type: schedule.type,
      traceparent: freshTraceparent(ids),
      tracestate: null,
      correlationId: null,
      retryOf: null,
      ...resolveOptions(optionsOf(schedule, tickMs), handler),
    };
    const submitted = store.execute({
      op: "tick",
      at: instant(clock),
      schedule: { name: schedule.name, tick: tickMs },
      spec,
      input: JSON.stringify(schedule.input),
      idempotency: null,
      userJobs: limitOf(options.userJobs),
      queueJobs: limitOf(options.queueJobs),
    });
    onSubmit(schedule.type);
    const outcome = await submitted;
    if (outcome.kind === "accepted")
      logger.info(
        { schedule: schedule.name, tick: new Date(tickMs).toISOString(), job: spec.id },
        "a schedule struck",
      );
    return outcome.kind;
  };

  /** The latest tick of a line that has come, as a job; those before it that were missed are over with it. */
  const strike = async (line: Line): Promise<void> => {
    const { schedule } = line;
    const { ticks, name } = schedule;
    const wallMs = clock.wallMs();
    if (line.nextMs === null || line.nextMs > wallMs) return;
    const tickMs = Math.max(ticks.latest(wallMs) ?? line.nextMs, line.nextMs);
    let reason: unknown;
    try {
      const kind = await submit(schedule, tickMs);
      if (kind === "accepted" || kind === "over") {
        line.nextMs = ticks.next(tickMs);
        return;
      }
      reason = kind;
    } catch (error) {
      reason = error;
    }
    if (line.refusedMs !== tickMs) logger.warn({ schedule: name, error: reason }, "a tick waits for its job");
    line.refusedMs = tickMs;
  };

  const look = async (): Promise<void> => {
    for (const line of lines) await strike(line);
    if (stopping) return;
    const wallMs = clock.wallMs();
    const waits = lines.flatMap(({ nextMs }) =>
      nextMs === null || nextMs <= wallMs ? [] : [nextMs - wallMs],
    );
    timer = clock.after(Math.min(LOOK_MS, ...waits), () => {
      looking = look();
    });
  };

  return {
    async start() {
      lines.length = 0;
      await collectMistakes(schedules.map((schedule) => async () => void (await handlerOf(schedule))));
      for (const schedule of schedules) {
        const at = instant(clock);
        const definition = definitionOf(schedule);
        const tick = await store.execute({ op: "schedule", at, name: schedule.name, definition });
        const overMs = schedule.catchUp === "one" ? tick : Math.max(tick, at.wallMs);
        lines.push({ schedule, nextMs: schedule.ticks.next(overMs), refusedMs: null });
      }
      if (lines.length > 0) looking = look();
    },
    async stop() {
      stopping = true;
      timer?.cancel();
      await looking;
    },
  };
}
