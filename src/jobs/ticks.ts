/** Which ticks of a schedule are over, decided in the transaction that stores their jobs. */
import type { Instant } from "../lib/clock.ts";
import type { JobTables } from "./tables.ts";
import type { SubmitOutcome } from "./store.ts";

type ScheduleTables = Pick<JobTables, "schedule" | "putSchedule">;

/** The last tick that is over; of a schedule that is new, or means other ticks than before, it is this moment. */
export function beginSchedule(
  tables: ScheduleTables,
  { name, definition, at }: { readonly name: string; readonly definition: string; readonly at: Instant },
): number {
  const known = tables.schedule(name);
  if (known !== null && known.definition === definition) return known.tick;
  tables.putSchedule({ name, definition, tick: at.wallMs, jobId: null });
  return at.wallMs;
}

/** Submits the job of a tick unless that is over, and is over then. A refusal leaves it open: it may be asked for again. */
export function strikeOnce(
  tables: ScheduleTables,
  { name, tick }: { readonly name: string; readonly tick: number },
  submit: () => SubmitOutcome,
): SubmitOutcome | { readonly kind: "over" } {
  const known = tables.schedule(name);
  if (known === null || known.tick >= tick) return { kind: "over" };
  const outcome = submit();
  if (outcome.kind === "accepted") tables.putSchedule({ ...known, tick, jobId: outcome.job.id });
  return outcome;
}
