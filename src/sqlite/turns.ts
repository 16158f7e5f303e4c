/**
 * Taking turns with other processes that write the same file. SQLite's own waiting looks again after up to 100 ms, and
 * between two batches of a busy writer there is less than one: who waits in that way would wait for very long.
 */
import type { Database } from "bun:sqlite";
import { pauseThread, type Clock } from "../lib/clock.ts";
import { isBusy } from "./errors.ts";

export interface Turns {
  /** Begins a transaction, when it is this writer's turn. Throws SQLITE_BUSY when that does not come in time. */
  begin(): void;
  /** The transaction is over. */
  ended(): void;
}

/** Between two looks at whether the file is free. */
const LOOK_MS = 0.1;
/** After its own batch a writer that is not alone stays away for longer than others look, so that one of them gets in. */
const STAY_AWAY_MS = 0.4;
/** Another process that wrote nothing for that long is not waited for. */
const ALONE_MS = 50;
/** As `BUSY_MS` of database.ts: callers are answered within twice that. */
const MOST_MS = 2000;

/** Stops the thread while it waits: for a writer in a thread of its own. */
export function createTurns(db: Database, clock: Clock): Turns {
  db.run("PRAGMA busy_timeout = 0");
  const dataVersion = db.query<{ data_version: number }, []>("PRAGMA data_version");
  let version = 0;
  let endedMs = Number.NEGATIVE_INFINITY;
  let othersMs = Number.NEGATIVE_INFINITY;

  const stayAway = (): void => {
    const nowMs = clock.elapsedMs();
    if (nowMs - othersMs > ALONE_MS) return;
    const leftMs = STAY_AWAY_MS - (nowMs - endedMs);
    if (leftMs > 0) pauseThread(leftMs);
  };

  const noteOthers = (): void => {
    const found = dataVersion.get()?.data_version ?? 0;
    if (found !== version) othersMs = clock.elapsedMs();
    version = found;
  };

  return {
    begin() {
      stayAway();
      const untilMs = clock.elapsedMs() + MOST_MS;
      for (;;) {
        try {
          db.run("BEGIN IMMEDIATE");
          break;
        } catch (error) {
          if (!isBusy(error) || clock.elapsedMs() > untilMs) throw error;
          pauseThread(LOOK_MS);
        }
      }
      noteOthers();
    },
    ended() {
      endedMs = clock.elapsedMs();
    },
  };
}
