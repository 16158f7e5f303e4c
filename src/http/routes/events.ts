/** `/v1/jobs/{id}/events`, `/output` and `/audio`: what a job wrote, as pages, as a live stream, as a file. */
import { openAudio, type AudioFile } from "../../jobs/audio.ts";
import { followLog } from "../../jobs/follow.ts";
import { lostCursor, type JobRecord, type StoredEvent } from "../../jobs/job.ts";
import { toEventText } from "../../jobs/event-text.ts";
import { readOutput } from "../../jobs/output.ts";
import { Refusal } from "../../protocol/error.ts";
import { isTerminalKind } from "../../protocol/events.ts";
import { isTerminalStatus } from "../../protocol/jobs.ts";
import { LIMITS } from "../../protocol/limits.ts";
import { jsonResponse, refuseRevoked, type Call, type HttpServices, untilGone } from "../call.ts";
import { intParameter } from "../query.ts";
import { streamBody } from "../stream-body.ts";
import { ownJob } from "./jobs.ts";

type Form = "json" | "sse" | "ndjson";

const STREAM_TYPES = { sse: "text/event-stream", ndjson: "application/x-ndjson" } as const;

/** Which of the three forms the client takes; the first it names that is known. */
function negotiate(headers: Headers): Form {
  const accept = headers.get("accept") ?? "*/*";
  for (const part of accept.toLowerCase().split(",")) {
    const [type = "", ...parameters] = part.split(";").map((piece) => piece.trim());
    if (parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) continue;
    if (type === STREAM_TYPES.sse) return "sse";
    if (type === STREAM_TYPES.ndjson) return "ndjson";
    if (type === "application/json" || type === "application/*" || type === "*/*") return "json";
  }
  throw new Refusal(
    "not_acceptable",
    "Events come as application/json, text/event-stream or application/x-ndjson.",
  );
}

function refuseLostCursor(job: JobRecord, after: number): void {
  const reason = lostCursor(job, after);
  if (reason === null) return;
  throw new Refusal(
    "cursor_expired",
    `The log holds ${job.oldest} to ${job.head}; it cannot be read after ${after}.`,
    {
      extra: { reason, oldest: job.oldest, head: job.head, outputUrl: `/v1/jobs/${job.id}/output` },
    },
  );
}

/** `Last-Event-ID` is what a reconnecting EventSource knows best, so it wins over the URL it was given once. */
function startingPoint(call: Call, form: Form): number {
  const url = call.env.url;
  const bounds = { least: 0, most: Number.MAX_SAFE_INTEGER, preset: 0 };
  const lastEventId = form === "sse" ? call.req.header("last-event-id") : undefined;
  if (lastEventId === undefined || lastEventId === "") return intParameter(url, "after", bounds);
  const given = new URL(url);
  given.searchParams.set("Last-Event-ID", lastEventId);
  return intParameter(given, "Last-Event-ID", bounds);
}

export async function readEvents(services: HttpServices, call: Call): Promise<Response> {
  const { job } = await ownJob(services, call);
  const form = negotiate(call.req.raw.headers);
  const after = startingPoint(call, form);
  const bounds = { least: 1, most: LIMITS.eventsPage, preset: LIMITS.eventsPageDefault };
  const limit = intParameter(call.env.url, "limit", bounds);
  refuseLostCursor(job, after);
  if (form !== "json") return streamResponse(services, call, job, after, form);
  const events = await services.store.events(job.id, { after, limit, bytes: LIMITS.eventsPageBytes });
  const last = events.at(-1);
  const terminal = isTerminalStatus(job.status);
  const done = last === undefined ? terminal && after >= job.head : isTerminalKind(last.kind);
  const list = events.map((event) => toEventText(job.id, event)).join(",");
  const rest = JSON.stringify({
    head: Math.max(job.head, last?.seq ?? 0),
    oldest: job.oldest,
    terminal: terminal || done,
    next: done ? null : (last?.seq ?? after),
  });
  return new Response(`{"events":[${list}],${rest.slice(1)}`, {
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
  });
}

