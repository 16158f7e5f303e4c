/**
 * The life of a webhook as pure functions: armed when its job ends, taken for an attempt, settled by what came back.
 * A store runs them inside its transactions; who sends is none of its business.
 */
import type { Instant } from "../lib/clock.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { WebhookState } from "../protocol/webhooks.ts";

export interface WebhookRecord {
  state: WebhookState;
  /** Attempts so far; the number of the current one. */
  attempts: number;
  /** The next attempt (steady); while one is under way, when it counts as lost. null: nothing more follows. */
  dueBy: number | null;
}

/** One attempt as the log of deliveries keeps it. */
export interface WebhookAttempt {
  readonly attempt: number;
  /** When it began (wall). */
  readonly at: number;
  readonly tookMs: number;
  /** The receiver's answer; null when there was none. */
  readonly status: number | null;
  /** Why there was none, as a short word; null with an answer. */
  readonly error: string | null;
}

/** How an attempt ended: taken, worth another one (after `retryAfterMs` at the earliest), or not worth any. */
export type WebhookOutcome =
  | { readonly kind: "delivered" }
  | { readonly kind: "again"; readonly retryAfterMs: number }
  | { readonly kind: "given_up" };

/** The job ended. */
export function armWebhook(afterMs: number, at: Instant): WebhookRecord {
  return { state: "pending", attempts: 0, dueBy: at.steadyMs + afterMs };
}

/** An attempt begins; if nothing is heard of it within `leaseMs`, the next one may. */
export function takeWebhook(webhook: WebhookRecord, at: Instant, leaseMs: number): void {
  webhook.attempts += 1;
  webhook.dueBy = at.steadyMs + leaseMs;
}

/** The attempt is over. false: it is not the current one any more, and nothing was changed. */
export function settleWebhook(
  webhook: WebhookRecord,
  at: Instant,
  attempt: number,
  outcome: WebhookOutcome,
): boolean {
  if (webhook.state !== "pending" || webhook.attempts !== attempt) return false;
  const waitMs = LIMITS.webhookScheduleMs[attempt - 1];
  if (outcome.kind === "again" && waitMs !== undefined) {
    webhook.dueBy = at.steadyMs + Math.max(waitMs, outcome.retryAfterMs);
    return true;
  }
  webhook.state = outcome.kind === "delivered" ? "delivered" : "failed";
  webhook.dueBy = null;
  return true;
}

/** Its result was received by other means, or is gone: what was not sent yet need not be. true: something changed. */
export function dropWebhook(webhook: WebhookRecord): boolean {
  if (webhook.state !== "pending" || webhook.attempts > 0) return false;
  webhook.state = "unneeded";
  webhook.dueBy = null;
  return true;
}
