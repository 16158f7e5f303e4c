/**
 * What each command does, once for every driver: loads records, lets transitions.ts decide, saves and logs.
 *
 * A driver gives the tables (tables.ts) inside one open transaction and calls `execute` for each command of a batch.
 */
import type { Instant } from "../lib/clock.ts";
import type { JobId, LeaseToken } from "../lib/ids.ts";
import { isTerminalStatus } from "../protocol/job-status.ts";
import { LIMITS } from "../protocol/limits.ts";
import { ownerPrefix } from "./holder.ts";
import { isSilenced, summarize, type Change, type JobRecord, type StoredEvent } from "./job.ts";
import type { ClaimedJob, JobCommand, JobCommands, JobOp, JobOutcome } from "./store.ts";
import * as remote from "./remote.ts";
import { beginSchedule, strikeOnce } from "./ticks.ts";
import * as transitions from "./transitions.ts";
import type { JobTables, Overdue, ReadyJob } from "./tables.ts";
import { armWebhook, dropWebhook, settleWebhook, takeWebhook } from "./webhook.ts";

/** What a transaction did: the answer to the caller, and what is to be announced after the commit. */
export interface Executed<Op extends JobOp> {
  readonly outcome: JobOutcome<Op>;
  readonly changes: readonly Change[];
}

type Executor<Op extends JobOp> = (
  tables: JobTables,
  command: { readonly at: Instant } & JobCommands[Op]["in"],
  changes: Change[],
) => JobOutcome<Op>;

function changeOf(job: JobRecord, events: readonly StoredEvent[]): Change {
  const first = job.head - events.length + 1;
  return { job: summarize(job), first, events, silenced: isSilenced(job) };
}

function commit(
  tables: JobTables,
  at: Instant,
  changes: Change[],
  job: JobRecord,
  events: readonly StoredEvent[],
  what: Parameters<JobTables["save"]>[1] = "state",
): void {
  if (events.length === 0) return;
  tables.save(job, what);
  tables.log(job, events);
  changes.push(changeOf(job, events));
  // In the transaction that ends its job: a webhook is neither forgotten nor sent of something that did not happen.
  if (job.webhookUrl !== null && isTerminalStatus(job.status))
    tables.putWebhook(job, armWebhook(job.webhookAfterMs, at));
}

/** Nobody needs to be told any more: acknowledged, or deleted. */
function releaseWebhook(tables: JobTables, job: JobRecord): void {
  const webhook = job.webhookUrl === null ? null : tables.webhook(job);
  if (webhook !== null && dropWebhook(webhook)) tables.putWebhook(job, webhook);
}

const submit: Executor<"submit"> = (tables, command, changes) => {
  const { spec, idempotency } = command;
  if (idempotency !== null) {
    const known = tables.findKey(idempotency);
    if (known !== null)
      return known.fingerprint === idempotency.fingerprint
        ? { kind: "replayed", id: known.id }
        : { kind: "reused" };
  }
  if (tables.unfinished(spec.userId) >= command.userJobs) return { kind: "too_many_jobs" };
  const queued = tables.queued();
  if (queued >= command.queueJobs) return { kind: "queue_full" };
  if (spec.lane !== null && spec.sessionId !== null) {
    const id = tables.inLane(spec.sessionId, spec.lane);
    const before = id === null ? null : tables.load(id);
    if (before !== null)
      commit(
        tables,
        command.at,
        changes,
        before,
        transitions.cancel(before, command.at, "lane", LIMITS.cancelGraceMs),
      );
  }
  const { job, events } = transitions.accept(spec, command.at, queued + 1);
  tables.insert(job, command.input, job.readyBy <= command.at.steadyMs);
  tables.log(job, events);
  if (idempotency !== null) tables.putKey(idempotency, idempotency.fingerprint, job.id, command.at.wallMs);
  changes.push(changeOf(job, events));
  return { kind: "accepted", job, position: queued + 1 };
};

/** Whose run comes first. */
export function byPlace(a: ReadyJob, b: ReadyJob): number {
  return b.priority - a.priority || a.turn - b.turn || a.num - b.num;
}

const claim: Executor<"claim"> = (tables, command, changes) => {
  const claimed: ClaimedJob[] = [];
  const { at, owner, leaseMs, worker } = command;
  const room = new Map(command.types.map(({ type, most }) => [type, most]));
  // What is found too late makes room for what stands behind it: looked for again until none was.
  for (let late = true; late && claimed.length < command.most;) {
    late = false;
    const most = command.most - claimed.length;
    const wanted = [...room].map(([type, ofType]) => ({ type, limit: Math.min(ofType, most) }));
    const ready = tables.ready(
      wanted.filter(({ limit }) => limit > 0),
      at.steadyMs,
    );
    for (const { id } of ready.toSorted(byPlace).slice(0, most)) {
      const job = tables.load(id);
      if (job === null) continue;
      if (job.startBy !== null && job.startBy <= at.steadyMs) {
        commit(tables, at, changes, job, transitions.expire(job, at));
        late = true;
        continue;
      }
      const token = `${command.secret}-${claimed.length}` as LeaseToken;
      const lease = { token, owner, leaseMs, ...(worker === undefined ? {} : { worker }) };
      commit(tables, at, changes, job, transitions.start(job, at, lease));
      room.set(job.type, (room.get(job.type) ?? 0) - 1);
      claimed.push({
        job: { ...job, leaseToken: token },
        input: tables.input(job),
        // Only a run before this one can have left something.
        checkpoint: job.attempt > 1 ? tables.checkpoint(job) : null,
      });
    }
  }
  return { jobs: claimed, nextReadyMs: tables.nextReady(at.steadyMs) };
};

