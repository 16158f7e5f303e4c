/** What a schedule is: ticks of a cron pattern, and the job that each of them submits. */
import type { Ticks } from "../lib/cron.ts";
import type { ScheduleObject } from "../protocol/admin.ts";
import type { Json } from "../protocol/events.ts";
import type { JobStore } from "./store.ts";

export interface Schedule {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly ticks: Ticks;
  readonly type: string;
  readonly input: Json;
  readonly userId: string;
  /** null where the type's, or the server's, default counts. */
  readonly priority: number | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly maxAttempts: number | null;
  readonly timeoutMs: number | null;
  readonly startWithinMs: number | null;
  /** Whether the last of the ticks that passed while no server ran is made up for. */
  readonly catchUp: "one" | "none";
}

/** What its ticks depend on: another definition begins anew. */
export function definitionOf({ cron, timeZone }: Schedule): string {
  return `${cron} ${timeZone}`;
}

const time = (ms: number): string => new Date(ms).toISOString();

/** The configured schedules as an operator sees them, with how far each has come. */
export async function describeSchedules(
  store: Pick<JobStore, "schedules">,
  schedules: readonly Schedule[],
  wallMs: number,
): Promise<readonly ScheduleObject[]> {
  const rows = await store.schedules();
  return schedules.map((schedule) => {
    const { name, cron, timeZone, type, userId, catchUp, ticks } = schedule;
    const row = rows.find((one) => one.name === name && one.definition === definitionOf(schedule));
    // A wall clock that was set back does not bring ticks again that are over.
    const next = ticks.next(Math.max(wallMs, row?.tick ?? 0));
    return {
      name,
      cron,
      timeZone,
      type,
      userId,
      catchUp,
      next: next === null ? null : time(next),
      ...(row === undefined || row.jobId === null ? {} : { last: { tick: time(row.tick), job: row.jobId } }),
    };
  });
}