function encodeFor(form: "sse" | "ndjson", job: JobRecord, page: readonly StoredEvent[]): string {
  if (page.length === 0) return form === "sse" ? ": still here\n\n" : "";
  if (form === "ndjson") return page.map((event) => `${toEventText(job.id, event)}\n`).join("");
  return page.map((event) => `id: ${event.seq}\ndata: ${toEventText(job.id, event)}\n\n`).join("");
}

function streamResponse(
  services: HttpServices,
  call: Call,
  job: JobRecord,
  after: number,
  form: "sse" | "ndjson",
): Response {
  const { store, feed, clock, limits } = services;
  // An EventSource comes back after every end; 204 is what tells it that there is nothing more.
  if (form === "sse" && isTerminalStatus(job.status) && after >= job.head)
    return new Response(null, { status: 204 });
  services.keepOpen(call.req.raw);
  const request = call.req.raw;
  const { signal, release } = untilGone(services, request);
  const pages = followLog({
    store,
    feed,
    clock,
    id: job.id,
    after,
    signal,
    quietMs: LIMITS.sseCommentMs,
    pageBytes: Math.min(LIMITS.replayPageBytes, limits.queueBytes),
  });
  const body = streamBody({
    pages,
    encode(page) {
      const text = encodeFor(form, job, page);
      services.streamed(page.length, Buffer.byteLength(text));
      return text;
    },
    // The headers go out with the first bytes: who has seen all there is should not wait for the next entry.
    opening: form === "sse" && after >= job.head ? ": following\n\n" : "",
    // Nobody is shown what he was shut out from.
    mayGoOn: () =>
      refuseRevoked(services, call).then(
        () => true,
        () => false,
      ),
    clock,
    stalledMs: LIMITS.stalledMs,
    onStalled: () => services.giveUp(request),
    onEnd: release,
  });
  return new Response(body, {
    headers: { "Content-Type": STREAM_TYPES[form], "Cache-Control": "no-store", "X-Accel-Buffering": "no" },
  });
}

export async function readJobOutput(services: HttpServices, call: Call): Promise<Response> {
  const { job } = await ownJob(services, call);
  return jsonResponse(200, await readOutput(services.store, job));
}

/** One `bytes=` range (RFC 9110 section 14); null when the header asks for something else, which is then ignored. */
function parseRange(header: string | undefined, size: number): { start: number; end: number } | null {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header?.trim() ?? "");
  if (match === null || (match[1] === "" && match[2] === "")) return null;
  const start = match[1] === "" ? Math.max(size - Number(match[2]), 0) : Number(match[1]);
  const end = match[1] === "" || match[2] === "" ? size : Math.min(Number(match[2]) + 1, size);
  if (start >= size || end <= start) {
    throw new Refusal("range_not_satisfiable", `The audio has ${size} bytes.`, {
      headers: { "Content-Range": `bytes */${size}` },
    });
  }
  return { start, end };
}

/** A stream whose first bytes take a while is sent in chunks, without its length: what is short is read at once. */
async function fileBody(
  file: AudioFile,
  start: number,
  end: number,
): Promise<ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer>> {
  const chunks = file.read(start, end);
  if (end - start <= LIMITS.wholeFileBytes) return Buffer.concat(await Array.fromAsync(chunks));
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
}

export async function readAudio(services: HttpServices, call: Call): Promise<Response> {
  const { job } = await ownJob(services, call);
  const file = await openAudio(services.store, job);
  if (file === null) throw new Refusal("no_audio", "The latest attempt of this job has no audio.");
  const terminal = isTerminalStatus(job.status);
  const headers: Record<string, string> = {
    "Content-Type": file.contentType,
    "Cache-Control": "no-store",
    "Accept-Ranges": terminal ? "bytes" : "none",
  };
  const range = terminal ? parseRange(call.req.header("range"), file.size) : null;
  const { start, end } = range ?? { start: 0, end: file.size };
  if (range !== null) headers["Content-Range"] = `bytes ${start}-${end - 1}/${file.size}`;
  headers["Content-Length"] = String(end - start);
  const body = call.req.method === "HEAD" ? null : await fileBody(file, start, end);
  return new Response(body, { status: range === null ? 200 : 206, headers });
}
