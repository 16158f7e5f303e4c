/** What is said of a job's webhook (an extension of the contract; docs/protocol.md, "Webhooks"). */

/** `unneeded`: the result was acknowledged, or the job deleted, before anything was sent. */
export type WebhookState = "pending" | "delivered" | "failed" | "unneeded";

/** One attempt: the receiver's answer, or why there was none. */
export interface WebhookDelivery {
  readonly attempt: number;
  readonly at: string;
  readonly tookMs: number;
  readonly status?: number;
  readonly error?: string;
}

/** `GET /v1/jobs/{id}/webhook`. Times are RFC 3339 UTC with milliseconds. */
export interface WebhookObject {
  readonly url: string;
  readonly state: WebhookState;
  /** Attempts so far. */
  readonly attempts: number;
  /** Oldest first. */
  readonly deliveries: readonly WebhookDelivery[];
}
