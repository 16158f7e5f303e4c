/** How far each schedule has come, on SQLite. */
import { eq, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { JobTables } from "../tables.ts";
import { schedules } from "./schema.ts";

type Orm = SqliteConnection["orm"];
const p = sql.placeholder;

export function createSchedules(orm: Orm): Pick<JobTables, "schedule" | "putSchedule"> {
  const find = orm
    .select()
    .from(schedules)
    .where(eq(schedules.name, p("name")))
    .prepare();
  const put = orm
    .insert(schedules)
    .values({ name: p("name"), definition: p("definition"), tick: p("tick"), jobId: p("jobId") })
    .onConflictDoUpdate({
      target: schedules.name,
      set: {
        definition: sql`excluded.definition`,
        tick: sql`excluded.tick`,
        jobId: sql`excluded.job_id`,
      },
    })
    .prepare();
  return {
    schedule: (name) => find.get({ name }) ?? null,
    putSchedule(row) {
      put.run({ ...row });
    },
  };
}
