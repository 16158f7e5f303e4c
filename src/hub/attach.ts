/** Answering an `attach`: from where the log can be followed, and what the client is told when that is not what it asked. */
import { isTerminalStatus } from "../protocol/jobs.ts";
import type { AttachedFrame } from "../protocol/frames.ts";
import { Refusal } from "../protocol/error.ts";
import { isSilenced, lostCursor } from "../jobs/job.ts";
import { readOutput } from "../jobs/output.ts";
import type { JobStore } from "../jobs/store.ts";
import { isUuid, type JobId } from "../lib/ids.ts";
import type { Connection } from "./connection.ts";
import type { Hub } from "./hub.ts";

export interface AttachRequest {
  readonly job: string;
  readonly after: number;
  readonly re?: string;
}

function unknownJob(): Refusal {
  return new Refusal("not_found", "No such job.");
}

/**
 * Follows `job` after `after`, answers `attached` and lets the events flow. Rejects with `not_found` (unknown and
 * foreign alike), `job_purged`, or `rate_limited` when the connection has no attachment left.
 */
export async function attach(
  hub: Hub,
  store: JobStore,
  connection: Connection,
  request: AttachRequest,
): Promise<void> {
  if (!isUuid(request.job)) throw unknownJob();
  const id = request.job as JobId;
  // Followed before the record is read: a change that commits in between moves the head and is not missed.
  const attachment = hub.follow(connection, id);
  if (attachment === null)
    throw new Refusal("rate_limited", "This connection has no attachment left; detach a job first.");
  try {
    const { userId } = connection;
    const job = userId === null ? null : await store.findOwn(userId, id);
    if (job === null) throw unknownJob();
    if (job.purgedAt !== null) throw new Refusal("job_purged", "The job was deleted.");
    const { after } = request;
    const terminal = isTerminalStatus(job.status);
    const reason = lostCursor(job, after);
    const output = reason === null ? null : await readOutput(store, job);
    if (connection.closed) return;
    const frame: AttachedFrame = {
      type: "attached",
      ...(request.re === undefined ? {} : { re: request.re }),
      job: id,
      after,
      head: job.head,
      oldest: job.oldest,
      status: job.status,
      attempt: job.attempt,
      terminal,
      recovered: reason === null,
      ...(reason === null || output === null ? {} : { reason, output }),
    };
    connection.send(frame);
    // A commit that is announced later, or told by another node, does not begin it anew.
    connection.know(id);
    const cursor = output?.seq ?? after;
    // A change that came meanwhile may know of a cancel that the record did not.
    connection.attach(id, cursor, job.head).silenced ||= isSilenced(job);
    // The terminal event was seen already: nothing will follow, the place is free again.
    if (terminal && cursor >= job.head) connection.detach(attachment);
    if (!terminal) hub.begun(id);
    connection.wake();
  } catch (error) {
    connection.detach(attachment);
    throw error;
  }
}