const append: Executor<"append"> = (tables, command, changes) => {
  const job = tables.load(command.id);
  if (job === null) return "lease_lost";
  const events = transitions.append(job, command.at, command.lease, command.items, command);
  if (typeof events === "string") return events;
  commit(tables, command.at, changes, job, events, "output");
  return "ok";
};

const deliver: Executor<"deliver"> = (tables, command, changes) => {
  const job = tables.load(command.id);
  if (job === null || job.leaseOwner !== command.owner) return "lease_lost";
  const delivered = remote.deliver(job, command.at, command);
  if (delivered === "lease_lost") return delivered;
  if (delivered === "output_too_large") {
    commit(tables, command.at, changes, job, remote.refuseOutput(job, command.at, command.jobBytes));
    return delivered;
  }
  const { events, ...outcome } = delivered;
  if (outcome.kind === "ok") {
    if (events.length === 0) tables.save(job, "held");
    else commit(tables, command.at, changes, job, events, "held");
  }
  return outcome;
};

const hold: Executor<"hold"> = (tables, command, changes) => {
  const job = tables.load(command.id);
  if (job === null || job.leaseOwner !== command.owner) return "lease_lost";
  const events = remote.hold(job, command.at, command);
  if (events === "lease_lost") return events;
  if (events === "output_too_large") {
    commit(tables, command.at, changes, job, remote.refuseOutput(job, command.at, command.jobBytes));
    return events;
  }
  if (command.checkpoint !== null) tables.setCheckpoint(job, command.checkpoint);
  if (events.length === 0) tables.save(job, "held");
  else commit(tables, command.at, changes, job, events, "held");
  return remote.standing(job);
};

const grant: Executor<"grant"> = (tables, command) => tables.grant(command.at.steadyMs + command.leaseMs);

const checkpoint: Executor<"checkpoint"> = (tables, command) => {
  const job = tables.load(command.id);
  if (job === null || !transitions.holdsLease(job, command.lease)) return "lease_lost";
  tables.setCheckpoint(job, command.value);
  return "ok";
};

const end: Executor<"end"> = (tables, command, changes) => {
  const job = tables.load(command.id);
  if (job === null) return "lease_lost";
  const events = transitions.end(job, command.at, command.lease, command.how, command.owner);
  if (events === "lease_lost") return events;
  commit(tables, command.at, changes, job, events);
  return job.status;
};

const cancel: Executor<"cancel"> = (tables, command, changes) => {
  const job = tables.load(command.id);
  if (job === null) return null;
  commit(
    tables,
    command.at,
    changes,
    job,
    transitions.cancel(job, command.at, command.reason, command.graceMs),
  );
  return job.status;
};

/** What becomes of a job whose time is over. Nothing, if another reason was found first. */
function whatBecomes(
  job: JobRecord,
  why: Overdue,
  { at, maxLostLeases, random }: { readonly at: Instant } & JobCommands["sweep"]["in"],
): StoredEvent[] {
  switch (why) {
    case "start":
      return transitions.expire(job, at);
    case "cancel":
      return transitions.enforceCancel(job, at);
    case "run":
    case "quiet":
      return remote.timeOut(job, at, why, random);
    case "lease":
      return remote.mayNotKnow(job)
        ? remote.giveBack(job, at)
        : transitions.lose(job, at, "worker_lost", maxLostLeases);
  }
}

