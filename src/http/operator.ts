/** What an operator may do with everybody's jobs and sessions: behind `/v1/admin`, and behind the command line. */
import { toJobObject } from "../jobs/job-object.ts";
import { describeSchedules, type Schedule } from "../jobs/schedule.ts";
import type { JobQuery, JobStore, JobWithResult } from "../jobs/store.ts";
import { instant, type Clock } from "../lib/clock.ts";
import { isUuid, type JobId, type SessionId, type UserId } from "../lib/ids.ts";
import type { AdminJobObject, Page, RevocationBody, ScheduleObject } from "../protocol/admin.ts";
import { invalidField, Refusal } from "../protocol/error.ts";
import { isTerminalStatus } from "../protocol/jobs.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { SessionObject } from "../protocol/sessions.ts";
import { isSessionRevoked, type Revocations } from "../sessions/revocations.ts";
import type { SessionOutage } from "../sessions/outage.ts";
import { toSessionObject, type SessionRecord } from "../sessions/session.ts";
import type { SessionQuery, SessionStore } from "../sessions/store.ts";
import { encodeCursor } from "./query.ts";
import type { Submitter } from "./submit.ts";
import type { Trace } from "./trace.ts";

export interface OperatorReads {
  jobs(query: JobQuery): Promise<Page<AdminJobObject>>;
  /** Rejects with `not_found`, `job_purged`. */
  job(id: string): Promise<AdminJobObject>;
  /** Those that are not over. */
  sessions(query: SessionQuery): Promise<Page<SessionObject>>;
  /** Those of the configuration. */
  schedules(): Promise<readonly ScheduleObject[]>;
}

export interface OperatorWrites {
  /** The job as it is then: terminal, or `canceling` while a run is being stopped. Rejects like `job`. */
  cancel(id: string): Promise<AdminJobObject>;
  /** A new job of the same user, without a session. Rejects like `job`, and with `job_not_terminal`. */
  retry(id: string, trace: Trace): Promise<AdminJobObject>;
  /** Resolves when it is stored and the sessions it hits are over. Rejects with `invalid_request`, `not_found`. */
  revoke(body: RevocationBody): Promise<void>;
}

export interface Operator extends OperatorReads, OperatorWrites {}

export interface OperatorReadParts {
  readonly jobs: Pick<JobStore, "findWithResult" | "list" | "position" | "schedules">;
  readonly sessions: Pick<SessionStore, "find" | "page">;
  readonly schedules: readonly Schedule[];
  readonly clock: Clock;
}

export interface OperatorParts extends OperatorReadParts {
  readonly jobs: JobStore;
  readonly submitter: Pick<Submitter, "retry">;
  readonly revocations: Revocations;
  readonly sessionOutage: SessionOutage;
  /** Ends a session with everything that hangs on it: sockets, jobs that asked for it. */
  readonly endSession: (id: SessionId) => Promise<void>;
}

/** Sessions looked at in one turn of the loop when all of them have to be. */
const LOOKED_AT = 200;

async function toAdminJob(
  { jobs }: OperatorReadParts,
  { job, result }: JobWithResult,
): Promise<AdminJobObject> {
  const position = job.status === "queued" ? await jobs.position(job.id) : null;
  return {
    ...toJobObject(job, result, position),
    userId: job.userId,
    ...(job.sessionId === null ? {} : { sessionId: job.sessionId }),
  };
}

async function findJob({ jobs }: OperatorReadParts, id: string): Promise<JobWithResult> {
  const found = isUuid(id) ? await jobs.findWithResult(id as JobId) : null;
  if (found === null) throw new Refusal("not_found", "No such job.");
  if (found.job.purgedAt !== null) throw new Refusal("job_purged", "The job was deleted.");
  return found;
}

/** The reading half, which needs no server. */
export function createOperatorReads(parts: OperatorReadParts): OperatorReads {
  return {
    schedules: () => describeSchedules(parts.jobs, parts.schedules, parts.clock.wallMs()),

    async jobs(query) {
      const found = await parts.jobs.list({ ...query, limit: query.limit + 1 });
      const items = found.slice(0, query.limit);
      const last = items.at(-1);
      return {
        items: await Promise.all(items.map((one) => toAdminJob(parts, one))),
        next: found.length > query.limit && last !== undefined ? encodeCursor(last.job.id) : null,
      };
    },

    job: async (id) => toAdminJob(parts, await findJob(parts, id)),

    async sessions(query) {
      const found = await parts.sessions.page({ ...query, limit: query.limit + 1 });
      const items = found.slice(0, query.limit);
      const last = items.at(-1);
      return {
        items: items.map(toSessionObject),
        next: found.length > query.limit && last !== undefined ? encodeCursor(last.id) : null,
      };
    },
  };
}

