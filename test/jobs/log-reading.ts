/** What a log alone says of its job: an independent reading, to hold the record against. */
import type { JobRecord, StoredEvent } from "../../src/jobs/job.ts";
import { isOutputKind, isTerminalKind } from "../../src/protocol/events.ts";
import type { JobStatus } from "../../src/protocol/jobs.ts";

/** The status each kind of entry leaves a job in; the others leave it as it was. */
const STATUS_AFTER: Readonly<Partial<Record<StoredEvent["kind"], JobStatus>>> = {
  "job.queued": "queued",
  "job.started": "running",
  "job.retrying": "retrying",
  "job.canceling": "canceling",
  "job.succeeded": "succeeded",
  "job.failed": "failed",
  "job.canceled": "canceled",
  "job.expired": "expired",
};

interface Reading {
  status: JobStatus;
  attempt: number;
  head: number;
  errors: number;
  lostLeases: number;
  releases: number;
  outputAfter: number;
  hasOutput: boolean;
  finishedAt: number | null;
}

export function readLog(events: readonly StoredEvent[]): Reading {
  const reading: Reading = {
    status: "queued",
    attempt: 0,
    head: 0,
    errors: 0,
    lostLeases: 0,
    releases: 0,
    outputAfter: 0,
    hasOutput: false,
    finishedAt: null,
  };
  for (const { seq, kind, data, at } of events) {
    reading.head = seq;
    reading.status = STATUS_AFTER[kind] ?? reading.status;
    if (kind === "job.started") reading.attempt += 1;
    if (isTerminalKind(kind)) reading.finishedAt = at;
    if (isOutputKind(kind)) reading.hasOutput = true;
    if (kind === "output.reset") {
      reading.outputAfter = seq;
      reading.hasOutput = false;
    }
    if (kind !== "job.retrying" && kind !== "job.failed") continue;
    const said = JSON.parse(String(data)) as { reason?: string; error?: { origin: string } };
    if (said.reason === "released") reading.releases += 1;
    else if (said.reason === "error") reading.errors += 1;
    else if (said.reason !== undefined || said.error?.origin === "worker_lost") reading.lostLeases += 1;
    else reading.errors += 1;
  }
  return reading;
}

/** The part of a record that its log says too. */
export function readable(job: JobRecord, releases: number): Reading {
  const { status, attempt, head, errors, lostLeases, outputAfter, hasOutput, finishedAt } = job;
  return { status, attempt, head, errors, lostLeases, releases, outputAfter, hasOutput, finishedAt };
}
