/** What happens to the jobs of a backup before anybody can see them again: none of them may go on (transitions.ts, endRestored). */
import type { Database } from "bun:sqlite";
import { asc, inArray, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import { endRestored } from "../transitions.ts";
import { eventRow } from "../event-row.ts";
import { jobs } from "./schema.ts";
import { createSqliteJobTables } from "./tables.ts";

/** Ends every unfinished job and takes the mark away, in one transaction. The log before the end is gone. */
function endUnfinished(connection: SqliteConnection): number {
  const { raw, orm } = connection;
  // By SQLite's own clock, as migrations are: this happens before there is a server with another.
  const wallMs = Math.round(
    raw.query<{ ms: number }, []>("SELECT unixepoch('subsec') * 1000 AS ms").get()?.ms ?? 0,
  );
  const at = { wallMs, steadyMs: wallMs };
  const unfinished = orm
    .select({ num: jobs.num, id: jobs.id })
    .from(jobs)
    .where(inArray(jobs.status, ["queued", "retrying", "running", "canceling"]))
    .orderBy(asc(jobs.num))
    .all();
  const tables = createSqliteJobTables(connection);
  raw
    .transaction(() => {
      for (const { num, id } of unfinished) {
        const job = tables.load(id);
        if (job === null) continue;
        orm.run(
          sql`DELETE FROM job_events WHERE id BETWEEN ${eventRow(num, 1)} AND ${eventRow(num, job.head)}`,
        );
        const events = endRestored(job, at);
        tables.save(job, "state");
        tables.log(job, events);
      }
      raw.run("PRAGMA user_version = 0");
    })
    .immediate();
  return unfinished.length;
}

/** In `PRAGMA user_version`, which nothing else uses: this file is a copy, and the original may have gone on. */
const COPY = 1;

/** Marks a database as a backup, however it gets back to its place. */
export function markAsCopy(db: Database): void {
  db.run(`PRAGMA user_version = ${COPY}`);
}

/** Makes a copy an original again: its unfinished jobs end. Returns how many; null when it was no copy. */
export function settleCopy(connection: SqliteConnection): number | null {
  const found = connection.raw.query<{ user_version: number }, []>("PRAGMA user_version").get();
  return found?.user_version === COPY ? endUnfinished(connection) : null;
}
