/** What an endpoint is called in what users read, and the errors that only an endpoint has. */
import { JobError } from "../handler.ts";

/** Begins the sentences that users see. */
export const WHO = "The endpoint";

/** An answer that will be the same next time: another run would only repeat it. */
export function refused(message: string): JobError {
  return new JobError("upstream_refused", `${WHO} ${message}`, { retryable: false, origin: "upstream" });
}

export function tooLong(what: string, bytes: number): JobError {
  const message = `${WHO} sent ${what} over ${bytes} bytes.`;
  return new JobError("output_too_large", message, { retryable: false, origin: "upstream" });
}
