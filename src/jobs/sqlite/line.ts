/** Who is next, on SQLite: jobs that may run, jobs that wait for their time, and how the latter become the former. */
import { and, asc, desc, eq, gt, isNotNull, lte, sql } from "drizzle-orm";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { JobTables } from "../tables.ts";
import type { QueueBook } from "../queue-book.ts";
import { jobs } from "./schema.ts";

type Orm = SqliteConnection["orm"];
const p = sql.placeholder;

/** Column `due`: `later` has a turn and waits for its next run, `putOff` waits for its first and is not in line. */
export const DUE = { later: 0, now: 1, putOff: 2 } as const;

/** The literals make the partial indexes usable: a bound parameter would not. */
const IS_LATER = sql`due = 0`;
const IS_NOW = sql`due = 1`;
const IS_PUT_OFF = sql`due = 2`;

/** Most that get in line in one claim; the next claim goes on. */
const LINE_UP_MOST = 1000;

function prepareLine(orm: Orm) {
  const nextOf = (which: typeof IS_LATER) =>
    orm
      .select({ readyBy: jobs.readyBy })
      .from(jobs)
      .where(and(which, gt(jobs.readyBy, p("steadyMs"))))
      .orderBy(asc(jobs.readyBy))
      .limit(1)
      .prepare();
  return {
    promote: orm
      .update(jobs)
      .set({ due: DUE.now })
      .where(and(IS_LATER, lte(jobs.readyBy, p("steadyMs"))))
      .prepare(),
    due: orm
      .select({ num: jobs.num, userId: jobs.userId, priority: jobs.priority })
      .from(jobs)
      .where(and(IS_PUT_OFF, lte(jobs.readyBy, p("steadyMs"))))
      .orderBy(asc(jobs.readyBy), asc(jobs.num))
      .limit(LINE_UP_MOST)
      .prepare(),
    lineUp: orm
      .update(jobs)
      .set({ due: DUE.now, turn: sql`${p("turn")}` })
      .where(eq(jobs.num, p("num")))
      .prepare(),
    ready: orm
      .select({ id: jobs.id, priority: jobs.priority, turn: jobs.turn, num: jobs.num })
      .from(jobs)
      .where(and(IS_NOW, eq(jobs.type, p("type"))))
      .orderBy(desc(jobs.priority), asc(jobs.turn), asc(jobs.num))
      .limit(p("limit"))
      .prepare(),
    nextLater: nextOf(IS_LATER),
    nextPutOff: nextOf(IS_PUT_OFF),
    realign: orm
      .update(jobs)
      .set({
        readyBy: sql`${p("steadyMs")} + max(run_at - ${p("wallMs")}, 0)`,
        startBy: sql`${p("steadyMs")} + max(run_at - ${p("wallMs")}, 0) + start_within_ms`,
      })
      .where(and(IS_PUT_OFF, isNotNull(jobs.runAt)))
      .returning({ num: jobs.num })
      .prepare(),
  };
}

/** `bookNow` gives the book as it stands before the next change of a row. */
export function createLine(
  orm: Orm,
  bookNow: () => QueueBook,
): Pick<JobTables, "ready" | "nextReady" | "realign"> {
  const line = prepareLine(orm);
  return {
    ready(types, steadyMs) {
      line.promote.run({ steadyMs });
      for (const { num, ...entry } of line.due.all({ steadyMs })) {
        const book = bookNow();
        const turn = book.nextTurn(entry.userId, entry.priority);
        line.lineUp.run({ num, turn });
        book.joined({ ...entry, turn });
      }
      return types.flatMap((wanted) => line.ready.all(wanted));
    },
    nextReady(steadyMs) {
      const times = [line.nextLater.get({ steadyMs }), line.nextPutOff.get({ steadyMs })];
      const known = times.flatMap((row) => row?.readyBy ?? []);
      return known.length === 0 ? null : Math.min(...known);
    },
    realign: (at) => line.realign.all({ ...at }).length,
  };
}
