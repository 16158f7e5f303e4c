/**
 * The one writer of a SQLite database: commands go in, one transaction commits a batch of them, answers come back.
 *
 * An fsync must not stall the event loop, so the writer normally lives in a thread of its own (one batch in flight, the
 * next gathers meanwhile); an in-memory database has no file to share and is written in place. Both run the same
 * `commitBatch`.
 */
import type { Database } from "bun:sqlite";
import { Refusal } from "../protocol/error.ts";
import { createGroup, type AfterTurn, type Group } from "../lib/group.ts";

/** Carries out the commands of one room inside the open transaction, synchronously. */
export interface Participant {
  execute(command: unknown): unknown;
  /** The transaction was rolled back: whatever was remembered of it is forgotten. */
  rolledBack(): void;
}

export interface WriteRequest {
  /** Which participant. */
  readonly to: string;
  readonly command: unknown;
}

/** `defect`: this command threw and changed nothing. `unavailable`: the storage refused, nothing was done. */
export type WriteResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly why: "defect" | "unavailable"; readonly message: string };

/** The outcome of the whole batch is unknown: the commit itself failed. The process has to stop and recover. */
export class CommitFailed extends Error {
  override readonly name = "CommitFailed";
}

export interface Writer {
  /** Resolves with the participant's answer after the commit; rejects with Refusal `storage_unavailable`, or with the defect. */
  write(to: string, command: unknown): Promise<unknown>;
  /** Called with every committed batch, in order, before the promises of its commands resolve. */
  onCommitted(listener: (requests: readonly WriteRequest[], results: readonly WriteResult[]) => void): void;
  /** Resolves when the writer can no longer tell what is stored. */
  readonly failed: Promise<Error>;
  /** Commits what was given, then ends. */
  stop(): Promise<void>;
}

function attempt(participants: Readonly<Record<string, Participant>>, request: WriteRequest): unknown {
  const participant = participants[request.to];
  if (participant === undefined) throw new Error(`nobody takes commands for ${request.to}`);
  return participant.execute(request.command);
}

/** A full disk, a lock that another process holds, a failing device: the command is not to blame. */
function blame(error: unknown): "defect" | "unavailable" {
  const code = String((error as { code?: unknown }).code);
  return code.startsWith("SQLITE_") && !code.startsWith("SQLITE_CONSTRAINT") ? "unavailable" : "defect";
}

/**
 * Commits the requests in one transaction. A command that throws must not take its neighbours with it: the batch is
 * rolled back and each one gets a transaction of its own. Throws CommitFailed when the outcome is unknown.
 */
export function commitBatch(
  db: Database,
  participants: Readonly<Record<string, Participant>>,
  requests: readonly WriteRequest[],
): WriteResult[] {
  try {
    db.run("BEGIN IMMEDIATE");
  } catch (error) {
    return requests.map(() => ({ ok: false, why: blame(error), message: String(error) }));
  }
  const values: unknown[] = [];
  try {
    for (const request of requests) values.push(attempt(participants, request));
  } catch (error) {
    if (db.inTransaction) db.run("ROLLBACK");
    for (const participant of Object.values(participants)) participant.rolledBack();
    if (requests.length === 1) return [{ ok: false, why: blame(error), message: String(error) }];
    return requests.flatMap((request) => commitBatch(db, participants, [request]));
  }
  try {
    db.run("COMMIT");
  } catch (error) {
    throw new CommitFailed(String(error), { cause: error });
  }
  return values.map((value) => ({ ok: true, value }));
}

/** Most commands of one transaction. */
const BATCH_MOST = 2000;

export type Commit = (requests: WriteRequest[]) => Promise<WriteResult[]>;

/** The gathering half, the same in front of a thread and in place. `afterTurn`: as for `createGroup`. */
export function createWriter(commit: Commit, end: () => Promise<void>, afterTurn?: AfterTurn): Writer {
  const listeners: ((requests: readonly WriteRequest[], results: readonly WriteResult[]) => void)[] = [];
  const failure = Promise.withResolvers<Error>();
  let failed = false;
  const unavailable = (cause: unknown): Refusal =>
    new Refusal("storage_unavailable", "The storage did not confirm the write.", {
      cause,
      headers: { "Retry-After": "1" },
    });

  const group: Group<WriteRequest, WriteResult> = createGroup({
    most: BATCH_MOST,
    ...(afterTurn === undefined ? {} : { afterTurn }),
    commit: async (requests) => {
      if (failed) throw unavailable(null);
      let results: WriteResult[];
      try {
        results = await commit(requests);
      } catch (error) {
        failed = true;
        failure.resolve(error as Error);
        throw unavailable(error);
      }
      for (const listener of listeners) listener(requests, results);
      return results;
    },
  });

  return {
    async write(to, command) {
      const result = await group.add({ to, command });
      if (result.ok) return result.value;
      if (result.why === "unavailable") throw unavailable(result.message);
      throw new Error(`the ${to} writer refused a command: ${result.message}`);
    },
    onCommitted(listener) {
      listeners.push(listener);
    },
    failed: failure.promise,
    async stop() {
      await group.idle();
      await end();
    },
  };
}

/** A writer in the caller's own thread, for a database that only this connection can see. */
export function createInlineWriter(
  db: Database,
  participants: Readonly<Record<string, Participant>>,
): Writer {
  return createWriter(
    async (requests) => commitBatch(db, participants, requests),
    async () => {},
  );
}
