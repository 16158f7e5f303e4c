/**
 * Tells receivers that jobs have ended: takes what is due, sends, and writes down how it went. Nothing of it is kept in
 * memory alone: an attempt that dies with its process is due again when its time is over.
 */
import { toJobObject } from "../jobs/job-object.ts";
import type { JobStore } from "../jobs/store.ts";
import type { WebhookAttempt } from "../jobs/webhook.ts";
import { instant, type Clock } from "../lib/clock.ts";
import type { JobId } from "../lib/ids.ts";
import type { Logger } from "../lib/logger.ts";
import { repeat, type Repeated } from "../lib/repeat.ts";
import { LIMITS } from "../protocol/limits.ts";
import { Late, type Sender } from "./send.ts";

export interface WebhooksOptions {
  readonly store: JobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly send: Sender;
}

export interface Webhooks {
  start(): void;
  /** Takes nothing more; resolves when what is under way was written down or given back to time. */
  stop(): Promise<void>;
}

/** How often it is looked whether one is due. */
const LOOK_MS = 250;

export function createWebhooks({ store, clock, logger, send }: WebhooksOptions): Webhooks {
  const stopped = new AbortController();
  const underWay = new Set<Promise<void>>();
  let looking: Repeated | null = null;

  const attemptOne = async (id: JobId, attempt: number): Promise<void> => {
    const found = await store.findWithResult(id);
    const url = found?.job.webhookUrl ?? null;
    if (found === null || url === null) return;
    const { job, result } = found;
    const at = instant(clock);
    const startedMs = clock.elapsedMs();
    const ended = new Date(job.finishedAt ?? at.wallMs).toISOString();
    const body = JSON.stringify({
      type: `job.${job.status}`,
      timestamp: ended,
      data: toJobObject(job, result, null),
    });
    const message = { id: job.id, timestamp: Math.floor(at.wallMs / 1000), body };
    const late = new AbortController();
    const limit = clock.after(LIMITS.webhookAnswerMs, () => late.abort(new Late()));
    const signal = AbortSignal.any([stopped.signal, late.signal]);
    const { status, error, outcome } = await send(url, message, signal).finally(() => limit.cancel());
    // Cut off by our own end: the attempt is neither the receiver's fault nor known to have failed.
    if (stopped.signal.aborted && status === null) return;
    const tookMs = Math.round(clock.elapsedMs() - startedMs);
    const entry: WebhookAttempt = { attempt, at: at.wallMs, tookMs, status, error };
    const state = await store.execute({
      op: "settleWebhook",
      at: instant(clock),
      id,
      attempt: entry,
      outcome,
    });
    if (state === "failed") logger.warn({ job: id, ...entry }, "a webhook was given up");
  };

  const begin = (id: JobId, attempt: number): void => {
    const work = attemptOne(id, attempt)
      .catch((error: unknown) => logger.warn({ error, job: id }, "a webhook could not be attempted"))
      .finally(() => underWay.delete(work));
    underWay.add(work);
  };

  const takeDue = async (): Promise<void> => {
    const most = LIMITS.webhookAttempts - underWay.size;
    const dueBy = most > 0 ? await store.nextWebhook() : null;
    if (dueBy === null || dueBy > clock.steadyMs()) return;
    const leaseMs = LIMITS.webhookLeaseMs;
    for (const { id, attempt } of await store.execute({
      op: "claimWebhooks",
      at: instant(clock),
      most,
      leaseMs,
    }))
      begin(id, attempt);
  };

  const look = (): Promise<void> =>
    takeDue().catch((error: unknown) => logger.warn({ error }, "webhooks could not be looked for"));

  return {
    start() {
      looking = repeat(clock, LOOK_MS, look);
    },
    async stop() {
      await looking?.stop();
      stopped.abort(new Error("the server stops"));
      await Promise.all(underWay);
    },
  };
}
