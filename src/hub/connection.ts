/**
 * One socket and what it is attached to: an outbox that never outgrows its bound, and one cursor for each job.
 *
 * Live and replay are the same thing here: "send what follows my cursor". A committed change is sent as it is when the
 * cursor stands right before it and the socket takes more; otherwise it only moves the head, and the pump reads the log
 * from the cursor as soon as the socket drained. So a slow reader costs a bounded queue, and nobody else notices.
 */
import type { JobStore } from "../jobs/store.ts";
import type { JobId, SessionId, UserId } from "../lib/ids.ts";
import { CLOSE_CODES, mayReconnect, type CloseName } from "../protocol/codes.ts";
import type { Refusal } from "../protocol/error.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import { LIMITS } from "../protocol/limits.ts";
import { encodePage, type LogFrame } from "./encode.ts";

/** What the hub needs of a WebSocket; the server's native one has just this shape. */
export interface Socket {
  /** Bytes sent; -1: queued, wait for the drain; 0: dropped or closed. */
  send(data: string | Uint8Array<ArrayBuffer>): number;
  close(code: number, reason: string): void;
  /** Writes of one call go out together. */
  cork(run: () => void): void;
  getBufferedAmount(): number;
}

/** One job followed by one connection. */
export interface Attachment {
  readonly job: JobId;
  readonly connection: Connection;
  /** Last seq handed to the socket; infinite while the attach is still being answered. */
  cursor: number;
  /** Last seq that waits in the outbox of the present flush; `cursor` otherwise. */
  queued: number;
  /** Newest committed seq that is known here. */
  head: number;
  /** Its sound is not wanted any more: what was not sent yet goes out without. */
  silenced: boolean;
}

export interface ConnectionOptions {
  readonly socket: Socket;
  readonly store: JobStore;
  readonly queueBytes: number;
  /** The connection no longer follows the job. */
  readonly onDetached: (attachment: Attachment) => void;
  /** The log was no longer whole behind the cursor: the attachment has to be answered anew. */
  readonly onGap: (attachment: Attachment) => void;
  readonly onError: (error: unknown) => void;
}

interface Outgoing {
  readonly attachment: Attachment;
  readonly frame: LogFrame;
}

export class Connection {
  /** Known once the credential was judged. */
  sessionId: SessionId | null = null;
  userId: UserId | null = null;
  readonly attachments = new Map<JobId, Attachment>();
  closed = false;
  /** The socket took no more; waits for its drain. */
  paused = false;
  /** Steady time since which a paused socket has not taken a byte, and what it had buffered then. */
  stalledSinceMs = 0;
  stalledBytes = 0;
  lastHeardMs = 0;
  /** Nothing was heard for too long when it was last looked at. */
  silent = false;
  nextPingMs = 0;
  /** A ping was sent and not answered yet. */
  awaitsPong = false;
  renewTokenMs = Number.POSITIVE_INFINITY;
  /** Wall time at which the session token it holds ends. */
  tokenEndsAt = 0;
  /** When the user token and its grace are over, by the clock's elapsed time: a pause of this process extends nothing. */
  endsMs = Number.POSITIVE_INFINITY;
  /** Until the welcome was sent no log flows; jobs of the session that come meanwhile are followed already. */
  opening = true;
  /** Jobs that the welcome listed: they flow when the client asks for them. */
  listed: ReadonlySet<JobId> = new Set();
  /** Questions to the store that came later see more than the welcome did (hub/watchers.ts). */
  welcomedAt = 0;
  /** Other nodes' jobs up to this id are not new to it: the welcome lists none that is older, or `known` forgot them. */
  newAfter = "";
  /** Young jobs that it has followed, or was told not to: however often they are heard of, they are not new. */
  readonly known = new Set<JobId>();

  readonly #options: ConnectionOptions;
  #outbox: Outgoing[] = [];
  #pumping = false;
  /** What was told while the socket took nothing. */
  readonly #live: string[] = [];
  #liveBytes = 0;
  #drained: (() => void)[] = [];
  #opened: (() => void)[] = [];

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  get socket(): Socket {
    return this.#options.socket;
  }

  /** Sends a frame that is no part of a log. */
  send(frame: ServerFrame): void {
    this.#write(JSON.stringify(frame));
  }

