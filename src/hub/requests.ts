/** What a client asks for over its socket: frames parsed, bounded, and answered one after the other (PROTOCOL section 5). */
import type { JobStore } from "../jobs/store.ts";
import { createBuckets } from "../lib/bucket.ts";
import { instant, type Clock } from "../lib/clock.ts";
import { isUuid, type JobId } from "../lib/ids.ts";
import { parseJson } from "../lib/json.ts";
import type { Logger } from "../lib/logger.ts";
import { ERROR_CODES } from "../protocol/codes.ts";
import { Refusal } from "../protocol/error.ts";
import { clientFrameSchema, type ClientFrame } from "../protocol/frames.ts";
import { LIMITS } from "../protocol/limits.ts";
import { attach } from "./attach.ts";
import type { Connection } from "./connection.ts";
import type { Hub } from "./hub.ts";
import type { Rooms } from "./rooms/rooms.ts";

export interface RequestsOptions {
  readonly hub: Hub;
  readonly rooms: Rooms;
  readonly store: JobStore;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Frames of one user, over all its connections; 0 = no limit. */
  readonly framesPerMinute: number;
  /** Binds the connection's session to a fresh user token and sends the session token that follows from it. */
  readonly refresh: (connection: Connection, token: string) => Promise<void>;
}

/** What is counted of one connection's frames, and those that wait for their turn. */
export interface Inbox {
  readonly waiting: ClientFrame[];
  /** How many of them, the first ones, came before the user was known and are not counted yet. */
  uncounted: number;
  answering: boolean;
  /** Steady times of malformed frames within the last minute. */
  malformed: number[];
  /** Frames that were refused as too many, and since when they are counted. */
  refused: number;
  refusedSinceMs: number;
}

export interface Requests {
  createInbox(): Inbox;
  /** One message of the socket, whatever it holds. */
  receive(connection: Connection, inbox: Inbox, message: string | Uint8Array): void;
  /** Answers what waits; called when the welcome was sent. */
  resume(connection: Connection, inbox: Inbox): void;
}

const MINUTE_MS = 60_000;
/** How much of a name that a client made up is repeated to it. */
const NAME_CHARS = 64;

function parseFrame(
  message: string | Uint8Array,
): ClientFrame | { readonly malformed: string; readonly re?: string } {
  if (typeof message !== "string") return { malformed: "binary frames are sent by the server only" };
  const parsed = parseJson(message, { depth: LIMITS.jsonDepth });
  if (!parsed.ok) return { malformed: `${parsed.fault.pointer || "the frame"} ${parsed.fault.detail}` };
  const frame = clientFrameSchema.safeParse(parsed.value);
  if (frame.success) return frame.data;
  const id = (parsed.value as { id?: unknown } | null)?.id;
  const issue = frame.error.issues[0];
  const place = issue === undefined || issue.path.length === 0 ? "the frame" : `/${issue.path.join("/")}`;
  // Names of unknown fields are the client's words, as many and as long as it likes: the first is told, shortened.
  const unknown = issue?.code === "unrecognized_keys" ? (issue.keys[0] ?? "").slice(0, NAME_CHARS) : null;
  const fault =
    unknown === null ? (issue?.message ?? "not valid") : `${JSON.stringify(unknown)} is not a known field`;
  return {
    malformed: `${place}: ${fault}`,
    ...(typeof id === "string" && id.length <= LIMITS.frameIdChars ? { re: id } : {}),
  };
}

