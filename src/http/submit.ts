/** Accepting a job: everything that can be wrong with a submit is found here, before anything is stored. */
import { checkInput } from "../handlers/check-input.ts";
import { findPrevious } from "../handlers/run.ts";
import { limitOf, resolveOptions } from "../handlers/job-options.ts";
import type { Registry } from "../handlers/registry.ts";
import type { JobRecord, JobSpec } from "../jobs/job.ts";
import type { IdempotencyKey, JobStore } from "../jobs/store.ts";
import { instant, type Clock } from "../lib/clock.ts";
import type { Ids, JobId } from "../lib/ids.ts";
import { invalidField, Refusal } from "../protocol/error.ts";
import { submitSchema, type SubmitOptions } from "../protocol/jobs.ts";
import { LIMITS } from "../protocol/limits.ts";
import { quotaHeaders } from "../protocol/quota.ts";
import type { Principal } from "../sessions/gate.ts";
import { isAllowed } from "../sessions/scope.ts";
import { parseBody } from "./body.ts";
import { fingerprint } from "./idempotency.ts";
import type { Trace } from "./trace.ts";

export interface SubmitOptionsOfServer {
  readonly store: JobStore;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly ids: Ids;
  /** 0 = no limit. */
  readonly userJobs: number;
  readonly queueJobs: number;
  /** What keeps a webhook from going to this URL, as the end of a sentence; null when nothing does. */
  readonly webhookProblem: (url: string) => string | null;
  /** A job is about to be stored: whoever runs jobs may want to claim in the same commit. */
  readonly onSubmit: (type: string) => void;
}

export interface Submit {
  readonly principal: Principal;
  readonly trace: Trace;
  readonly idempotencyKey: string | null;
}

export interface Accepted {
  readonly id: JobId;
  /** Known when the job was accepted by this very call. */
  readonly job: JobRecord | null;
  /** 1-based estimate of its place in the queue, with `job`. */
  readonly position: number | null;
  readonly replayed: boolean;
}

export interface Submitter {
  /** A submit body as it came. Rejects with the refusal that fits; resolves when the job is stored. */
  submit(body: unknown, call: Submit): Promise<Accepted>;
  /** A new job like one that ended. */
  retry(job: JobRecord, call: Submit): Promise<Accepted>;
}

/** Throws `invalid_request` for a job that is put off in two ways, or further than a job may be. */
function checkTime({ runAt, delayMs }: SubmitOptions, clock: Clock): void {
  if (runAt === undefined) return;
  if (delayMs !== undefined) throw invalidField("/delayMs", "goes without runAt");
  if (Date.parse(runAt) - clock.wallMs() > LIMITS.delayMs)
    throw invalidField("/runAt", `must be at most ${LIMITS.delayMs} ms (delayMs) ahead`);
}

/** Throws `invalid_request` for a webhook that will not be sent. */
function checkWebhook(
  { webhook, webhookAfterMs }: SubmitOptions,
  problemOf: SubmitOptionsOfServer["webhookProblem"],
): void {
  if (webhook === undefined) {
    if (webhookAfterMs !== undefined) throw invalidField("/webhookAfterMs", "goes with a webhook only");
    return;
  }
  const problem = problemOf(webhook);
  if (problem !== null) throw invalidField("/webhook", problem);
}

