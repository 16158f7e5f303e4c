/**
 * The reference driver of `JobStore`: plain maps, nothing survives the process. It is what the other drivers are held
 * against, and what the simulation runs on.
 */
import { createGroup } from "../lib/group.ts";
import { execute } from "./execute.ts";
import type { Change } from "./job.ts";
import { createMemoryJobReads } from "./memory-reads.ts";
import { createMemoryJobs, createMemoryJobTables, type MemoryJobs } from "./memory-tables.ts";
import type { JobCommand, JobOutcome, JobStore } from "./store.ts";
import type { JobTables } from "./tables.ts";

/** A store that lives as long as the process. Several over the same tables are those of nodes that share a database. */
export function createMemoryJobStore(
  stored: MemoryJobs = createMemoryJobs(),
  tables: JobTables = createMemoryJobTables(stored),
): JobStore {
  const listeners: ((changes: readonly Change[]) => void)[] = [];
  const group = createGroup<JobCommand, unknown>({
    most: 1000,
    commit: async (commands) => {
      const executed = commands.map((command) => execute(tables, command));
      const changes = executed.flatMap((one) => one.changes);
      for (const listener of listeners) listener(changes);
      return executed.map((one) => one.outcome);
    },
  });

  return {
    ...createMemoryJobReads(stored),
    execute: async (command) => (await group.add(command)) as JobOutcome<typeof command.op>,
    onCommitted(listener) {
      listeners.push(listener);
    },
  };
}
