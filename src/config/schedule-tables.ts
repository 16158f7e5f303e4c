/** `[schedules.NAME]` of holdline.toml: jobs that the server submits by itself, when a cron pattern strikes. */
import { isTimeZone, readCron, type Ticks } from "../lib/cron.ts";
import type { Json } from "../protocol/events.ts";
import { metadataSchema } from "../protocol/jobs.ts";
import { LIMITS } from "../protocol/limits.ts";
import { typeProblem } from "./formats.ts";
import { choice, optionalInteger, optionalText, part, text } from "./kinds.ts";
import { isTable, readTable, refuseAt, type TableContext } from "./tables.ts";

export interface ScheduleSettings {
  readonly name: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly ticks: Ticks;
  readonly type: string;
  readonly input: Json;
  readonly userId: string;
  readonly priority: number | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly maxAttempts: number | null;
  readonly timeoutMs: number | null;
  readonly startWithinMs: number | null;
  /** Whether the last of the ticks that passed while no server ran is made up for. */
  readonly catchUp: "one" | "none";
}

const NAME = /^[\w.-]{1,64}$/;

const timeZoneProblem = (value: string): string | null =>
  isTimeZone(value) ? null : "is not a time zone that is known here";

const positive = (most: number, description: string) =>
  optionalInteger({ least: 1, most, description, defaultText: "that of the type" }, "ms");

export const SCHEDULE_FIELDS = {
  cron: optionalText({
    allowed: "a cron pattern such as 30 3 * * *, with seconds in front if there are six fields",
    defaultText: "needed",
    description: "When a job is submitted.",
  }),
  timeZone: text({
    preset: "UTC",
    allowed: "a time zone such as Europe/Berlin",
    check: timeZoneProblem,
    description: "Whose time of day the pattern means.",
  }),
  type: optionalText({
    allowed: "the name of a job type",
    check: typeProblem,
    defaultText: "needed",
    description: "Type of the job.",
  }),
  input: part({ allowed: "as the type's JSON Schema says", defaultText: "`{}`", description: "Its input." }),
  userId: optionalText({
    allowed: `text of at most ${LIMITS.userIdChars} characters`,
    check: (value) => (value.length <= LIMITS.userIdChars ? null : "is too long"),
    defaultText: "`schedule:NAME`",
    description: "Whose job it is.",
  }),
  priority: optionalInteger({
    least: 0,
    most: LIMITS.priorityMost,
    defaultText: String(LIMITS.priorityDefault),
    description: "9 first.",
  }),
  metadata: part({
    allowed: "a table of texts",
    description: "Its metadata; `schedule` and `tick` are added to it.",
  }),
  maxAttempts: optionalInteger({
    least: 1,
    most: LIMITS.maxAttempts,
    defaultText: "that of the type",
    description: "Runs that may end in an error.",
  }),
  timeoutMs: positive(LIMITS.timeoutMs, "Longest time of one run."),
  startWithinMs: optionalInteger(
    { least: 1, most: LIMITS.delayMs, description: "Not started by then: the job ends as expired." },
    "ms",
  ),
  catchUp: choice(["one", "none"], {
    preset: "one",
    description:
      "What is done about ticks that passed while no server ran: one job for the last of them, or none.",
  }),
};

function isJson(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isJson);
  if (isTable(value)) return Object.values(value).every(isJson);
  return value === null || ["string", "number", "boolean"].includes(typeof value);
}

function readMetadata(
  context: TableContext,
  path: readonly string[],
  written: unknown,
): ScheduleSettings["metadata"] {
  const parsed = metadataSchema.safeParse(written ?? {});
  if (!parsed.success) {
    for (const issue of parsed.error.issues)
      refuseAt(context, [...path, ...issue.path.map(String)], `is not metadata: ${issue.message}`);
    return {};
  }
  const own = ["schedule", "tick"].find((name) => Object.hasOwn(parsed.data, name));
  if (own !== undefined) refuseAt(context, [...path, own], "is metadata that the schedule sets itself");
  else if (Object.keys(parsed.data).length > LIMITS.metadataPairs - 2)
    refuseAt(context, path, `has more than ${LIMITS.metadataPairs - 2} pairs`);
  return parsed.data;
}

function readSchedule(context: TableContext, name: string, written: unknown): ScheduleSettings | null {
  const path = ["schedules", name];
  if (!NAME.test(name)) refuseAt(context, path, "is not a name: letters, digits, dots, dashes, at most 64");
  const table = readTable(context, path, written, SCHEDULE_FIELDS);
  if (table === null) return null;
  const { cron, type, input = {}, metadata, userId, ...rest } = table.values;
  for (const key of ["cron", "type"] as const)
    if (table.values[key] === null && !table.given(key))
      table.refuse("is missing", key, { allowed: SCHEDULE_WORDS[key] });
  if (!isJson(input)) table.refuse("is not JSON: dates have to be texts", "input");
  const read = cron === null ? null : readCron(cron, rest.timeZone);
  if (read?.ok === false)
    table.refuse(`${JSON.stringify(cron)} ${read.problem}`, "cron", { allowed: SCHEDULE_WORDS.cron });
  const pairs = readMetadata(context, [...path, "metadata"], metadata);
  if (cron === null || type === null || read?.ok !== true) return null;
  return {
    ...rest,
    name,
    cron,
    ticks: read.ticks,
    type,
    input: input as Json,
    userId: userId ?? `schedule:${name}`,
    metadata: pairs,
  };
}

const SCHEDULE_WORDS = { cron: "a cron pattern such as 30 3 * * *", type: "the name of a job type" } as const;

/** The schedules of the table `schedules`, in the order of the file. Problems go into the context. */
export function readSchedules(context: TableContext, written: unknown): readonly ScheduleSettings[] {
  if (written === undefined) return [];
  if (!isTable(written)) {
    refuseAt(context, ["schedules"], "is not a table", { allowed: "[schedules.NAME]" });
    return [];
  }
  return Object.entries(written).flatMap(([name, value]) => readSchedule(context, name, value) ?? []);
}