export function createSubmitter(options: SubmitOptionsOfServer): Submitter {
  const { store, registry, clock, ids } = options;

  const replay = async (key: IdempotencyKey, print: string): Promise<Accepted | null> => {
    const known = await store.findByKey(key);
    if (known === null) return null;
    if (known.fingerprint !== print) throw reused();
    return { id: known.id, job: null, position: null, replayed: true };
  };

  const storeJob = async (
    spec: JobSpec,
    input: string,
    key: IdempotencyKey | null,
    print: string,
  ): Promise<Accepted> => {
    const stored = store.execute({
      op: "submit",
      at: instant(clock),
      spec,
      input,
      idempotency: key === null ? null : { ...key, fingerprint: print },
      userJobs: limitOf(options.userJobs),
      queueJobs: limitOf(options.queueJobs),
    });
    options.onSubmit(spec.type);
    const outcome = await stored;
    switch (outcome.kind) {
      case "accepted":
        return { id: spec.id, job: outcome.job, position: outcome.position, replayed: false };
      case "replayed":
        return { id: outcome.id, job: null, position: null, replayed: true };
      case "reused":
        throw reused();
      case "too_many_jobs":
        throw tooManyJobs(options.userJobs);
      case "queue_full":
        throw new Refusal("queue_full", `The queue holds its most (queueJobs, ${options.queueJobs}).`, {
          extra: { limit: "queueJobs" },
        });
    }
  };

  const identity = (call: Submit) => ({
    id: ids.job(),
    userId: call.principal.userId,
    sessionId: call.principal.sessionId,
    traceparent: call.trace.traceparent,
    tracestate: call.trace.tracestate,
    correlationId: call.trace.correlationId,
  });

  return {
    async submit(body, call) {
      const { principal, idempotencyKey } = call;
      const key =
        idempotencyKey === null
          ? null
          : { userId: principal.userId, route: "POST /v1/jobs", key: idempotencyKey };
      const print = key === null ? "" : fingerprint(body);
      const before = key === null ? null : await replay(key, print);
      if (before !== null) return before;

      const { type, input, ...given } = parseBody(submitSchema, body);
      const handler = registry.find(type);
      if (handler === null)
        throw new Refusal("unknown_type", `There is no job type of this name; GET /v1/types lists them.`);
      if (!isAllowed(principal.types, type))
        throw new Refusal("forbidden", "Your token does not allow this job type.");
      if (!Object.hasOwn(body as object, "input")) {
        throw new Refusal("invalid_request", "/input: is required", {
          errors: [{ pointer: "/input", detail: "is required" }],
        });
      }
      checkTime(given, clock);
      checkWebhook(given, options.webhookProblem);
      const parsed = parseBody(handler.input, input, "/input");
      if (principal.sessionId === null && (given.onDisconnect === "cancel" || given.lane !== undefined)) {
        const name = given.lane === undefined ? "onDisconnect" : "lane";
        const detail = "needs a session: send the session token";
        throw new Refusal("invalid_request", `/${name}: ${detail}`, {
          errors: [{ pointer: `/${name}`, detail }],
        });
      }
      const previous = (id: string) => findPrevious(store, principal.userId, id);
      await checkInput(handler, parsed, { userId: principal.userId, previous }, clock);
      const spec: JobSpec = { ...identity(call), type, retryOf: null, ...resolveOptions(given, handler) };
      // What was validated is stored as it came: the run parses it again with the schema of its own day.
      return storeJob(spec, JSON.stringify(input), key, print);
    },

    async retry(job, call) {
      const { principal, idempotencyKey } = call;
      const route = `POST /v1/jobs/${job.id}/retry`;
      const key = idempotencyKey === null ? null : { userId: principal.userId, route, key: idempotencyKey };
      const before = key === null ? null : await replay(key, "");
      if (before !== null) return before;
      const input = await store.input(job.id);
      if (input === null) throw new Refusal("job_purged", "The job was deleted.");
      const spec: JobSpec = {
        ...identity(call),
        type: job.type,
        retryOf: job.id,
        metadata: job.metadata,
        priority: job.priority,
        lane: principal.sessionId === null ? null : job.lane,
        // Whoever asks for it again wants it now.
        runAt: null,
        delayMs: null,
        startWithinMs: job.startWithinMs,
        timeoutMs: job.timeoutMs,
        firstOutputMs: job.firstOutputMs,
        idleMs: job.idleMs,
        maxAttempts: job.maxAttempts,
        retryAfterOutput: job.retryAfterOutput,
        cancelOnDisconnect: principal.sessionId !== null && job.cancelOnDisconnect,
        orphanMs: job.orphanMs,
        webhookUrl: job.webhookUrl,
        webhookAfterMs: job.webhookAfterMs,
      };
      return storeJob(spec, input, key, "");
    },
  };
}

/** Nobody knows when one of them ends: worth another look in a second. */
function tooManyJobs(userJobs: number): Refusal {
  return new Refusal("too_many_jobs", `At most ${userJobs} unfinished jobs of one user (userJobs).`, {
    extra: { limit: "userJobs" },
    headers: quotaHeaders({ policy: "jobs", most: userJobs, left: 0, seconds: 1 }),
  });
}

function reused(): Refusal {
  return new Refusal(
    "idempotency_key_reused",
    "The Idempotency-Key was used with another body; use a new key.",
  );
}
