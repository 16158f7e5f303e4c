/**
 * The SQLite driver of `JobStore`: commands go to the one writer, reads to a connection of their own.
 *
 * What a run appends is large and the caller has it already, so the writer's answer leaves it out (`strip`) and the
 * announcement is put together again on this side (`restore`).
 */
import type { Participant, Writer } from "../../sqlite/writer.ts";
import { execute, type Executed } from "../execute.ts";
import type { Change, StoredEvent } from "../job.ts";
import type { JobCommand, JobOp, JobStore } from "../store.ts";
import type { JobReads } from "./reads.ts";
import type { SqliteJobTables } from "./tables.ts";

/** Name of this room's commands at the writer. */
export const JOBS = "jobs";

function strip(change: Change): Change {
  return { ...change, events: [] };
}

function restore(command: JobCommand<"append">, change: Change): Change {
  const { first, job } = change;
  const events = command.items.map((item, index): StoredEvent => ({
    seq: first + index,
    attempt: job.attempt,
    at: command.at.wallMs,
    ...item,
  }));
  return { ...change, events };
}

/**
 * What a run writes has nobody to refuse it to. It waits for the storage, and the handler for its write, until the run's
 * own time is over.
 */
const PATIENT: ReadonlySet<JobOp> = new Set(["append", "checkpoint"]);

/** The writer's side: runs where the writer runs. */
export function createJobParticipant(tables: SqliteJobTables): Participant {
  return {
    execute(command) {
      const given = command as JobCommand;
      const executed = execute(tables, given);
      return given.op === "append" ? { ...executed, changes: executed.changes.map(strip) } : executed;
    },
    rolledBack: () => tables.rolledBack(),
  };
}

export function createSqliteJobStore(writer: Writer, reads: JobReads): JobStore {
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  writer.onCommitted((requests, results) => {
    const changes: Change[] = [];
    for (const [index, result] of results.entries()) {
      const request = requests[index];
      if (!result.ok || request?.to !== JOBS) continue;
      const command = request.command as JobCommand;
      const executed = result.value as Executed<JobOp>;
      for (const change of executed.changes) {
        changes.push(command.op === "append" ? restore(command, change) : change);
      }
    }
    if (changes.length > 0) for (const listener of listeners) listener(changes);
  });

  return {
    ...reads,
    async execute(command) {
      const executed = (await writer.write(JOBS, command, {
        patient: PATIENT.has(command.op),
      })) as Executed<typeof command.op>;
      return executed.outcome;
    },
    onCommitted(listener) {
      listeners.push(listener);
    },
  };
}
