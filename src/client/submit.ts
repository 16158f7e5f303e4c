/** Hands a job in exactly once: one idempotency key for as many tries as the network needs. */
import type { JobObject, SubmitBody } from "../protocol/jobs.ts";
import { type Api, problem } from "./api.ts";
import { askedDelayMs, backoffMs } from "./backoff.ts";
import type { ClientClock } from "./clock.ts";
import { ClientError } from "./errors.ts";

export interface SubmitLinks {
  readonly api: Api;
  readonly clock: ClientClock;
  readonly random: () => number;
}

export interface Submission {
  readonly body: SubmitBody;
  readonly idempotencyKey: string;
  readonly signal: AbortSignal;
  /** A try failed; the next one follows after `delayMs`. */
  onRetry(error: ClientError, delayMs: number): void;
}

export interface Accepted {
  readonly job: JobObject;
  /** An earlier try, or another caller with this key, had it accepted already. */
  readonly replayed: boolean;
}

/** Tries, the first one included: with the usual back-off more than two minutes. */
const MOST_TRIES = 12;
const retryableStatuses: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** The accepted job; rejects with the server's refusal, or with the last failure when all tries are used up. */
export async function submitJob(links: SubmitLinks, submission: Submission): Promise<Accepted> {
  const { body, idempotencyKey, signal } = submission;
  for (let tries = 1; ; tries += 1) {
    try {
      const response = await links.api.send({
        method: "POST",
        path: "/v1/jobs",
        body,
        headers: { "Idempotency-Key": `"${idempotencyKey}"` },
        signal,
        whole: true,
      });
      if (!response.ok) throw await problem(response);
      const job = (await response.json()) as JobObject;
      return { job, replayed: response.headers.get("Idempotent-Replayed") === "true" };
    } catch (cause) {
      // An answer that breaks off while it is read may have been a 202: the key makes another try safe.
      const error =
        cause instanceof ClientError ? cause : new ClientError("network", "The answer broke off.", { cause });
      if (!mayRetry(error) || tries >= MOST_TRIES || signal.aborted) throw error;
      const delayMs =
        error.retryAfterMs === undefined
          ? backoffMs(tries - 1, links.random)
          : askedDelayMs(error.retryAfterMs, links.random);
      submission.onRetry(error, delayMs);
      await pause(links.clock, delayMs, signal);
    }
  }
}

function mayRetry(error: ClientError): boolean {
  return error.status === undefined ? error.code === "network" : retryableStatuses.has(error.status);
}

/** A key of 128 random bits, as hex. `crypto.randomUUID` is missing on pages that came over plain HTTP. */
export function newIdempotencyKey(random: () => number): string {
  let key = "";
  for (let part = 0; part < 4; part += 1) {
    key += Math.floor(random() * 2 ** 32)
      .toString(16)
      .padStart(8, "0");
  }
  return key;
}

function pause(clock: ClientClock, delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.after(delayMs, () => {
      signal.removeEventListener("abort", stop);
      resolve();
    });
    function stop(): void {
      timer.cancel();
      reject(new ClientError("aborted", "Given up."));
    }
    signal.addEventListener("abort", stop, { once: true });
  });
}
