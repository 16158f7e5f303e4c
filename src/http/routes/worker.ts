/** `/v1/worker`: remote workers lease jobs, write their output, and end them (PROTOCOL section 6). */
import type { z } from "zod";
import type { ClaimedJob, HoldOutcome } from "../../jobs/store.ts";
import type { RemoteRun } from "../../handlers/remote/remote.ts";
import type { RunEnd } from "../../jobs/transitions.ts";
import { isUuid, type JobId, type LeaseToken } from "../../lib/ids.ts";
import { invalidField, Refusal } from "../../protocol/error.ts";
import type { Json } from "../../protocol/events.ts";
import { LIMITS } from "../../protocol/limits.ts";
import {
  completeBodySchema,
  failBodySchema,
  heartbeatBodySchema,
  leaseBodySchema,
  releaseBodySchema,
  type HeartbeatObject,
  type ItemsTakenObject,
  type LeasedJobObject,
  type LeasedObject,
  type LeaseStateObject,
  type RunEndedObject,
} from "../../protocol/workers.ts";
import type { MachineToken } from "../../sessions/machine-tokens.ts";
import { isAllowed } from "../../sessions/scope.ts";
import { parseBody, readJson } from "../body.ts";
import { authenticateMachine, jsonResponse, visitorOf, type Call, type HttpServices } from "../call.ts";
import { leaseLost, takeItems } from "../worker-output.ts";

type Route = (services: HttpServices, call: Call) => Promise<Response>;
type WorkerRoute = (services: HttpServices, call: Call, token: MachineToken) => Promise<Response>;

/** Every route of this file goes through here. What is refused counts against the token. */
function forWorkers(route: WorkerRoute): Route {
  return async (services, call) => {
    const token = await authenticateMachine(services, call, "worker");
    services.rates.refuseWorker(token.id);
    try {
      return await route(services, call, token);
    } catch (error) {
      if (error instanceof Refusal && error.status < 500) services.rates.countWorker(token.id);
      throw error;
    }
  };
}

/** Results and checkpoints are as large as an entry may be, which is more than a body of a user. */
async function readBody<Output>(
  { limits, bodyBytes, clock }: HttpServices,
  call: Call,
  schema: z.ZodType<Output>,
): Promise<Output> {
  const most = Math.max(bodyBytes, 2 * limits.eventBytes);
  return parseBody(schema, await readJson(call.req.raw, { bodyBytes: most, clock }));
}

/** JSON text of a value that is kept. Throws `payload_too_large`. */
function boundedJson(value: unknown, pointer: string, { limits: { eventBytes } }: HttpServices): string {
  const text = JSON.stringify(value ?? null);
  if (Buffer.byteLength(text) <= eventBytes) return text;
  throw new Refusal("payload_too_large", `${pointer}: is over eventBytes (${eventBytes} bytes).`, {
    extra: { limit: "eventBytes", limitBytes: eventBytes },
  });
}

function checkTypes({ remote }: HttpServices, token: MachineToken, types: readonly string[]): void {
  const foreign = types.find((type) => !isAllowed(token.types, type));
  if (foreign !== undefined)
    throw new Refusal("forbidden", `The worker token does not allow the type ${foreign}.`);
  const unserved = types.find((type) => !remote.serves(type));
  if (unserved !== undefined) {
    throw new Refusal(
      "unknown_type",
      `Remote workers do not serve the type ${unserved} (HOLDLINE_WORKER_TYPES).`,
    );
  }
}

/** A call may last as long as a run: its token is judged again before each thing that it does. */
const confirmWorker = ({ gate }: HttpServices, call: Call): Promise<MachineToken> =>
  gate.machine(visitorOf(call), "worker");

function toLeasedJob({ job, input, checkpoint }: ClaimedJob): LeasedJobObject {
  return {
    id: job.id,
    type: job.type,
    input: JSON.parse(input) as Json,
    attempt: job.attempt,
    leaseToken: job.leaseToken,
    leaseMs: LIMITS.leaseMs,
    timeoutMs: job.timeoutMs,
    ...(checkpoint === null ? {} : { checkpoint: JSON.parse(checkpoint) as Json }),
    traceparent: job.traceparent,
    ...(job.tracestate === null ? {} : { tracestate: job.tracestate }),
    ...(job.correlationId === null ? {} : { correlationId: job.correlationId }),
    metadata: job.metadata,
  };
}

