/**
 * The one writer of a SQLite database: one transaction for each batch of commands.
 *
 * An fsync must not stall the event loop, so the writer normally lives in a thread of its own (one batch in flight, the
 * next gathers meanwhile); an in-memory database has no file to share and is written in place. Both run the same
 * `commitBatch`.
 */
import type { Database } from "bun:sqlite";
import {
  createWriter,
  DatabaseDamaged,
  type RefusedWhy,
  type WriteRequest,
  type Writer,
  type WriteResult,
} from "../database/writer.ts";
import { codeOf, isDamage } from "./errors.ts";
import type { Turns } from "./turns.ts";

/** Carries out the commands of one room inside the open transaction, synchronously. */
export interface Participant {
  /** A transaction has begun. */
  begun?(): void;
  execute(command: unknown): unknown;
  /** Every command was carried out, and the transaction is about to be committed. */
  ending?(): void;
  /** The transaction was rolled back: whatever was remembered of it is forgotten. Must not touch the database. */
  rolledBack(): void;
}

/** The outcome of the whole batch is unknown: the commit itself failed. The process has to stop and recover. */
export class CommitFailed extends Error {
  override readonly name = "CommitFailed";
}

function attempt(participants: Readonly<Record<string, Participant>>, request: WriteRequest): unknown {
  const participant = participants[request.to];
  if (participant === undefined) throw new Error(`nobody takes commands for ${request.to}`);
  return participant.execute(request.command);
}

/** A full disk, a lock that another process holds, a failing device: the command is not to blame. */
function blame(error: unknown): RefusedWhy {
  if (isDamage(error)) throw new DatabaseDamaged(error);
  const code = codeOf(error);
  if (code.startsWith("SQLITE_FULL")) return "full";
  if (/^SQLITE_(?:BUSY|LOCKED)/.test(code)) return "locked";
  return code.startsWith("SQLITE_") && !code.startsWith("SQLITE_CONSTRAINT") ? "unavailable" : "defect";
}

/**
 * A commit that ran out of room, or met somebody's lock, has not written its last frame: SQLite undid it, and no later
 * start can find it. Of every other error (an fsync that failed above all) nobody knows what the disk will say.
 */
function isUndone(error: unknown): boolean {
  return /^SQLITE_(?:FULL|BUSY)/.test(codeOf(error));
}

function refuse(error: unknown): WriteResult {
  return { ok: false, why: blame(error), message: String(error) };
}

/** What did not go together goes one by one; but who could not even begin is not asked to wait again for each. */
function commitSingly(
  db: Database,
  participants: Readonly<Record<string, Participant>>,
  requests: readonly WriteRequest[],
  turns: Turns | null,
): WriteResult[] {
  const results: WriteResult[] = [];
  for (const request of requests) {
    const last = results.at(-1);
    const locked = last?.ok === false && last.why === "locked";
    results.push(locked ? last : (commitBatch(db, participants, [request], turns)[0] as WriteResult));
  }
  return results;
}

/**
 * Commits the requests in one transaction. A command that throws must not take its neighbours with it: the batch is
 * rolled back and each one gets a transaction of its own. Throws CommitFailed when the outcome is unknown, and
 * DatabaseDamaged when SQLite cannot read its own file. `turns`: other processes write as well.
 */
export function commitBatch(
  db: Database,
  participants: Readonly<Record<string, Participant>>,
  requests: readonly WriteRequest[],
  turns: Turns | null = null,
): WriteResult[] {
  try {
    if (turns === null) db.run("BEGIN IMMEDIATE");
    else turns.begin();
  } catch (error) {
    const refused = refuse(error);
    return requests.map(() => refused);
  }
  const values: unknown[] = [];
  let committing = false;
  try {
    for (const participant of Object.values(participants)) participant.begun?.();
    for (const request of requests) values.push(attempt(participants, request));
    for (const participant of Object.values(participants)) participant.ending?.();
    committing = true;
    db.run("COMMIT");
  } catch (error) {
    if (committing && !isUndone(error)) throw new CommitFailed(String(error), { cause: error });
    if (db.inTransaction) db.run("ROLLBACK");
    for (const participant of Object.values(participants)) participant.rolledBack();
    return requests.length === 1 ? [refuse(error)] : commitSingly(db, participants, requests, turns);
  } finally {
    turns?.ended();
  }
  return values.map((value) => ({ ok: true, value }));
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
