/** One job on the client's side: what its log adds up to, and everybody who wants to hear of it. */
import { isTerminalKind, type Json } from "../protocol/events.ts";
import type { AttachedFrame, ErrorFrame } from "../protocol/frames.ts";
import type { JobObject, JobStatus } from "../protocol/jobs.ts";
import type { Acks } from "./acks.ts";
import type { ClientClock } from "./clock.ts";
import { createEmitter } from "./emitter.ts";
import { ClientError } from "./errors.ts";
import { createFollower, type Gap } from "./follow.ts";
import type { JobHandle } from "./handle.ts";
import { endOfEvent, endOfJob, errorOf, statusAfter } from "./job-end.ts";
import { isKnownKind, type JobEnd, type JobEvent, type JobListeners, type LogEvent } from "./job-events.ts";
import type { Memory } from "./memory.ts";
import { createOutput } from "./output.ts";
import type { Requests } from "./requests.ts";
import { createStream } from "./stream.ts";

export interface JobLinks {
  readonly clock: ClientClock;
  readonly random: () => number;
  readonly memory: Memory;
  readonly requests: Requests;
  readonly acks: Acks;
  fetchJob(id: string): Promise<JobObject>;
  cancelJob(id: string): Promise<void>;
  onGap(gap: Gap & { readonly job: string }): void;
  /** The job has ended or is not followed any more. */
  onDone(id: string): void;
}

/** The client's side of a handle. */
export interface LiveJob {
  readonly handle: JobHandle;
  /** Aborted when the handle was closed: a submit under way need not go on. */
  readonly givenUp: AbortSignal;
  /** Last seq that counts as replay in the present attachment. */
  readonly replayUntil: number;
  /** The server has it. With `expected` its events come by themselves; without, they are asked for. */
  accept(job: { readonly id: string; readonly type: string }, expected: boolean): void;
  refuse(error: Error): void;
  receive(event: LogEvent): void;
  /** Told without being asked from where the log goes on. */
  attachedAnew(frame: AttachedFrame): void;
  letGo(frame: ErrorFrame): void;
  /** Asks for everything after the cursor: after a welcome. */
  attach(): void;
  disconnected(): void;
  /** Another job takes its place: its sound ends here, before the server has said so. */
  silence(): void;
}

