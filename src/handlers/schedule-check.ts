/** Whether a schedule can ever strike: its type is there, and takes its input as it would take that of a submit. */
import type { Schedule } from "../jobs/schedule.ts";
import { Mistakes } from "../lib/mistakes.ts";
import { Refusal } from "../protocol/error.ts";
import type { AnyHandler, InputContext } from "./handler.ts";
import type { Registry } from "./registry.ts";

/** What is wrong with the input, each as the end of a sentence. */
async function inputProblems(
  { input, userId }: Schedule,
  handler: AnyHandler,
  previous: InputContext["previous"],
): Promise<string[]> {
  const parsed = handler.input.safeParse(input);
  if (!parsed.success)
    return parsed.error.issues.map(({ path, message }) => `${["input", ...path].join(".")}: ${message}`);
  try {
    await handler.check?.(parsed.data, { userId, previous });
    return [];
  } catch (error) {
    if (error instanceof Refusal) return [error.message];
    throw error;
  }
}

/** The handler that does the schedule's work. Rejects with Mistakes where it names none, or has an input that is refused. */
export async function handlerOfSchedule(
  schedule: Schedule,
  registry: Pick<Registry, "find">,
  previous: InputContext["previous"],
): Promise<AnyHandler> {
  const { name, type } = schedule;
  const handler = registry.find(type);
  if (handler === null)
    throw new Mistakes([`[schedules.${name}] names the type "${type}", which is not served here`]);
  const problems = await inputProblems(schedule, handler, previous);
  if (problems.length > 0)
    throw new Mistakes(
      problems.map((problem) => `[schedules.${name}] has an input that its type refuses: ${problem}`),
    );
  return handler;
}
