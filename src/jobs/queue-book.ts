/**
 * The queue by heart: how much waits, for whom, and whose turn is next. Kept in memory by a driver so that accepting a
 * job never counts rows; rebuilt from the store at start and after a rollback.
 *
 * Users take turns (start-time fair queueing): each queued job of a priority has a turn number; a user's next job comes
 * one turn after the user's last one that still waits, but never before the turn that is being served. So 100,000 jobs
 * of one user put one job of another behind at most one of them. Turns only order the claims; they promise nothing.
 */
import { isTerminalStatus, isWaitingStatus, type JobStatus } from "../protocol/job-status.ts";

export interface QueueEntry {
  readonly userId: string;
  readonly priority: number;
  /** null: it was put off and is not in line yet, so that it keeps nobody waiting, its own user's other jobs neither. */
  readonly turn: number | null;
}

export interface QueueLine {
  readonly userId: string;
  readonly priority: number;
  readonly unfinished: number;
  /** Those that are in line, and the last one's turn. */
  readonly waiting: number;
  readonly lastTurn: number;
}

export interface QueueBook {
  /** Jobs that are queued or retrying. */
  readonly queued: number;
  /** Jobs of the user that have not ended. */
  unfinished(userId: string): number;
  /** The turn a job of this user gets if it is accepted now. */
  nextTurn(userId: string, priority: number): number;
  /** A job appeared (`before` null) or changed its status. */
  moved(entry: QueueEntry, before: JobStatus | null, after: JobStatus): void;
  /** A job that was put off is due, with the turn it got. */
  joined(entry: QueueEntry): void;
  /** Nobody new gets an earlier turn: how far a store that is opened anew had come. */
  serve(priority: number, turn: number): void;
  /** What a store knows of one user's jobs of one priority without loading them: those that have not ended, and those in line. */
  fill(line: QueueLine): void;
  /** Per priority: the turn being served. */
  readonly served: ReadonlyMap<number, number>;
  clear(): void;
}

export function createQueueBook(): QueueBook {
  let queued = 0;
  const unfinished = new Map<string, number>();
  /** Per priority: the turn being served. */
  const served = new Map<number, number>();
  /** Per user and priority: how many wait, and the last one's turn. */
  const lines = new Map<string, { waiting: number; lastTurn: number }>();

  const lineOf = (userId: string, priority: number): string => `${priority}/${userId}`;

  const join = (entry: QueueEntry): void => {
    if (entry.turn === null) return;
    const name = lineOf(entry.userId, entry.priority);
    const line = lines.get(name);
    if (line === undefined) lines.set(name, { waiting: 1, lastTurn: entry.turn });
    else {
      line.waiting += 1;
      line.lastTurn = Math.max(line.lastTurn, entry.turn);
    }
  };

  const serve = (priority: number, turn: number): void => {
    served.set(priority, Math.max(served.get(priority) ?? 0, turn));
  };

  const leave = (entry: QueueEntry, toRun: boolean): void => {
    queued -= 1;
    if (entry.turn === null) return;
    const name = lineOf(entry.userId, entry.priority);
    const line = lines.get(name);
    if (line !== undefined) {
      line.waiting -= 1;
      if (line.waiting === 0) lines.delete(name);
    }
    if (toRun) serve(entry.priority, entry.turn);
  };

  const count = (userId: string, step: number): void => {
    const now = (unfinished.get(userId) ?? 0) + step;
    if (now > 0) unfinished.set(userId, now);
    else unfinished.delete(userId);
  };

  return {
    get queued() {
      return queued;
    },
    unfinished: (userId) => unfinished.get(userId) ?? 0,
    nextTurn(userId, priority) {
      const line = lines.get(lineOf(userId, priority));
      const present = served.get(priority) ?? 0;
      return line === undefined ? present : Math.max(present, line.lastTurn + 1);
    },
    moved(entry, before, after) {
      if (isWaitingStatus(after) && !isWaitingStatus(before)) {
        queued += 1;
        join(entry);
      }
      if (isWaitingStatus(before) && !isWaitingStatus(after)) leave(entry, after === "running");
      const open = before !== null && !isTerminalStatus(before);
      if (!open && !isTerminalStatus(after)) count(entry.userId, 1);
      if (open && isTerminalStatus(after)) count(entry.userId, -1);
    },
    joined: join,
    serve,
    fill({ userId, priority, unfinished: some, waiting, lastTurn }) {
      if (some > 0) unfinished.set(userId, (unfinished.get(userId) ?? 0) + some);
      if (waiting > 0) lines.set(lineOf(userId, priority), { waiting, lastTurn });
    },
    served,
    clear() {
      queued = 0;
      unfinished.clear();
      served.clear();
      lines.clear();
    },
  };
}
