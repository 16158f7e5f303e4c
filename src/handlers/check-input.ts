/** A handler's own check of an input, before its job is stored: code of others, which may forget to end. */
import type { Clock } from "../lib/clock.ts";
import { invalidField } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";
import { JobError, type AnyHandler, type InputContext } from "./handler.ts";

/**
 * Rejects with what the check refuses, or when it takes longer than LIMITS.checkMs. A JobError is how handler files
 * refuse an input: its message is the user's.
 */
export async function checkInput(
  handler: Pick<AnyHandler, "type" | "check">,
  input: unknown,
  context: InputContext,
  clock: Clock,
): Promise<void> {
  if (handler.check === undefined) return;
  const late = Promise.withResolvers<never>();
  const problem = `check() of the handler of ${handler.type} did not end within ${LIMITS.checkMs} ms`;
  const timer = clock.after(LIMITS.checkMs, () => late.reject(new Error(problem)));
  try {
    await Promise.race([handler.check(input, context), late.promise]);
  } catch (error) {
    throw error instanceof JobError ? invalidField("/input", error.message) : error;
  } finally {
    timer.cancel();
  }
}