/** A job that begins after seq `after`, not known to the server yet. */
export function createJob(links: JobLinks, after: number): LiveJob {
  const { memory, requests, acks } = links;
  const emitter = createEmitter<JobListeners>();
  const stream = createStream<JobEvent>();
  const output = createOutput();
  const accepted = Promise.withResolvers<string>();
  const result = Promise.withResolvers<Json>();
  const givenUp = new AbortController();
  // Whoever does not look at these promises still sees the end as an event.
  accepted.promise.catch(() => undefined);
  result.promise.catch(() => undefined);

  let id: string | null = null;
  let type = "";
  let status: JobStatus | "submitting" = "submitting";
  let attempt = 0;
  let progress: JobHandle["progress"] = null;
  let ended: JobEnd | null = null;
  let done = false;
  let silenced = false;

  const follower = createFollower({
    clock: links.clock,
    random: links.random,
    requests,
    after,
    onEvent: take,
    onAttached: attached,
    onGap(gap) {
      emitter.emit("gap", gap);
      links.onGap({ ...gap, job: id ?? "" });
    },
    onRefused: (code, detail) => finish({ outcome: "lost", code, detail }),
  });

  function silence(): void {
    if (silenced) return;
    silenced = true;
    emitter.emit("silenced", {});
  }
  function setStatus(next: JobStatus): void {
    if (next === status) return;
    if (next === "canceling") silence();
    status = next;
    emitter.emit("status", next);
  }
  function handOn(event: JobEvent): void {
    emitter.emit("event", event);
    stream.push(event);
  }

  function attached(frame: AttachedFrame): void {
    attempt = frame.attempt;
    if (!frame.terminal) setStatus(frame.status);
    if (!frame.recovered && frame.output !== undefined) {
      output.replace(frame.output);
      const replaced = {
        kind: "output.replaced",
        job: frame.job,
        seq: frame.output.seq,
        attempt: frame.output.attempt,
        reason: frame.reason ?? "trimmed",
        data: frame.output,
      } as const;
      handOn(replaced);
      emitter.emit("replaced", replaced);
      memory.track({ id: frame.job, type, cursor: follower.cursor });
    }
    emitter.emit("attached", {
      after: follower.cursor,
      head: frame.head,
      recovered: frame.recovered,
    });
    // Nothing will follow: the end itself is behind the cursor, so the job object has to say how it was.
    if (frame.terminal && follower.cursor >= frame.head) void endFromJob(frame.job);
  }
  async function endFromJob(jobId: string): Promise<void> {
    try {
      const job = await links.fetchJob(jobId);
      const end = endOfJob(job);
      if (end === null || done) return;
      acks.handled(jobId, job.head, true);
      finish(end);
    } catch (error) {
      // Without an answer the next attachment tries again; with a refusal there is nothing to wait for.
      if (error instanceof ClientError && error.status !== undefined && error.status < 500) {
        finish({ outcome: "lost", code: error.code, detail: error.message });
      }
    }
  }

  function take(event: LogEvent): void {
    attempt = event.attempt;
    memory.track({ id: event.job, type, cursor: event.seq });
    if (isKnownKind(event)) {
      output.apply(event);
      handOn(event);
      tell(event);
    }
    acks.handled(event.job, event.seq, isTerminalKind(event.kind));
    const next = statusAfter(event.kind);
    if (next !== null) setStatus(next);
    const end = endOfEvent(event);
    if (end !== null) finish(end);
  }
  /** Calls those who listen to one kind only. */
  function tell(event: LogEvent): void {
    const { seq, replayed } = event;
    if (event.kind === "output.text") emitter.emit("text", { ...event.data, seq, replayed });
    else if (event.kind === "output.audio.format") emitter.emit("audioFormat", event.data);
    else if (event.kind === "output.audio") {
      // What has no samples stands for sound that is not sent any more.
      if (silenced || event.data.byteLength === 0) return;
      emitter.emit("audio", { bytes: event.data, format: output.format, seq, replayed });
    } else if (event.kind === "output.data") emitter.emit("data", event.data);
    else if (event.kind === "output.reset") emitter.emit("reset", event.data);
    else if (event.kind === "job.progress") {
      progress = event.data;
      emitter.emit("progress", event.data);
    }
  }

  function settle(): void {
    done = true;
    follower.stop();
    if (id === null) return;
    memory.untrack(id);
    links.onDone(id);
  }
  function finish(end: JobEnd): void {
    if (done) return;
    ended = end;
    if (end.outcome === "canceled") silence();
    settle();
    if (end.outcome !== "lost") setStatus(end.outcome);
    emitter.emit("end", end);
    if (end.outcome === "succeeded") result.resolve(end.result);
    else result.reject(errorOf(end));
    stream.end(end.outcome === "lost" ? errorOf(end) : undefined);
  }
  function giveUp(error: Error): void {
    if (done) return;
    settle();
    givenUp.abort();
    accepted.reject(error);
    result.reject(error);
    stream.end(error);
  }

  const handle: JobHandle = {
    get id() {
      return id;
    },
    accepted: accepted.promise,
    get status() {
      return status;
    },
    get attempt() {
      return attempt;
    },
    get cursor() {
      return follower.cursor;
    },
    get text() {
      return output.text;
    },
    get texts() {
      return output.texts();
    },
    get data() {
      return output.data;
    },
    get progress() {
      return progress;
    },
    get ended() {
      return ended;
    },
    result: result.promise,
    on: (name, listener) => emitter.on(name, listener),
    async cancel() {
      silence();
      await links.cancelJob(await accepted.promise);
    },
    close() {
      if (id !== null && !done) requests.ask({ type: "detach", job: id }, () => undefined);
      giveUp(new ClientError("closed", "The job is not followed any more."));
    },
    [Symbol.asyncIterator]: () => stream.iterate(),
  };

  return {
    handle,
    givenUp: givenUp.signal,
    get replayUntil() {
      return follower.replayUntil;
    },
    accept(job, expected) {
      if (done) return;
      ({ id, type } = job);
      memory.track({ id, type, cursor: follower.cursor });
      accepted.resolve(id);
      follower.begin(id, expected);
    },
    refuse: giveUp,
    receive: (event) => follower.receive(event),
    attachedAnew: (frame) => follower.attachedAnew(frame),
    letGo: (frame) => follower.letGo(frame),
    attach: () => follower.attach(),
    disconnected: () => follower.disconnected(),
    silence,
  };
}
