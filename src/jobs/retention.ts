/** Retention: old logs, jobs and keys are deleted in small steps, so that nobody waits behind a long transaction. */
import { instant, type Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { repeat, type Repeated } from "../lib/repeat.ts";
import type { JobStore } from "./store.ts";

export interface RetentionOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly eventsRetentionMs: number;
  readonly jobsRetentionMs: number;
  readonly idempotencyRetentionMs: number;
}

export interface Retention {
  start(): void;
  stop(): Promise<void>;
}

/** Rows of one step: a few milliseconds of the writer's time. */
const STEP_ROWS = 500;
const MOST_BETWEEN_MS = 60_000;
const LEAST_BETWEEN_MS = 100;

export function createRetention(options: RetentionOptions): Retention {
  const { store, clock, logger } = options;
  let sweeping: Repeated | null = null;
  let stopping = false;

  const sweep = async (): Promise<void> => {
    try {
      for (let deleted = STEP_ROWS; deleted >= STEP_ROWS && !stopping;) {
        const at = instant(clock);
        deleted = await store.execute({
          op: "retain",
          at,
          eventsBefore: at.wallMs - options.eventsRetentionMs,
          jobsBefore: at.wallMs - options.jobsRetentionMs,
          keysBefore: at.wallMs - options.idempotencyRetentionMs,
          most: STEP_ROWS,
        });
      }
    } catch (error) {
      logger.warn({ error }, "retention could not delete");
    }
  };

  return {
    start() {
      const shortest = Math.min(
        options.eventsRetentionMs,
        options.jobsRetentionMs,
        options.idempotencyRetentionMs,
      );
      const everyMs = Math.max(LEAST_BETWEEN_MS, Math.min(MOST_BETWEEN_MS, shortest / 4));
      sweeping = repeat(clock, everyMs, sweep);
    },
    async stop() {
      stopping = true;
      await sweeping?.stop();
    },
  };
}
