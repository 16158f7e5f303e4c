/** How runs end that break a limit, in words: the same for a run in this process and for one in a remote worker. */
import type { JobSpec, RunError } from "./job.ts";

export type TimeOutCode = "timeout" | "first_output_timeout" | "idle_timeout";

/** The error of a run that was over one of its time limits. */
export function timeOutError(job: JobSpec, code: TimeOutCode): RunError {
  const words = {
    timeout: `The run took longer than ${job.timeoutMs} ms.`,
    first_output_timeout: `No output within ${job.firstOutputMs ?? 0} ms.`,
    idle_timeout: `No output for ${job.idleMs ?? 0} ms.`,
  };
  return { code, message: words[code], retryable: true, origin: "timeout" };
}

/** The error of a run whose log would have grown past its bound. */
export function tooMuchOutput(jobBytes: number): RunError {
  const message = `The output grew past ${jobBytes} bytes.`;
  return { code: "output_too_large", message, retryable: false, origin: "handler" };
}