  /**
   * Sends a frame that nobody keeps, serialized once for all who get it. False when this connection does not take it:
   * it is not open yet, is closed, or has its most waiting.
   */
  pass(frame: string): boolean {
    if (this.opening || this.closed) return false;
    const buffered = this.socket.getBufferedAmount();
    if (buffered > 0) this.#pause();
    return buffered < this.#options.queueBytes && this.#write(frame);
  }

  /**
   * Sends what is told live to many, serialized once for all of them; false when this client does not get it. While the
   * socket takes nothing it waits here, up to `queueBytes`; beyond, the connection is closed, so that its client knows
   * that it missed something: nothing is dropped in silence, and nobody waits for a reader that is slow.
   */
  tell(frame: string): boolean {
    if (this.opening || this.closed) return false;
    if (this.#live.length === 0 && this.pass(frame)) return true;
    this.#liveBytes += Buffer.byteLength(frame);
    this.#live.push(frame);
    if (this.#liveBytes <= this.#options.queueBytes) return true;
    this.close("slow_consumer");
    return false;
  }

  /** Sends what waits of it, as far as the socket takes it. */
  #tellWaiting(): void {
    let sent = 0;
    for (const frame of this.#live) {
      if (!this.pass(frame)) break;
      sent += 1;
    }
    for (const frame of this.#live.splice(0, sent)) this.#liveBytes -= Buffer.byteLength(frame);
    if (this.#live.length > 0 && !this.closed) this.#pause();
  }

  /** The job cannot be followed any more, though nobody asked. */
  letGo(job: JobId, { code, message, retryable }: Refusal): void {
    this.send({ type: "error", job, code, detail: message, retryable });
  }

  /** Tells the client what was refused; `re` names the frame that asked for it. */
  refuse(refusal: Refusal, re?: string): void {
    const { code, message, retryable } = refusal;
    this.send({ type: "error", ...(re === undefined ? {} : { re }), code, detail: message, retryable });
  }

  #write(data: string | Uint8Array<ArrayBuffer>): boolean {
    if (this.closed) return false;
    const sent = this.socket.send(data);
    if (sent > 0) return true;
    if (sent === -1) {
      this.#pause();
      return true;
    }
    // Dropped: what the client holds has a hole now. It has to come back and resume.
    this.closed = true;
    this.socket.close(CLOSE_CODES.slow_consumer, "slow_consumer");
    return false;
  }

  #pause(): void {
    if (this.paused) return;
    this.paused = true;
    this.stalledSinceMs = 0; // dated by the next look of the heartbeat
    this.stalledBytes = this.socket.getBufferedAmount();
  }

  /** Says why, then closes. `reconnectAfterMs` is what the client is advised to wait. */
  close(name: CloseName, reconnectAfterMs = 0): void {
    if (this.closed) return;
    const code = CLOSE_CODES[name];
    this.send({ type: "goodbye", code, reason: name, reconnect: mayReconnect(code), reconnectAfterMs });
    this.closed = true;
    this.socket.close(code, name);
  }

  /** Starts to follow a job after `cursor`; an attachment it had begins anew. */
  attach(job: JobId, cursor: number, head: number): Attachment {
    const known = this.attachments.get(job);
    if (known !== undefined) {
      known.cursor = cursor;
      known.queued = cursor;
      known.head = Math.max(known.head, head);
      return known;
    }
    const attachment: Attachment = { job, connection: this, cursor, queued: cursor, head, silenced: false };
    this.attachments.set(job, attachment);
    return attachment;
  }

  /** The job is not new to it from here on. */
  know(job: JobId): void {
    this.known.add(job);
    if (this.known.size <= LIMITS.knownJobs) return;
    for (const oldest of this.known) {
      this.known.delete(oldest);
      // A look finds it again, as long as it is young and nobody has receipted it.
      if (oldest > this.newAfter) this.newAfter = oldest;
      return;
    }
  }

  detach(attachment: Attachment): void {
    if (this.attachments.get(attachment.job) !== attachment) return;
    this.attachments.delete(attachment.job);
    this.#options.onDetached(attachment);
  }

  /** Takes the frames of a change that follows the cursor; false when they do not, and the log has to be read. */
  offer(attachment: Attachment, first: number, frames: () => readonly LogFrame[]): boolean {
    if (this.opening || this.paused || this.closed || attachment.queued !== first - 1) return false;
    for (const frame of frames()) {
      this.#outbox.push({ attachment, frame });
      attachment.queued = frame.last;
    }
    return true;
  }

  /** Hands what was offered to the socket, in one write. */
  flush(): void {
    const outbox = this.#outbox;
    if (outbox.length === 0) return;
    this.#outbox = [];
    const deliver = (): void => {
      for (const { attachment, frame } of outbox) this.#deliver(attachment, frame);
    };
    if (outbox.length === 1) deliver();
    else this.socket.cork(deliver);
    if (!this.closed && !this.paused && this.socket.getBufferedAmount() > 0) this.#pause();
    // What a pause left behind is read from the log once the socket drained.
    for (const { attachment } of outbox) attachment.queued = attachment.cursor;
  }

  #deliver(attachment: Attachment, frame: LogFrame): boolean {
    if (this.paused || this.closed || attachment.cursor !== frame.first - 1) return false;
    if (this.socket.getBufferedAmount() >= this.#options.queueBytes) {
      this.#pause();
      return false;
    }
    if (!this.#write(frame.encoded)) return false;
    attachment.cursor = frame.last;
    if (frame.terminal) this.detach(attachment);
    return true;
  }

  /** The welcome was sent, or there will be none: logs flow from here on. */
  opened(): void {
    this.opening = false;
    for (const resolve of this.#opened.splice(0)) resolve();
    this.wake();
  }

  /** Resolves when it was welcomed, or is gone. */
  untilOpened(): Promise<void> {
    return this.opening ? new Promise((resolve) => this.#opened.push(resolve)) : Promise.resolve();
  }

  /** Resolves when the socket took everything that waits in it; never for one that is closed meanwhile. */
  untilDrained(): Promise<void> {
    return this.paused ? new Promise((resolve) => this.#drained.push(resolve)) : Promise.resolve();
  }

  /** The socket took everything: go on where it stopped. */
  drained(): void {
    this.paused = false;
    if (this.#live.length > 0) this.socket.cork(() => this.#tellWaiting());
    if (!this.paused) for (const resume of this.#drained.splice(0)) resume();
    this.wake();
  }

  /** Reads the logs of what is behind and sends it, as far as the socket takes it. */
  wake(): void {
    if (this.opening || this.#pumping || this.paused || this.closed || this.#nextBehind(null) === null)
      return;
    this.#pumping = true;
    this.#pump()
      .catch((error: unknown) => this.#options.onError(error))
      .finally(() => {
        this.#pumping = false;
        // What came between its last look and this moment found it still pumping.
        this.wake();
      });
  }

  /** The next attachment, in turn, whose head is ahead of its cursor. */
  #nextBehind(previous: Attachment | null): Attachment | null {
    let first: Attachment | null = null;
    let passed = previous === null || this.attachments.get(previous.job) !== previous;
    for (const attachment of this.attachments.values()) {
      if (attachment.cursor < attachment.head) {
        if (passed && attachment !== previous) return attachment;
        first ??= attachment;
      }
      if (attachment === previous) passed = true;
    }
    return first;
  }

  async #pump(): Promise<void> {
    let attachment: Attachment | null = null;
    while (!this.paused && !this.closed) {
      attachment = this.#nextBehind(attachment);
      if (attachment === null) return;
      const { cursor } = attachment;
      const page = await this.#options.store.events(attachment.job, {
        after: cursor,
        limit: LIMITS.replayPageEvents,
        bytes: Math.min(LIMITS.replayPageBytes, this.#options.queueBytes),
      });
      // A live change, a detach or a new attach came while the page was read.
      if (attachment.cursor !== cursor || this.attachments.get(attachment.job) !== attachment) continue;
      if (page[0]?.seq !== cursor + 1) {
        this.detach(attachment);
        this.#options.onGap(attachment);
        continue;
      }
      const frames = encodePage(attachment.job, page, attachment);
      const current = attachment;
      this.socket.cork(() => {
        for (const frame of frames) if (!this.#deliver(current, frame)) break;
      });
      current.queued = current.cursor;
      if (!this.closed && !this.paused && this.socket.getBufferedAmount() > 0) this.#pause();
    }
  }
}