/** The job, or null when its row cannot be read as one. An error of the storage is thrown as ever. */
function loadReadable(tables: JobTables, id: JobId): JobRecord | null {
  try {
    return tables.load(id);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/**
 * Lets time have its way with one job; false when nothing came of it. Such a job would stand in front of all others at
 * every later look, so that it is taken out of sight.
 */
function overtake(
  tables: JobTables,
  at: Instant,
  changes: Change[],
  id: JobId,
  decisions: readonly ((job: JobRecord) => StoredEvent[])[],
): boolean {
  const job = loadReadable(tables, id);
  for (const decide of job === null ? [] : decisions) {
    const events = decide(job as JobRecord);
    if (events.length === 0) continue;
    commit(tables, at, changes, job as JobRecord, events);
    return true;
  }
  tables.defuse(id);
  return false;
}

const sweep: Executor<"sweep"> = (tables, command, changes) => {
  const overdue = tables.overdue(command.at.steadyMs, command.owner, command.most);
  // A job can be late in several ways at once: the first that changes anything counts.
  const reasons = new Map<JobId, Overdue[]>();
  for (const { id, why } of overdue) reasons.set(id, [...(reasons.get(id) ?? []), why]);
  const stuck: JobId[] = [];
  for (const [id, all] of reasons) {
    const decisions = all.map((why) => (job: JobRecord) => whatBecomes(job, why, command));
    if (!overtake(tables, command.at, changes, id, decisions)) stuck.push(id);
  }
  return { busy: overdue.length >= command.most, stuck };
};

const recover: Executor<"recover"> = (tables, command, changes) => {
  const { at, owner, maxLostLeases, reason } = command;
  const held = tables.heldByOthers(owner, ownerPrefix(command.node, command.boot), command.most);
  const lose = (job: JobRecord) => transitions.lose(job, at, reason, maxLostLeases);
  const stuck = held.filter((id) => !overtake(tables, at, changes, id, [lose]));
  return { recovered: held.length - stuck.length, busy: held.length >= command.most, stuck };
};

const acknowledge: Executor<"acknowledge"> = (tables, command) => {
  const job = tables.load(command.id);
  if (job === null || !isTerminalStatus(job.status) || command.seq < job.head) return false;
  job.deliveredAt ??= command.at.wallMs;
  job.acknowledged ||= job.sessionId === command.sessionId;
  tables.save(job, "state");
  releaseWebhook(tables, job);
  return true;
};

const purge: Executor<"purge"> = (tables, command) => {
  const job = tables.load(command.id);
  if (job === null) return "unknown";
  if (!isTerminalStatus(job.status)) return "not_terminal";
  if (job.purgedAt !== null) return "purged";
  job.purgedAt = command.at.wallMs;
  tables.save(job, "state");
  releaseWebhook(tables, job);
  tables.dropPayload(job);
  return "purged";
};

const claimWebhooks: Executor<"claimWebhooks"> = (tables, { at, most, leaseMs }) =>
  tables.dueWebhooks(at.steadyMs, most).flatMap((id) => {
    const job = tables.load(id);
    const webhook = job === null ? null : tables.webhook(job);
    if (job === null || webhook === null) return [];
    takeWebhook(webhook, at, leaseMs);
    tables.putWebhook(job, webhook);
    return [{ id, attempt: webhook.attempts }];
  });

const settle: Executor<"settleWebhook"> = (tables, { at, id, attempt, outcome }) => {
  const job = tables.load(id);
  const webhook = job === null ? null : tables.webhook(job);
  if (job === null || webhook === null || !settleWebhook(webhook, at, attempt.attempt, outcome))
    return "stale";
  tables.putWebhook(job, webhook);
  tables.logWebhook(job, attempt);
  return webhook.state;
};

const retain: Executor<"retain"> = (tables, command) => {
  let deleted = tables.trimSome(command.eventsBefore, command.most);
  if (deleted < command.most) deleted += tables.forgetSome(command.jobsBefore, command.most - deleted);
  if (deleted < command.most) deleted += tables.dropKeys(command.keysBefore, command.most - deleted);
  return deleted;
};

const renew: Executor<"renew"> = (tables, command) =>
  tables.renew(command.owner, command.at.steadyMs + command.leaseMs);

const realign: Executor<"realign"> = (tables, { at }) => tables.realign(at);

const tick: Executor<"tick"> = (tables, command, changes) =>
  strikeOnce(tables, command.schedule, () => submit(tables, command, changes));

const executors: { readonly [Op in JobOp]: Executor<Op> } = {
  submit,
  claim,
  append,
  deliver,
  hold,
  grant,
  checkpoint,
  end,
  cancel,
  renew,
  sweep,
  recover,
  realign,
  schedule: beginSchedule,
  tick,
  acknowledge,
  purge,
  claimWebhooks,
  settleWebhook: settle,
  retain,
};

/** Carries out one command inside the driver's open transaction. Refusals come back as outcomes; a throw is a defect or a storage error. */
export function execute<Op extends JobOp>(tables: JobTables, command: JobCommand<Op>): Executed<Op> {
  const changes: Change[] = [];
  // The table above pairs every op with its own command; TypeScript cannot follow that through the index.
  const executor = executors[command.op] as unknown as (
    tables: JobTables,
    command: JobCommand<Op>,
    changes: Change[],
  ) => JobOutcome<Op>;
  const outcome = executor(tables, command, changes);
  // Whatever waits was stored by a command, so the latest of them tells how far time had come.
  const { steadyMs } = command.at;
  if (steadyMs >= tables.steadyMs() + LIMITS.steadyStepMs) tables.keepSteady(steadyMs);
  return { outcome, changes };
}
