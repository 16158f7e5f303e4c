/**
 * Writing the log back into the database file, at moments that suit the writer: never inside a commit, in the idle time
 * where there is any, in steps otherwise, and not at all when it would take long; then a thread of its own does it.
 */
import type { Database } from "bun:sqlite";
import { statSync } from "node:fs";
import type { Clock, Timer } from "../lib/clock.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface Checkpoints {
  /** After each batch, when it was answered. True: so much waits to be written back that somebody else has to. */
  afterBatch(): boolean;
  stop(): void;
}

interface Frames {
  /** Frames in the log, and those of them that are in the database file as well. */
  readonly log: number;
  readonly checkpointed: number;
}

/** Frames that are written back at once; some 10 ms of the writer's time. */
const STEP_FRAMES = 2000;
/** Frames that are worth writing back when nothing else is to be done. */
const IDLE_FRAMES = 250;
const IDLE_MS = 200;
/** More than this takes longer than commits may wait. */
const BEHIND_FRAMES = 8000;

type Mode = "NOOP" | "PASSIVE" | "TRUNCATE";

function checkpoint(db: Database, mode: Mode): Frames {
  return db.query<Frames, []>(`PRAGMA wal_checkpoint(${mode})`).get() ?? { log: 0, checkpointed: 0 };
}

/** Writes back what can be; a reader, a full disk or a failing device leave the rest for later. */
function tryCheckpoint(db: Database, mode: Mode): Frames | null {
  try {
    return checkpoint(db, mode);
  } catch {
    // Nothing is lost: all of it stays in the log, and the next commit meets the same error if it lasts.
    return null;
  }
}

/** For the thread that helps a writer that is behind: as much as readers allow. False: somebody held most of it. */
export function helpCheckpoint(db: Database): boolean {
  const done = tryCheckpoint(db, "PASSIVE");
  return done !== null && done.log - done.checkpointed <= BEHIND_FRAMES;
}

/** `db` is the writer's connection to the file at `path`; from now on nothing is written back by itself. */
export function createCheckpoints(db: Database, path: string, clock: Clock): Checkpoints {
  db.run("PRAGMA wal_autocheckpoint = 0");
  const noop = db.query<Frames, []>("PRAGMA wal_checkpoint(NOOP)");
  let timer: Timer | null = null;
  /** What was left behind by the last try: a reader holds it, and asking again changes nothing until there is more. */
  let held = 0;

  const left = (): number => {
    try {
      const { log, checkpointed } = noop.get() ?? { log: 0, checkpointed: 0 };
      return log - checkpointed;
    } catch {
      // As above: asked again after the next batch.
      return 0;
    }
  };

  const step = (): void => {
    const done = tryCheckpoint(db, "PASSIVE");
    held = done === null ? left() : done.log - done.checkpointed;
  };

  const isLarge = (): boolean =>
    (statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0) > LIMITS.walKeptBytes;

  /** A log that was large once is cut back, unless somebody reads it at this moment. */
  const shrink = (): void => {
    const [{ timeout } = { timeout: 0 }] = db.query<{ timeout: number }, []>("PRAGMA busy_timeout").all();
    db.run("PRAGMA busy_timeout = 0");
    tryCheckpoint(db, "TRUNCATE");
    db.run(`PRAGMA busy_timeout = ${timeout}`);
  };

  const idle = (): void => {
    timer = null;
    const waiting = left();
    const large = isLarge();
    if (waiting <= BEHIND_FRAMES && (waiting >= IDLE_FRAMES || large)) step();
    if (large && left() === 0) shrink();
  };

  return {
    afterBatch() {
      const waiting = left();
      if (waiting > BEHIND_FRAMES) return true;
      if (waiting >= held + STEP_FRAMES) step();
      timer?.cancel();
      timer = clock.after(IDLE_MS, idle);
      return false;
    },
    stop() {
      timer?.cancel();
      timer = null;
    },
  };
}
