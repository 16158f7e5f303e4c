/**
 * Which connections of this node follow which job, what they are handed of a change, and which new jobs they follow by
 * themselves.
 *
 * A job is new to a connection once: when it is heard of first, be it by a commit of this process, by a hint of another
 * node, or by a look into the store. What the welcome listed is not new, nor is what the client asked for, nor anything
 * that is older than `settle` said, nor what the store answered to a question from before the welcome: what is not listed
 * there may have been receipted since.
 */
import type { Asked, Reader } from "../jobs/follower.ts";
import type { Change, JobHead, JobSummary } from "../jobs/job.ts";
import type { JobId, SessionId } from "../lib/ids.ts";
import type { Attachment, Connection } from "./connection.ts";
import { encodeEvent, type LogFrame } from "./encode.ts";

export interface WatchersOptions {
  /** Most jobs that one connection follows. */
  readonly attachments: number;
  readonly seats: ReadonlyMap<SessionId, Connection>;
}

export interface Watchers extends Reader {
  /** null: the connection has no place left. */
  follow(connection: Connection, job: JobId, cursor: number): Attachment | null;
  /** An attach to a job that may be under way was granted. */
  begun(job: JobId): void;
  /** The connection no longer follows the job. */
  drop(attachment: Attachment): void;
  /** Hands committed changes of this process to those who follow the jobs. */
  committed(changes: readonly Change[]): void;
  /** Jobs up to this id were looked for: none of them is new to anybody from here on. */
  settle(upTo: JobId): void;
  /** A question to the store that begins now. */
  asking(): Asked;
  /** Of the connection: what the store is asked from now on is newer than its welcome. */
  welcomed(connection: Connection): void;
}

export function createWatchers({ attachments, seats }: WatchersOptions): Watchers {
  const watchers = new Map<JobId, Set<Attachment>>();
  const onBegun: ((job: JobId) => void)[] = [];
  let settled = "";
  /** Counts questions and welcomes in the order in which they come. */
  let count = 0;

  const follow = (connection: Connection, job: JobId, cursor: number): Attachment | null => {
    if (!connection.attachments.has(job) && connection.attachments.size >= attachments) return null;
    const attachment = connection.attach(job, cursor, 0);
    const set = watchers.get(job);
    if (set === undefined) watchers.set(job, new Set([attachment]));
    else set.add(attachment);
    return attachment;
  };

  /** The connection of the job's session, if the job is new to it. */
  const newcomer = ({ id, sessionId, userId }: JobSummary): Connection | null => {
    const connection = sessionId === null ? undefined : seats.get(sessionId);
    if (connection === undefined || connection.userId !== userId || connection.closed) return null;
    const isKnown = connection.listed.has(id) || connection.known.has(id) || connection.attachments.has(id);
    return isKnown ? null : connection;
  };

  /** Followed from the first entry, if there is a place; if there is none now, none is given later. */
  const attachNew = (connection: Connection, id: JobId): void => {
    connection.know(id);
    follow(connection, id, 0);
  };

  /** What other nodes accepted is found late, or again: then its age counts as well. */
  const newFromElsewhere = (job: JobSummary, asked: Asked): Connection | null => {
    const connection = newcomer(job);
    if (connection === null || connection.opening || asked < connection.welcomedAt) return null;
    return job.id > settled && job.id > connection.newAfter ? connection : null;
  };

  const deliver = (change: Change, touched: Set<Connection>): void => {
    const set = watchers.get(change.job.id);
    if (set === undefined) return;
    let frames: readonly LogFrame[] | null = null;
    const encoded = (): readonly LogFrame[] =>
      (frames ??= change.events.map((event) => encodeEvent(change.job.id, event, change)));
    for (const attachment of set) {
      const { connection } = attachment;
      if (connection.userId !== change.job.userId) continue;
      attachment.head = Math.max(attachment.head, change.job.head);
      attachment.silenced = change.silenced;
      if (connection.offer(attachment, change.first, encoded)) touched.add(connection);
      else connection.wake();
    }
  };

  /** Those who follow the job read on where they stand. */
  const readOn = (job: JobHead): void => {
    for (const attachment of watchers.get(job.id) ?? []) {
      if (attachment.connection.userId !== job.userId) continue;
      attachment.head = Math.max(attachment.head, job.head);
      attachment.silenced ||= job.silenced;
      attachment.connection.wake();
    }
  };

  return {
    follow,

    begun(job) {
      for (const listener of onBegun) listener(job);
    },

    drop(attachment) {
      const set = watchers.get(attachment.job);
      set?.delete(attachment);
      if (set?.size === 0) watchers.delete(attachment.job);
    },

    committed(changes) {
      const touched = new Set<Connection>();
      for (const change of changes) {
        const connection = change.first === 1 ? newcomer(change.job) : null;
        if (connection !== null) attachNew(connection, change.job.id);
        deliver(change, touched);
      }
      for (const connection of touched) connection.flush();
    },

    minds(hint) {
      for (const { head } of watchers.get(hint.id) ?? []) if (head < hint.head) return true;
      return newFromElsewhere(hint, Number.POSITIVE_INFINITY) !== null;
    },

    followed: () => watchers.keys(),
    reads: (id) => watchers.has(id),
    onBegun: (listener) => void onBegun.push(listener),

    moved(jobs, asked) {
      for (const job of jobs) {
        const connection = job.open ? newFromElsewhere(job, asked) : null;
        if (connection !== null) attachNew(connection, job.id);
        readOn(job);
      }
    },

    asking: () => (count += 1),

    welcomed(connection) {
      count += 1;
      connection.welcomedAt = count;
    },

    settle(upTo) {
      settled = upTo;
      for (const { known } of seats.values()) for (const id of known) if (id <= upTo) known.delete(id);
    },
  };
}
