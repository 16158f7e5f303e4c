/**
 * The steady time that the processes of one file have in common: counted on, by the machine's clock, from the reading
 * that one of them stored last. Each has a steady clock of its own as well; what is stored and compared is this one.
 */
import { eq, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import { createSystemClock, type Clock, type Follower } from "../../lib/clock.ts";
import { clock as clockRow } from "./schema.ts";

type Orm = SqliteConnection["orm"];
const p = sql.placeholder;

/** What a reading may be behind before it is stored again. */
const STEP_MS = 1000;
/**
 * The most that counts between two readings: a clock that is set moves time by no more, and what nobody was there for
 * (all processes stopped, a suspended machine) is not held against anybody.
 */
const PAUSE_MS = 5000;

export interface StoredReading {
  readonly steadyMs: number;
  /** The machine's wall clock at that moment; null: from when there was one process. */
  readonly wallMs: number | null;
}

/** What the common clock shows when the machine's shows `wallMs`. */
export function commonSteadyMs(stored: StoredReading, wallMs: number): number {
  const passedMs = wallMs - (stored.wallMs ?? wallMs);
  return stored.steadyMs + Math.min(Math.max(passedMs, 0), PAUSE_MS);
}

function prepareReadings(orm: Orm) {
  return {
    read: orm
      .select({ steadyMs: clockRow.steadyMs, wallMs: clockRow.wallMs })
      .from(clockRow)
      .where(eq(clockRow.id, 1))
      .prepare(),
    store: orm
      .insert(clockRow)
      .values({ id: 1, steadyMs: p("steadyMs"), wallMs: p("wallMs") })
      .onConflictDoUpdate({
        target: clockRow.id,
        set: { steadyMs: sql`excluded.steady_ms`, wallMs: sql`excluded.wall_ms` },
      })
      .prepare(),
  };
}

/** Before several processes begin: their time goes on from the wall clock, and from what was stored at the earliest. */
export function beginCommonTime({ orm }: SqliteConnection, wallMs: number): void {
  const { read, store } = prepareReadings(orm);
  store.run({ steadyMs: Math.max(read.get()?.steadyMs ?? 0, wallMs), wallMs });
}

/** Reads the common clock inside a transaction, and stores it there when the stored reading is old. */
export function createCommonTime(orm: Orm, wallMs: () => number): () => number {
  const { read, store } = prepareReadings(orm);
  return () => {
    const nowMs = wallMs();
    const stored = read.get() ?? { steadyMs: nowMs, wallMs: null };
    const steadyMs = commonSteadyMs(stored, nowMs);
    const ageMs = nowMs - (stored.wallMs ?? Number.NEGATIVE_INFINITY);
    // A clock that was set back would let time stand still until it has caught up.
    if (ageMs >= STEP_MS || ageMs < 0) store.run({ steadyMs, wallMs: nowMs });
    return steadyMs;
  };
}

/** How often a process sets its own clock. */
const FOLLOW_MS = 1000;

/**
 * Sets the clock of this process by the common one, now and from time to time; the returned function ends that.
 * `machine`: a clock that follows nobody.
 */
export function followCommonTime(
  { orm }: SqliteConnection,
  clock: Clock & Follower,
  machine: Clock = createSystemClock(),
): () => void {
  const { read } = prepareReadings(orm);
  const look = (): void => {
    const askedMs = clock.elapsedMs();
    const stored = read.get();
    const wallMs = machine.wallMs();
    if (stored !== undefined) clock.follow({ steadyMs: commonSteadyMs(stored, wallMs), wallMs }, askedMs);
  };
  look();
  const timer = clock.every(FOLLOW_MS, () => {
    try {
      look();
    } catch {
      // Somebody mends the file after a crash: until it can be read the process goes by its own clock.
    }
  });
  return () => timer.cancel();
}
