/** When a cron pattern strikes: croner behind the three questions that a schedule asks, with the time passed in. */
import { Cron } from "croner";

export interface Ticks {
  /** The first one after this moment (ms since the epoch); null when there is none any more. */
  next(afterMs: number): number | null;
  /** The last one at or before this moment; null when there was none. */
  latest(atMs: number): number | null;
}

export type CronResult =
  { readonly ok: true; readonly ticks: Ticks } | { readonly ok: false; readonly problem: string };

/** Whether this is a zone of the IANA time zone database that the runtime knows. */
export function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).format(0) !== "";
  } catch {
    return false;
  }
}

/**
 * A pattern of five fields, or six with seconds first, in a time zone. A time of day that a change of the clocks skips
 * is taken when they have changed; one that comes twice, the first time.
 */
export function readCron(pattern: string, timeZone: string): CronResult {
  try {
    const cron = new Cron(pattern, { timezone: timeZone });
    const ticks: Ticks = {
      next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime() ?? null,
      // What croner looks back from is not among what it finds; ticks are whole seconds.
      latest: (atMs) =>
        cron.previousRuns(1, new Date(Math.floor(atMs / 1000) * 1000 + 1000))[0]?.getTime() ?? null,
    };
    if (ticks.next(0) === null) return { ok: false, problem: "never strikes" };
    return { ok: true, ticks };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, problem: `is not a cron pattern (${message.replace(/^CronPattern: /, "")})` };
  }
}
