/** Reads what the server itself has of a load: over HTTP while it runs and is killed, from its database when it has stopped. */
import { toEventText } from "../../jobs/event-text.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import type { JobId } from "../../lib/ids.ts";
import type { StorageBeside } from "../../storage.ts";
import type { LogEntry } from "./history.ts";

const PAGE_EVENTS = 1000;
const PAGE_JOBS = 200;
const ANSWER_MS = 10_000;
const AGAIN_MS = 100;
/** A page from the database. */
const PAGE_BYTES = 16 * 1024 * 1024;

export interface Reader {
  readonly url: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  token(): string | null;
}

/** The answer's JSON; asks again for as long as the server is away. Null when what is asked for is not there. */
async function ask<Body>(reader: Reader, path: string): Promise<Body | null> {
  for (;;) {
    try {
      const answer = await fetch(`${reader.url}${path}`, {
        headers: { authorization: `Bearer ${reader.token() ?? ""}` },
        signal: AbortSignal.any([reader.signal, AbortSignal.timeout(ANSWER_MS)]),
        proxy: false,
      });
      if (answer.status === 404 || answer.status === 410) return null;
      if (answer.ok) return (await answer.json()) as Body;
      await answer.body?.cancel();
    } catch (error) {
      if (reader.signal.aborted) throw error;
    }
    await sleep(reader.clock, AGAIN_MS, reader.signal);
  }
}

/** The whole log of a job as its user reads it; empty when the job is unknown. */
export async function readLog(reader: Reader, job: string): Promise<LogEntry[]> {
  const log: LogEntry[] = [];
  for (let after: number | null = 0; after !== null;) {
    const path: string = `/v1/jobs/${job}/events?after=${after}&limit=${PAGE_EVENTS}`;
    const page: { events: LogEntry[]; next: number | null } | null = await ask(reader, path);
    if (page === null) return log;
    log.push(...page.events);
    // An empty page of an unfinished job gives the same cursor again: what is there was read.
    after = page.events.length === 0 ? null : page.next;
  }
  return log;
}

/** Ids of all jobs of the reader's user. */
export async function listJobs(reader: Reader): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ""; cursor !== null;) {
    const from: string = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page: { items: { id: string }[]; next: string | null } | null = await ask(
      reader,
      `/v1/jobs?limit=${PAGE_JOBS}${from}`,
    );
    ids.push(...(page?.items ?? []).map(({ id }) => id));
    cursor = page?.next ?? null;
  }
  return ids;
}

/** The whole log of a job as the database file has it; null when there is no such job. */
export async function readStoredLog(
  { jobs }: Pick<StorageBeside, "jobs">,
  job: string,
): Promise<LogEntry[] | null> {
  const id = job as JobId;
  const record = await jobs.find(id);
  if (record === null) return null;
  const log: LogEntry[] = [];
  while (log.length < record.head) {
    const page = await jobs.events(id, {
      after: log.at(-1)?.seq ?? 0,
      limit: PAGE_EVENTS,
      bytes: PAGE_BYTES,
    });
    if (page.length === 0) break;
    log.push(...page.map((event) => JSON.parse(toEventText(id, event)) as LogEntry));
  }
  return log;
}
