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
 * waits, so that ends, cancels and retention find the room that is left. A run that ends by itself waited for its writes;
 * one that is ended loses those that still wait, as it does those that come later.
 */
export function withinRoom(store: JobStore, disk: Disk): JobStore {
  const refuseOrWait = async (command: JobCommand): Promise<unknown> => {
    if (command.op === "submit") throw refuseJob();
    if (disk.reading.level === "full") {
      if (command.op === "claim") return { jobs: [], nextReadyMs: null } satisfies JobOutcome<"claim">;
      if (command.op === "append" || command.op === "checkpoint") await disk.untilRoom();
    }
    return store.execute(command);
  };
  return {
    ...store,
    // Nothing may come between two commands of one turn, so with room there is no detour.
    execute: <Op extends JobOp>(command: JobCommand<Op>) =>
      disk.reading.level === "ok"
        ? store.execute(command)
        : (refuseOrWait(command) as Promise<JobOutcome<Op>>),
  };
}
