/** `/v1/jobs`: submit, read, list, cancel, retry, delete (PROTOCOL section 3). */
import { waitForEnd } from "../../jobs/follow.ts";
import type { JobRecord } from "../../jobs/job.ts";
import { toJobObject } from "../../jobs/job-object.ts";
import { instant } from "../../lib/clock.ts";
import { isUuid, type JobId } from "../../lib/ids.ts";
import { Refusal } from "../../protocol/error.ts";
import { isTerminalStatus, JOB_STATUSES, type JobObject } from "../../protocol/jobs.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { Principal } from "../../sessions/gate.ts";
import { readJson, readNothing } from "../body.ts";
import {
  authenticate,
  jsonResponse,
  refuseRevoked,
  refuseWhileDraining,
  untilGone,
  type Call,
  type HttpServices,
} from "../call.ts";
import { readIdempotencyKey, readPreferWait } from "../idempotency.ts";
import { choiceParameter, cursorParameter, encodeCursor, intParameter } from "../query.ts";
import type { Accepted } from "../submit.ts";

function notFound(): Refusal {
  return new Refusal("not_found", "No such job.");
}

/** The caller's own job, deleted or not. Foreign and unknown are one answer. */
async function ownRecord(services: HttpServices, principal: Principal, id: string): Promise<JobRecord> {
  const job = isUuid(id) ? await services.store.findOwn(principal.userId, id as JobId) : null;
  if (job === null) throw notFound();
  return job;
}

/** The job that the path names, if it is the caller's and still there. */
export async function ownJob(
  services: HttpServices,
  call: Call,
): Promise<{ job: JobRecord; principal: Principal }> {
  const principal = await authenticate(services, call);
  const job = await ownRecord(services, principal, call.req.param("id") ?? "");
  if (job.purgedAt !== null) throw new Refusal("job_purged", "The job was deleted.");
  return { job, principal };
}

async function readObject(services: HttpServices, id: JobId): Promise<JobObject> {
  const found = await services.store.findWithResult(id);
  if (found === null) throw notFound();
  const position = found.job.status === "queued" ? await services.store.position(id) : null;
  return toJobObject(found.job, found.result, position);
}

/** Waits for the end of a job, for as long as somebody waits for the answer. */
async function waitWhileAsked(services: HttpServices, call: Call, id: JobId, waitMs: number): Promise<void> {
  const { store, feed, clock } = services;
  const { signal, release } = untilGone(services, call.req.raw);
  try {
    await waitForEnd({ store, feed, clock, id, waitMs, signal });
  } finally {
    release();
  }
  await refuseRevoked(services, call);
}

/** `202` with the job, or after `Prefer: wait` `200` with the job that ended in time. */
async function acceptedResponse(services: HttpServices, call: Call, accepted: Accepted): Promise<Response> {
  const { id, job, replayed } = accepted;
  const headers: Record<string, string> = { Location: `/v1/jobs/${id}`, "Retry-After": "1" };
  if (replayed) headers["Idempotent-Replayed"] = "true";
  const waitMs = readPreferWait(call.req.raw.headers);
  if (waitMs !== null) {
    headers["Preference-Applied"] = `wait=${waitMs / 1000}`;
    await waitWhileAsked(services, call, id, waitMs);
  }
  // A job that this very call stored is known: nothing is read back. Its place is what its first entry said.
  const object =
    job !== null && waitMs === null
      ? toJobObject(job, null, accepted.position)
      : await readObject(services, id);
  if (waitMs === null || !object.terminal) return jsonResponse(202, object, headers);
  delete headers["Retry-After"];
  return jsonResponse(200, object, headers);
}

export async function submitJob(services: HttpServices, call: Call): Promise<Response> {
  const principal = await authenticate(services, call);
  refuseWhileDraining(services);
  const idempotencyKey = readIdempotencyKey(call.req.raw.headers);
  const body = await readJson(call.req.raw, services);
  const accepted = await services.submitter.submit(body, {
    principal,
    trace: call.env.trace,
    idempotencyKey,
  });
  return acceptedResponse(services, call, accepted);
}

export async function readJob(services: HttpServices, call: Call): Promise<Response> {
  const { job } = await ownJob(services, call);
  const waitMs = intParameter(call.env.url, "waitMs", { least: 0, most: LIMITS.waitMs, preset: 0 });
  if (waitMs > 0 && !isTerminalStatus(job.status)) {
    await waitWhileAsked(services, call, job.id, waitMs);
  }
  const object = await readObject(services, job.id);
  const text = JSON.stringify(object);
  const etag = `"${Bun.hash(text).toString(36)}"`;
  const headers: Record<string, string> = { ETag: etag, "Cache-Control": "private, no-cache" };
  if (!object.terminal) headers["Retry-After"] = "1";
  if (matchesEtag(call.req.raw.headers, etag)) return new Response(null, { status: 304, headers });
  return new Response(text, { headers: { ...headers, "Content-Type": "application/json" } });
}

function matchesEtag(headers: Headers, etag: string): boolean {
  const given = headers.get("if-none-match");
  if (given === null) return false;
  return given.split(",").some((one) => one.trim().replace(/^W\//, "") === etag || one.trim() === "*");
}

export async function listJobs(services: HttpServices, call: Call): Promise<Response> {
  const principal = await authenticate(services, call);
  const url = call.env.url;
  const limit = intParameter(url, "limit", {
    least: 1,
    most: LIMITS.jobsPage,
    preset: LIMITS.jobsPageDefault,
  });
  const found = await services.store.list({
    userId: principal.userId,
    status: choiceParameter(url, "status", JOB_STATUSES),
    type: url.searchParams.get("type"),
    before: cursorParameter(url, "cursor"),
    limit: limit + 1,
  });
  const items = found.slice(0, limit);
  const last = items.at(-1);
  const objects = await Promise.all(
    items.map(async ({ job, result }) =>
      toJobObject(job, result, job.status === "queued" ? await services.store.position(job.id) : null),
    ),
  );
  return jsonResponse(200, {
    items: objects,
    next: found.length > limit && last !== undefined ? encodeCursor(last.job.id) : null,
  });
}

export async function cancelJob(services: HttpServices, call: Call): Promise<Response> {
  const { job } = await ownJob(services, call);
  await readNothing(call.req.raw, services);
  const status = await services.store.execute({
    op: "cancel",
    at: instant(services.clock),
    id: job.id,
    reason: "requested",
    graceMs: LIMITS.cancelGraceMs,
  });
  if (status === null) throw notFound();
  return jsonResponse(isTerminalStatus(status) ? 200 : 202, await readObject(services, job.id));
}

export async function retryJob(services: HttpServices, call: Call): Promise<Response> {
  const { job, principal } = await ownJob(services, call);
  await readNothing(call.req.raw, services);
  refuseWhileDraining(services);
  const idempotencyKey = readIdempotencyKey(call.req.raw.headers);
  if (!isTerminalStatus(job.status)) throw notTerminal();
  const accepted = await services.submitter.retry(job, { principal, trace: call.env.trace, idempotencyKey });
  return acceptedResponse(services, call, accepted);
}

function notTerminal(): Refusal {
  return new Refusal("job_not_terminal", "The job has not ended yet; cancel it first.");
}

export async function deleteJob(services: HttpServices, call: Call): Promise<Response> {
  const { job } = await ownJob(services, call);
  const outcome = await services.store.execute({ op: "purge", at: instant(services.clock), id: job.id });
  if (outcome === "not_terminal") throw notTerminal();
  if (outcome === "unknown") throw notFound();
  return new Response(null, { status: 204 });
}
