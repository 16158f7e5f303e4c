/**
 * The output of a remote worker as it comes in: a body of lines that may go on for as long as its run, or one chunk of
 * audio. What arrived is committed before more is read, so that a worker is never ahead of the disk by more than the
 * connection holds.
 */
import { createItemReader, parseLine, type ItemReader } from "../handlers/remote/items.ts";
import type { RemoteRun } from "../handlers/remote/remote.ts";
import { isUnderWay, type Item, type JobRecord } from "../jobs/job.ts";
import { findFormat } from "../jobs/audio.ts";
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";
import { itemSchema } from "../protocol/workers.ts";
import { mediaTypeOf, parseBody, readBytes } from "./body.ts";
import type { HttpServices } from "./call.ts";
import { readLines, type Lines } from "./lines.ts";

/** Most items of one commit, so that one worker cannot make everybody's commit long. */
const COMMIT_ITEMS = 256;

const LINES = /^application\/(?:x-ndjson|ndjson|jsonl|x-jsonlines)$/;
const CHUNK = /^(?:application\/octet-stream|audio\/[\w.+-]+)$/;

export function leaseLost(): Refusal {
  return new Refusal("lease_lost", "This lease does not hold the job, or no longer does.");
}

/** A request that brings output. */
export interface Delivery {
  readonly request: Request;
  readonly run: RemoteRun;
  /** Number of its first item; null when it is not said. */
  readonly first: number | null;
  /** Rejects when the worker may write no more. Asked before each commit: a body may last as long as its run. */
  readonly confirm: () => Promise<unknown>;
}

/** Hands items on and keeps count of them. */
interface Intake {
  /** Number of the next item that the store has not. */
  readonly next: number;
  /** Nothing was committed yet: the lease was not renewed. */
  readonly isNew: boolean;
  commit(items: readonly (readonly Item[])[]): Promise<void>;
}

function itemGap(next: number): Refusal {
  return new Refusal("item_gap", `The next item is ${next}.`, { extra: { next } });
}

function createIntake(
  { remote, jobBytes }: HttpServices,
  { run, first, confirm }: Delivery,
  { items: known }: JobRecord,
): Intake {
  if (first !== null && first > known) throw itemGap(known);
  /** Number of the next item of this body: behind `next` as long as its items are known already. */
  let position = first;
  let next = known;
  let isNew = true;
  return {
    get next() {
      return next;
    },
    get isNew() {
      return isNew;
    },
    async commit(items) {
      isNew = false;
      await confirm();
      const outcome = await remote.deliver(run, position, items);
      if (outcome === "lease_lost") throw leaseLost();
      if (outcome === "output_too_large") {
        throw new Refusal(
          "payload_too_large",
          `The job's log is over jobBytes (${jobBytes} bytes); it has failed.`,
          {
            extra: { limit: "jobBytes", limitBytes: jobBytes },
          },
        );
      }
      ({ next } = outcome);
      if (outcome.kind === "item_gap") throw itemGap(next);
      position = position === null ? outcome.next : position + items.length;
    },
  };
}

/** The lines that come next. A race against a promise that outlives the body would keep all that it ever lost to. */
function linesUntil(over: AbortSignal, lines: Lines): Promise<readonly string[] | "over" | null> {
  if (over.aborted) return Promise.resolve("over");
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve("over");
    over.addEventListener("abort", stop, { once: true });
    lines
      .next()
      .then(resolve, reject)
      .finally(() => over.removeEventListener("abort", stop));
  });
}

/** Resolves with `over` when the run ended before the body did. */
async function takeLines(
  stream: ReadableStream<Uint8Array>,
  reader: ItemReader,
  intake: Intake,
  over: AbortSignal,
): Promise<"over" | null> {
  const lines = readLines(stream);
  let items: (readonly Item[])[] = [];
  const flush = async (): Promise<void> => {
    const taken = items;
    items = [];
    if (taken.length > 0) await intake.commit(taken);
  };
  try {
    for (;;) {
      const arrived = await linesUntil(over, lines);
      if (arrived === "over") lines.cancel();
      if (arrived === null || arrived === "over") return arrived;
      for (const line of arrived) {
        items.push(await reader.entries(parseBody(itemSchema, parseLine(line))));
        if (items.length >= COMMIT_ITEMS) await flush();
      }
      await flush();
    }
  } catch (error) {
    lines.cancel();
    // What stands before the line that is wrong was said, and stays.
    await flush();
    throw error;
  }
}

/** `over` is aborted when nothing of this run can be written any more, or its worker is to finish; until `release`. */
function whenOver({ feed, remote }: HttpServices, { id, attempt }: JobRecord) {
  const over = new AbortController();
  const unsubscribe = feed.subscribe(id, "transitions", (job) => {
    // What is told of an earlier run came late.
    if (job.attempt > attempt || (job.attempt === attempt && !isUnderWay(job))) over.abort();
  });
  const forget = remote.onTerminated(() => over.abort());
  return {
    over: over.signal,
    release: (): void => {
      unsubscribe();
      forget();
    },
  };
}

/** A refusal that tells which item comes next, and closes: the rest of the body is not read. */
function withNext(error: unknown, next: number): unknown {
  if (!(error instanceof Refusal) || error.code === "lease_lost") return error;
  const { code, message, errors, extra, headers } = error;
  return new Refusal(code, message, {
    ...(errors === undefined ? {} : { errors }),
    extra: { next, ...extra },
    headers: { ...headers, Connection: "close" },
  });
}

/** Takes the items of a request. Resolves with the number of the next item; rejects with 400, 401, 408, 409, 413, 415. */
export async function takeItems(services: HttpServices, delivery: Delivery): Promise<number> {
  const { request, run } = delivery;
  const type = mediaTypeOf(request.headers);
  const isChunk = CHUNK.test(type);
  if (!isChunk && !LINES.test(type)) {
    throw new Refusal(
      "unsupported_media_type",
      "The body must be application/x-ndjson, application/octet-stream or audio/*.",
    );
  }
  const { store, remote, limits, clock, keepOpen } = services;
  const job = await remote.held(run);
  if (job === null) throw leaseLost();
  const reader = createItemReader({
    eventBytes: limits.eventBytes,
    formatBefore: async () => {
      const now = await store.find(job.id);
      return now === null ? null : findFormat(store, now, now.head + 1);
    },
  });
  const intake = createIntake(services, delivery, job);
  const { over, release } = whenOver(services, job);
  try {
    if (isChunk) {
      const bodyBytes = LIMITS.audioChunkBytes;
      const bytes = await readBytes(request, { bodyBytes, clock, limit: "audioChunkBytes" });
      await intake.commit([await reader.audio(bytes)]);
    } else if (request.body !== null) {
      keepOpen(request);
      // A body without a length may be quiet for long, and its worker is heard of all the same.
      if (!request.headers.has("content-length")) await intake.commit([]);
      const ended = await takeLines(request.body, reader, intake, over);
      if (ended === "over" && remote.control !== "terminate" && !(await remote.wasEnded(run)))
        throw leaseLost();
    }
    if (intake.isNew) await intake.commit([]);
  } catch (error) {
    // The worker left: what it sent is kept, and nobody reads the answer.
    if (request.signal.aborted && !(error instanceof Refusal))
      throw new Refusal("invalid_request", "The body broke off.", { cause: error });
    throw withNext(error, intake.next);
  } finally {
    release();
  }
  return intake.next;
}
