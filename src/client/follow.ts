/**
 * Follows one log by a cursor: every entry is handed on exactly once and in order, whatever the connection does.
 *
 * While an attach is under way everything that comes for the job belongs to an attachment that is being replaced, and is
 * let go: the answer starts the log anew, right after the cursor. So a fold that begins behind the cursor (which could
 * not be cut exactly) or a gap can only come from a server that breaks the protocol; both are asked for again, never
 * handed on, and with back-off, so that such a server is not hammered.
 */
import type { AttachedFrame, ErrorFrame } from "../protocol/frames.ts";
import { backoffMs } from "./backoff.ts";
import type { ClientClock, ClientTimer } from "./clock.ts";
import type { LogEvent } from "./job-events.ts";
import type { Answer, Requests } from "./requests.ts";

export interface Gap {
  readonly cursor: number;
  readonly first: number;
  readonly seq: number;
}

export interface FollowOptions {
  readonly clock: ClientClock;
  readonly random: () => number;
  readonly requests: Requests;
  /** Last seq the application has already. */
  readonly after: number;
  /** The next entry; the cursor is on it already. */
  onEvent(event: LogEvent): void;
  /** The answer to an attach. `cursor` was moved already when the log could not be read from it. */
  onAttached(frame: AttachedFrame): void;
  onGap(gap: Gap): void;
  /** The server will not let this job be followed. */
  onRefused(code: string, detail: string): void;
}

export interface Follower {
  readonly cursor: number;
  /** Last seq that counts as replay in the present attachment. */
  readonly replayUntil: number;
  /** The job has this id. With `expected` its entries come by themselves; without, they are asked for. */
  begin(id: string, expected: boolean): void;
  /** Asks for everything after the cursor, when there is a connection. */
  attach(): void;
  receive(event: LogEvent): void;
  /** The server attaches anew by itself: the log was trimmed while it was being read. */
  attachedAnew(frame: AttachedFrame): void;
  /** The server stops by itself: the job was deleted while it was being read. */
  letGo(frame: ErrorFrame): void;
  disconnected(): void;
  stop(): void;
}

/** An automatic attachment that has not delivered even seq 1 by then did not happen (the server's limit was reached). */
const EXPECT_FIRST_MS = 1000;

export function createFollower(options: FollowOptions): Follower {
  const { clock, random, requests } = options;
  let id: string | null = null;
  let cursor = options.after;
  let replayUntil = 0;
  let asking = false;
  let stopped = false;
  /** Attaches that led nowhere since the last entry. */
  let failures = 0;
  let timer: ClientTimer | null = null;

  function later(delayMs: number): void {
    timer?.cancel();
    timer = clock.after(delayMs, attach);
  }
  function attach(): void {
    timer?.cancel();
    timer = null;
    if (id === null || stopped) return;
    asking = requests.ask({ type: "attach", job: id, after: cursor }, answered);
  }
  function answered(answer: Answer): void {
    if (stopped) return;
    if (answer?.type === "attached") {
      asking = false;
      replayUntil = answer.head;
      if (!answer.recovered && answer.output !== undefined) cursor = answer.output.seq;
      options.onAttached(answer);
    } else if (answer?.type === "error" && answer.retryable) {
      failures += 1;
      later(backoffMs(failures, random));
    } else if (answer?.type === "error") {
      options.onRefused(answer.code, answer.detail);
    } else {
      asking = false;
    }
  }

  return {
    get cursor() {
      return cursor;
    },
    get replayUntil() {
      return replayUntil;
    },
    begin(jobId, expected) {
      id = jobId;
      if (expected) later(EXPECT_FIRST_MS);
      else attach();
    },
    attach,
    receive(event) {
      if (stopped || asking || event.seq <= cursor) return;
      if (event.first !== cursor + 1) {
        asking = true;
        failures += 1;
        options.onGap({ cursor, first: event.first, seq: event.seq });
        if (failures === 1) attach();
        else later(backoffMs(failures, random));
        return;
      }
      cursor = event.seq;
      failures = 0;
      timer?.cancel();
      timer = null;
      options.onEvent(event);
    },
    attachedAnew(frame) {
      // While an attach is under way its answer is still to come, and starts the log where it says.
      if (!asking) answered(frame);
    },
    letGo(frame) {
      if (!asking) answered(frame);
    },
    disconnected() {
      asking = false;
      timer?.cancel();
      timer = null;
    },
    stop() {
      stopped = true;
      timer?.cancel();
      timer = null;
    },
  };
}