export function createRequests(options: RequestsOptions): Requests {
  const { hub, rooms, store, clock, logger } = options;
  const frames = createBuckets({ clock, perMinute: options.framesPerMinute, keysMost: LIMITS.rateKeys });

  const malformed = (connection: Connection, inbox: Inbox, detail: string, re: string | undefined): void => {
    const nowMs = clock.steadyMs();
    inbox.malformed = inbox.malformed.filter((at) => at > nowMs - MINUTE_MS);
    inbox.malformed.push(nowMs);
    connection.refuse(new Refusal("invalid_request", detail), re);
    if (inbox.malformed.length >= LIMITS.malformedPerMinute) connection.close("protocol_error");
  };

  /** Counts the frame; false when it is one too many. A flood that goes on after it was told as often is closed. */
  const admit = (connection: Connection, inbox: Inbox, re: string | undefined): boolean => {
    const { framesPerMinute } = options;
    if (frames.take(connection.userId ?? "") >= 0) return true;
    const nowMs = clock.steadyMs();
    if (nowMs - inbox.refusedSinceMs >= MINUTE_MS) {
      inbox.refusedSinceMs = nowMs;
      inbox.refused = 0;
    }
    inbox.refused += 1;
    const detail = `At most ${framesPerMinute} frames a minute of one user (framesPerMinute).`;
    connection.refuse(new Refusal("rate_limited", detail), re);
    if (inbox.refused > framesPerMinute) connection.close("protocol_error");
    return false;
  };

  const acknowledge = async (connection: Connection, job: string, seq: number): Promise<void> => {
    const { userId } = connection;
    const record = isUuid(job) && userId !== null ? await store.findOwn(userId, job as JobId) : null;
    if (record === null) throw new Refusal("not_found", "No such job.");
    if (record.purgedAt !== null) throw new Refusal("job_purged", "The job was deleted.");
    if (seq > record.head) throw new Refusal("invalid_request", `/seq: the log ends at ${record.head}`);
    // Only the receipt of the terminal event is kept; earlier ones are what a later attach says anyway.
    if (record.finishedAt === null || seq < record.head || connection.sessionId === null) return;
    await store.execute({
      op: "acknowledge",
      at: instant(clock),
      id: record.id,
      sessionId: connection.sessionId,
      seq,
    });
  };

  /** Answers one frame; true when `ok` is still to be said. */
  const answer = async (connection: Connection, frame: ClientFrame): Promise<boolean> => {
    switch (frame.type) {
      case "attach":
        await attach(hub, store, connection, {
          job: frame.job,
          after: frame.after ?? 0,
          ...(frame.id === undefined ? {} : { re: frame.id }),
        });
        return false;
      case "detach": {
        const job = frame.job as JobId;
        const attachment = connection.attachments.get(job);
        // Another node may have accepted it, and not be heard yet.
        if (isUuid(job)) connection.know(job);
        if (attachment !== undefined) connection.detach(attachment);
        return true;
      }
      case "ack":
        await acknowledge(connection, frame.job, frame.seq);
        return true;
      case "pong":
        return false;
      case "refresh":
        await options.refresh(connection, frame.token);
        return true;
      case "join":
        await rooms.join(connection, frame);
        // With `after` it was answered by `history`.
        return frame.after === undefined;
      case "leave":
        await rooms.leave(connection, frame.room);
        return true;
      case "say":
        await rooms.say(connection, frame.room, frame.data);
        return true;
      case "presence":
        await rooms.choose(connection, frame.status);
        return true;
    }
  };

  const drainInbox = async (connection: Connection, inbox: Inbox): Promise<void> => {
    inbox.answering = true;
    for (
      let frame = inbox.waiting.shift();
      frame !== undefined && !connection.closed;
      // Who does not read is not answered either: answers would pile up beside the log.
      frame = connection.paused ? undefined : inbox.waiting.shift()
    ) {
      if (inbox.uncounted > 0) {
        inbox.uncounted -= 1;
        if (!admit(connection, inbox, frame.id)) continue;
      }
      try {
        const sayOk = await answer(connection, frame);
        if (sayOk && frame.id !== undefined) connection.send({ type: "ok", re: frame.id });
      } catch (error) {
        if (!(error instanceof Refusal))
          logger.error({ error, frame: frame.type }, "a frame could not be answered");
        const refusal =
          error instanceof Refusal
            ? error
            : new Refusal("internal", ERROR_CODES.internal.title, { cause: error });
        connection.refuse(refusal, frame.id);
      }
    }
    inbox.answering = false;
  };

  const resume = (connection: Connection, inbox: Inbox): void => {
    if (!inbox.answering && !connection.opening && !connection.paused) void drainInbox(connection, inbox);
  };

  return {
    createInbox: () => ({
      waiting: [],
      uncounted: 0,
      answering: false,
      malformed: [],
      refused: 0,
      refusedSinceMs: 0,
    }),

    receive(connection, inbox, message) {
      if (connection.closed) return;
      hub.heard(connection);
      const frame = parseFrame(message);
      if ("malformed" in frame) {
        malformed(connection, inbox, frame.malformed, frame.re);
        return;
      }
      // The answer to a ping is free; a pong that nobody asked for counts like anything else.
      if (frame.type === "pong" && connection.awaitsPong) {
        connection.awaitsPong = false;
        return;
      }
      if (connection.userId === null) inbox.uncounted += 1;
      else if (!admit(connection, inbox, frame.id)) return;
      if (inbox.waiting.length >= LIMITS.inboxFrames) {
        connection.close("overloaded");
        return;
      }
      inbox.waiting.push(frame);
      resume(connection, inbox);
    },

    resume,
  };
}
