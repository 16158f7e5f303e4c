/**
 * The SQLite driver of `JobStore`: commands go to the one writer, reads to a connection of their own.
 *
 * What a run appends is large and the caller has it already, so the writer's answer leaves it out (`strip`) and the
 * announcement is put together again on this side (`restore`).
 */
import type { Writer } from "../../database/writer.ts";
import type { Participant } from "../../sqlite/writer.ts";
import { execute } from "../execute.ts";
import type { Change, StoredEvent } from "../job.ts";
import type { JobCommand, JobStore } from "../store.ts";
import { createWrites } from "../writes.ts";
import type { JobReads } from "./reads.ts";
import type { SqliteJobTables } from "./tables.ts";

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

/** Each process has a steady clock of its own; what is stored goes by the one that they share. */
function atTime(command: JobCommand, commonMs: number | null): JobCommand {
  return commonMs === null ? command : { ...command, at: { ...command.at, steadyMs: commonMs } };
}

/** The writer's side: runs where the writer runs. */
export function createJobParticipant(tables: SqliteJobTables): Participant {
  return {
    begun: () => tables.begun(),
    execute(command) {
      const given = atTime(command as JobCommand, tables.commonMs());
      const executed = execute(tables, given);
      return given.op === "append" ? { ...executed, changes: executed.changes.map(strip) } : executed;
    },
    ending: () => tables.ending(),
    rolledBack: () => tables.rolledBack(),
  };
}

export function createSqliteJobStore(writer: Writer, reads: JobReads): JobStore {
  const whole = (command: JobCommand, change: Change): Change =>
    command.op === "append" ? restore(command, change) : change;
  return { ...reads, ...createWrites(writer, whole) };
}
