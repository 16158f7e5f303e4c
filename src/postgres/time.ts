/**
 * One time for all processes of an installation: the database's. Its row `clock` says what steady time it was
 * (`steady_ms`) at which moment of the database's own wall clock (`wall_ms`); from there steady time goes on as that
 * clock does. Leases, waits and limits are judged by it, so that a machine whose clock is wrong by minutes judges nobody.
 *
 * Every process renews the row each second, and sets its own clock by it (lib/clock.ts). What the database's clock did
 * between two looks counts as far as it can be believed: up to STEP_MS it is taken as it is; a leap beyond, or back, was
 * a clock that was set, or a time in which nobody looked, and then counts what the asking process itself counted
 * meanwhile. So steady time stands still while nothing runs that could be judged, and never goes back.
 */
import type { Clock, Follower, Instant } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import { answered, type PostgresRow } from "./connection.ts";
import { createLine } from "./line.ts";
import { ADVISORY_LOCKS } from "./migrate.ts";

const LOOK_MS = 1000;
/** What may pass between two looks without a doubt. */
const STEP_MS = 2000;
/** Longest that one look takes. */
const ANSWER_MS = 3000;

const WALL = "(extract(epoch FROM clock_timestamp()) * 1000)::float8";
const PASSED = `(${WALL} - c.wall_ms)`;

/** The time at this moment, as rows `steady`, `wall`; as a part of one message, without parameters. */
export const TIME = `SELECT c.steady_ms + greatest(least(${PASSED}, ${STEP_MS}), 0) AS steady, ${WALL} AS wall
  FROM clock AS c WHERE id = 1`;

/**
 * `$1`: how far the asking process has come, or NULL at its start. `$2`: it starts, and nobody else runs: then as much
 * has passed as the database says. Times are read behind the lock of the row: who waited for it is not late.
 */
const RENEW = `INSERT INTO clock AS c (id, steady_ms, wall_ms) VALUES (1, ${WALL}, ${WALL})
  ON CONFLICT (id) DO UPDATE SET wall_ms = ${WALL}, steady_ms = CASE
    WHEN c.wall_ms IS NULL THEN greatest(c.steady_ms, ${WALL})
    WHEN ${PASSED} BETWEEN 0 AND ${STEP_MS} THEN c.steady_ms + ${PASSED}
    WHEN ${PASSED} < 0 THEN greatest(c.steady_ms, $1::float8)
    WHEN $2::boolean THEN c.steady_ms + ${PASSED}
    ELSE greatest(c.steady_ms + ${STEP_MS}, least(coalesce($1::float8, c.steady_ms), c.steady_ms + ${PASSED}))
  END RETURNING c.steady_ms AS steady, c.wall_ms AS wall`;

/** Whether no server has this database. */
const IS_ALONE = `SELECT NOT EXISTS (SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE datname = current_database() AND locktype = 'advisory' AND objsubid = 1 AND granted
      AND (classid::bigint << 32 | objid::bigint) = ${ADVISORY_LOCKS.server}) AS alone`;

/** A row of `TIME`. */
export function timeOf(row: PostgresRow | undefined): Instant {
  const [steadyMs, wallMs] = [Number(row?.["steady"]), Math.round(Number(row?.["wall"]))];
  if (Number.isNaN(steadyMs) || Number.isNaN(wallMs)) throw new Error("the database has lost its clock");
  return { steadyMs, wallMs };
}

export interface Timekeeper {
  stop(): void;
}

export interface TimekeeperOptions {
  readonly url: string;
  readonly clock: Clock & Follower;
  readonly logger: Logger | null;
}

/** Sets the clock by the database's, and keeps it so. Rejects when the database cannot be asked at first. */
export async function startTimekeeper({ url, clock, logger }: TimekeeperOptions): Promise<Timekeeper> {
  let isAsking = false;
  let isAway = false;
  let isStopped = false;

  // A reading that is lost with the database is less than one that nobody took.
  const line = createLine(url, async (connection) => {
    await connection.unsafe("SET synchronous_commit = off");
  });

  const look = async (steadyMs: number | null): Promise<void> => {
    const connection = await line.get();
    const isAlone = steadyMs === null && (await connection.unsafe(IS_ALONE))[0]?.["alone"] === true;
    const askedMs = clock.elapsedMs();
    const [row] = await connection.unsafe(RENEW, [steadyMs, isAlone]);
    clock.follow(timeOf(row), askedMs);
  };

  const lookAgain = async (): Promise<void> => {
    if (isAsking) return;
    isAsking = true;
    try {
      await answered(clock, ANSWER_MS, look(clock.steadyMs()));
      if (isAway) logger?.info({}, "the database's clock is followed again");
      isAway = false;
    } catch (error) {
      if (!isAway && !isStopped)
        logger?.warn({ error }, "the database's clock cannot be asked: this process goes by its own");
      isAway = true;
      line.drop();
    } finally {
      isAsking = false;
    }
  };

  try {
    await answered(clock, ANSWER_MS, look(null));
  } catch (error) {
    line.drop();
    throw error;
  }
  const timer = clock.every(LOOK_MS, () => void lookAgain());
  return {
    stop() {
      isStopped = true;
      timer.cancel();
      line.drop();
    },
  };
}