type Target =
  | { readonly kind: "user"; readonly userId: UserId; readonly before: number }
  | { readonly kind: "session"; readonly sessionId: SessionId }
  | { readonly kind: "token"; readonly tokenId: string };

/** What a body asks to revoke. Throws `invalid_request` unless it is exactly one thing. */
function targetOf({ userId, sessionId, tokenId, before }: RevocationBody, clock: Clock): Target {
  if ([userId, sessionId, tokenId].filter((one) => one !== undefined).length !== 1) {
    throw invalidField("", "must name exactly one of userId, sessionId and tokenId");
  }
  const wallMs = Math.round(clock.wallMs());
  if (userId !== undefined) {
    const beforeMs = typeof before === "string" ? Date.parse(before) : (before ?? wallMs);
    // It is kept for as long after `before` as a token may live, so that has to have an end.
    if (beforeMs > wallMs + LIMITS.userTokenLifeMs) throw invalidField("/before", "is too far in the future");
    return { kind: "user", userId: userId as UserId, before: beforeMs };
  }
  if (before !== undefined) throw invalidField("/before", "goes with userId only");
  if (sessionId === undefined) return { kind: "token", tokenId: tokenId ?? "" };
  return { kind: "session", sessionId: sessionId as SessionId };
}

function createRevoke(parts: OperatorParts): OperatorWrites["revoke"] {
  const { sessions, revocations, endSession, clock, sessionOutage } = parts;
  const isOutOfReach = (error: unknown): boolean =>
    sessionOutage.away && error instanceof Refusal && error.code === "storage_unavailable";

  /** false: there is no such session. While nobody can say, there might be. */
  const mayBeThere = async (id: SessionId): Promise<boolean> => {
    try {
      return (await sessions.find(id)) !== null;
    } catch (error) {
      if (isOutOfReach(error)) return true;
      throw error;
    }
  };

  /** What is revoked is revoked: its sockets are closed by every node that looks, also when nobody can list them now. */
  const endWhereReached = (userId: UserId | null): Promise<void> =>
    endRevoked(userId).catch((error: unknown) => {
      if (!isOutOfReach(error)) throw error;
    });

  /** Ends the living sessions whose credential is revoked now, a slice at a time. */
  const endRevoked = async (userId: UserId | null): Promise<void> => {
    let before: SessionId | null = null;
    for (;;) {
      const page: readonly SessionRecord[] = await sessions.page({ userId, before, limit: LOOKED_AT });
      const hit = page.filter((session) => isSessionRevoked(revocations, session));
      await Promise.all(hit.map(({ id }) => endSession(id)));
      before = page.at(-1)?.id ?? null;
      if (page.length < LOOKED_AT) return;
      // Others want their turn too: there may be very many of them.
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  return async (body) => {
    const target = targetOf(body, clock);
    switch (target.kind) {
      case "user":
        await revocations.revoke("user", target.userId, target.before);
        return endWhereReached(target.userId);
      case "token":
        await revocations.revoke("token", target.tokenId, Math.round(clock.wallMs()));
        return endWhereReached(null);
      case "session":
        if (!isUuid(target.sessionId) || !(await mayBeThere(target.sessionId)))
          throw new Refusal("not_found", "No such session.");
        return endSession(target.sessionId);
    }
  };
}

export function createOperator(parts: OperatorParts): Operator {
  const { jobs, submitter, clock } = parts;
  const reads = createOperatorReads(parts);
  return {
    ...reads,

    async cancel(id) {
      const { job } = await findJob(parts, id);
      const at = instant(clock);
      await jobs.execute({ op: "cancel", at, id: job.id, reason: "admin", graceMs: LIMITS.cancelGraceMs });
      return reads.job(id);
    },

    async retry(id, trace) {
      const { job } = await findJob(parts, id);
      if (!isTerminalStatus(job.status)) {
        throw new Refusal("job_not_terminal", "The job has not ended yet; cancel it first.");
      }
      // Its session may be long gone, and nobody in it asked for this: the new job is the user's alone.
      const principal = { userId: job.userId, sessionId: null, types: null, rooms: null };
      const accepted = await submitter.retry(job, { principal, trace, idempotencyKey: null });
      return reads.job(accepted.id);
    },

    revoke: createRevoke(parts),
  };
}
