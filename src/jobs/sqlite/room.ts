/** What a job store still takes when the disk under it fills up: the end of what was accepted comes before anything new. */
import { Refusal } from "../../protocol/error.ts";
import type { Disk } from "../../sqlite/disk.ts";
import type { JobCommand, JobOp, JobOutcome, JobStore } from "../store.ts";

/** Seconds after which it is worth asking again: somebody has to make room first. */
const RETRY_SECONDS = 5;

function refuseJob(): Refusal {
  return new Refusal(
    "storage_unavailable",
    "The disk is nearly full; no new jobs are accepted until there is room.",
    {
      headers: { "Retry-After": String(RETRY_SECONDS) },
    },
  );
}

/**
 * The same store. Below the low-water mark a submit is refused; on a full disk no job is claimed and what runs write
 * waits, so that ends, cancels and retention find the room that is left.
 */
export function withinRoom(store: JobStore, disk: Disk): JobStore {
  const execute = async (command: JobCommand): Promise<unknown> => {
    const { level } = disk.reading;
    if (command.op === "submit" && level !== "ok") throw refuseJob();
    if (command.op === "claim" && level === "full")
      return { jobs: [], nextReadyMs: null } satisfies JobOutcome<"claim">;
    if (command.op === "append" || command.op === "checkpoint") await disk.untilRoom();
    return store.execute(command);
  };
  return {
    ...store,
    execute: <Op extends JobOp>(command: JobCommand<Op>) => execute(command) as Promise<JobOutcome<Op>>,
  };
}
