/** Commands to a store by way of a writer that commits them in batches, and what is announced of them. */
import type { Writer } from "../database/writer.ts";
import type { Executed } from "./execute.ts";
import type { Change } from "./job.ts";
import type { JobCommand, JobOp, JobStore } from "./store.ts";

/** Name of this room's commands at the writer. */
export const JOBS = "jobs";

/**
 * What a run writes has nobody to refuse it to. It waits for the storage, and the handler for its write, until the run's
 * own time is over.
 */
const PATIENT: ReadonlySet<JobOp> = new Set(["append", "checkpoint"]);

/**
 * What this process claimed for itself it has to know: the leases would be renewed as long as it lives, while nobody runs
 * the jobs. Those of a remote worker run out by themselves.
 */
const isOwnClaim = (command: JobCommand): boolean => command.op === "claim" && command.worker === undefined;

/** `whole`: a change as it is announced, of what the writer answered with. */
export function createWrites(
  writer: Writer,
  whole: (command: JobCommand, change: Change) => Change,
): Pick<JobStore, "execute" | "onCommitted"> {
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  writer.onCommitted((requests, results) => {
    const changes: Change[] = [];
    for (const [index, result] of results.entries()) {
      const request = requests[index];
      if (!result.ok || request?.to !== JOBS) continue;
      const executed = result.value as Executed<JobOp>;
      for (const change of executed.changes) changes.push(whole(request.command as JobCommand, change));
    }
    if (changes.length > 0) for (const listener of listeners) listener(changes);
  });
  return {
    async execute(command) {
      const patient = PATIENT.has(command.op);
      const settled = patient || isOwnClaim(command);
      const executed = await writer.write(JOBS, command, { patient, settled });
      return (executed as Executed<typeof command.op>).outcome;
    },
    onCommitted(listener) {
      listeners.push(listener);
    },
  };
}
