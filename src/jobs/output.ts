/** The output of a job so far, folded from the latest attempt's entries (PROTOCOL section 3, `GET …/output`). */
import type { Json } from "../protocol/events.ts";
import type { OutputObject } from "../protocol/jobs.ts";
import { isTerminalStatus } from "../protocol/job-status.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { JobRecord, StoredEvent } from "./job.ts";
import { resultOf } from "./result.ts";
import type { JobStore } from "./store.ts";

interface Gathered {
  readonly texts: Map<number, string>;
  readonly data: Json[];
  format: Json | null;
  audioBytes: number;
}

function gather(into: Gathered, event: StoredEvent): void {
  if (event.kind === "output.audio") {
    into.audioBytes += typeof event.data === "string" ? 0 : event.data.byteLength;
  } else if (event.kind === "output.data") {
    into.data.push(
      typeof event.data === "string" ? (JSON.parse(event.data) as Json) : { bytes: event.data.toBase64() },
    );
  } else if (event.kind === "output.text" && typeof event.data === "string") {
    const { delta, index } = JSON.parse(event.data) as { delta: string; index: number };
    into.texts.set(index, (into.texts.get(index) ?? "") + delta);
  } else if (event.kind === "output.audio.format" && typeof event.data === "string") {
    into.format = JSON.parse(event.data) as Json;
  }
}

/** After retention took the log, the result is what is left: its `text` if it has one. */
function fromResult(result: string | null): string {
  const value = result === null ? null : (JSON.parse(result) as Json);
  const text = typeof value === "object" && value !== null && "text" in value ? value["text"] : "";
  return typeof text === "string" ? text : "";
}

/** Where the audio of a job can be fetched. */
export function audioUrl(job: JobRecord): string {
  return `/v1/jobs/${job.id}/audio`;
}

/**
 * Reads the log from the start of the present output up to `job.head`. `seq` is where to go on from: for a finished
 * job just before its terminal entry, so that whoever goes on from there still hears how it ended.
 */
export async function readOutput(store: JobStore, job: JobRecord): Promise<OutputObject> {
  const terminal = isTerminalStatus(job.status);
  const upTo = terminal ? job.head - 1 : job.head;
  const gathered: Gathered = { texts: new Map(), data: [], format: null, audioBytes: 0 };
  if (job.oldest > job.outputAfter + 1) {
    const last = await store.events(job.id, { after: job.head - 1, limit: 1, bytes: 1 });
    gathered.texts.set(0, fromResult(resultOf(job, last[0])));
  } else {
    for (let after = job.outputAfter; after < upTo;) {
      const page = await store.events(job.id, {
        after,
        limit: Math.min(LIMITS.replayPageEvents, upTo - after),
        bytes: LIMITS.replayPageBytes,
      });
      if (page.length === 0) break;
      for (const event of page) gather(gathered, event);
      after = page.at(-1)?.seq ?? upTo;
    }
  }
  const { texts, data, format, audioBytes } = gathered;
  const indexed = [...texts].toSorted(([a], [b]) => a - b).map(([index, text]) => ({ index, text }));
  return {
    text: texts.get(0) ?? "",
    ...(indexed.some(({ index }) => index > 0) ? { texts: indexed } : {}),
    seq: upTo,
    attempt: job.attempt,
    data,
    ...(audioBytes > 0 && format !== null
      ? { audio: { format, bytes: audioBytes, url: audioUrl(job) } }
      : {}),
  };
}