export const leaseJobs = forWorkers(async (services, call, token) => {
  const { remote, rates } = services;
  const { worker: name, types, max, waitMs } = await readBody(services, call, leaseBodySchema);
  checkTypes(services, token, types);
  const worker = { tokenId: token.id, name };
  const { signal } = call.req.raw;
  const claimed = await remote.lease({
    worker,
    types: [...new Set(types)],
    most: max,
    waitMs,
    signal,
    confirm: () => confirmWorker(services, call),
  });
  if (claimed.length === 0) rates.countWorker(token.id);
  const { control } = remote;
  // A 204 could not say that the server drains.
  if (claimed.length === 0 && control === "run") return new Response(null, { status: 204 });
  return jsonResponse(200, { jobs: claimed.map(toLeasedJob), control } satisfies LeasedObject);
});

function toLeaseState(job: string, held: HoldOutcome, steadyMs: number): LeaseStateObject {
  if (typeof held === "string") return { job, status: "lost" };
  if (held.kind === "ok") return { job, status: "ok", leaseMs: LIMITS.leaseMs };
  const stopWithinMs = Math.max(0, Math.round(held.cancelBy - steadyMs));
  return { job, status: "cancel", leaseMs: LIMITS.leaseMs, reason: held.reason, stopWithinMs };
}

export const beat = forWorkers(async (services, call, token) => {
  const { remote, rates, clock } = services;
  const { worker: name, leases } = await readBody(services, call, heartbeatBodySchema);
  rates.countWorker(token.id);
  const worker = { tokenId: token.id, name };
  const signs = leases.map(({ job, leaseToken, progress, checkpoint }, index) => ({
    run: { id: job as JobId, lease: leaseToken as LeaseToken },
    sign: {
      progress: progress === undefined ? null : JSON.stringify(progress),
      checkpoint:
        checkpoint === undefined ? null : boundedJson(checkpoint, `/leases/${index}/checkpoint`, services),
    },
  }));
  // Together: they share a commit.
  const held = await Promise.all(
    signs.map(({ run, sign }) =>
      isUuid(run.id) ? remote.hold(worker, run, sign) : Promise.resolve("lease_lost" as const),
    ),
  );
  const states = held.map((one, index) => toLeaseState(signs[index]?.run.id ?? "", one, clock.steadyMs()));
  return jsonResponse(200, { leases: states, control: remote.control } satisfies HeartbeatObject);
});

/** The run that a call is about: the job of its path, and the lease of its header. */
function runOf({ req }: Call, token: MachineToken): RemoteRun {
  const lease = req.header("holdline-lease");
  if (lease === undefined || lease === "") {
    throw new Refusal(
      "invalid_request",
      "The header Holdline-Lease is required: the leaseToken of the job.",
      {
        errors: [{ pointer: "/Holdline-Lease", detail: "is required" }],
      },
    );
  }
  const id = req.param("id") ?? "";
  if (!isUuid(id)) throw new Refusal("not_found", "No such job.");
  return { id: id as JobId, lease: lease as LeaseToken, tokenId: token.id };
}

/** Number of the first item; null when it is not said. */
function firstItemOf({ req }: Call): number | null {
  const text = req.header("holdline-item");
  if (text === undefined) return null;
  if (!/^\d{1,15}$/.test(text)) throw invalidField("/Holdline-Item", "must be a whole number from 0");
  return Number(text);
}

export const takeOutput = forWorkers(async (services, call, token) => {
  const run = runOf(call, token);
  const next = await takeItems(services, {
    request: call.req.raw,
    run,
    first: firstItemOf(call),
    confirm: () => confirmWorker(services, call),
  });
  return jsonResponse(200, { next, control: services.remote.control } satisfies ItemsTakenObject);
});

async function endRun({ remote }: HttpServices, run: RemoteRun, how: RunEnd): Promise<Response> {
  const status = await remote.end(run, how);
  if (status === "lease_lost") throw leaseLost();
  return jsonResponse(200, { job: run.id, status } satisfies RunEndedObject);
}

export const completeRun = forWorkers(async (services, call, token) => {
  const run = runOf(call, token);
  const { result } = await readBody(services, call, completeBodySchema);
  return endRun(services, run, { kind: "succeeded", result: boundedJson(result, "/result", services) });
});

export const failRun = forWorkers(async (services, call, token) => {
  const run = runOf(call, token);
  const { retryAfterMs, ...error } = await readBody(services, call, failBodySchema);
  return endRun(services, run, {
    kind: "error",
    error: { ...error, origin: "handler" },
    random: services.random(),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
});

export const releaseRun = forWorkers(async (services, call, token) => {
  const run = runOf(call, token);
  await readBody(services, call, releaseBodySchema);
  return endRun(services, run, { kind: "released" });
});
