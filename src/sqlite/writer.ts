/**
 * The one writer of a SQLite database: commands go in, one transaction commits a batch of them, answers come back.
 *
 * An fsync must not stall the event loop, so the writer normally lives in a thread of its own (one batch in flight, the
 * next gathers meanwhile); an in-memory database has no file to share and is written in place. Both run the same
 * `commitBatch`.
 */
import type { Database } from "bun:sqlite";
import { createSystemClock, sleep, type Clock } from "../lib/clock.ts";
import { createGroup, type AfterTurn, type Group } from "../lib/group.ts";
import { Refusal } from "../protocol/error.ts";

/** Carries out the commands of one room inside the open transaction, synchronously. */
export interface Participant {
  execute(command: unknown): unknown;
  /** The transaction was rolled back: whatever was remembered of it is forgotten. Must not touch the database. */
  rolledBack(): void;
}

export interface WriteRequest {
  /** Which participant. */
  readonly to: string;
  readonly command: unknown;
}

/**
 * Why a command changed nothing. `defect`: it threw. `locked`: another process did not let the writer in. `full`: there
 * was no room for it. `unavailable`: the storage refused otherwise.
 */
export type RefusedWhy = "defect" | "locked" | "full" | "unavailable";

export type WriteResult =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly why: RefusedWhy; readonly message: string }
  /** The storage did not say whether it took it. `settled`: what is found out once it can be asked again. */
  | {
      readonly ok: false;
      readonly why: "unknown";
      readonly message: string;
      readonly settled: Promise<WriteResult>;
    };

/** The outcome of the whole batch is unknown: the commit itself failed. The process has to stop and recover. */
export class CommitFailed extends Error {
  override readonly name = "CommitFailed";
}

/** What is in the file makes no sense: whatever is written on top of it could make it worse. */
export class DatabaseDamaged extends Error {
  override readonly name = "DatabaseDamaged";
  constructor(cause: unknown) {
    super(
      `the database is damaged (${messageOf(cause)}): stop here, keep a copy of the data folder, and restore a backup`,
      { cause },
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code);
}

/** SQLite found bytes where none of its own can be. */
export function isDamage(error: unknown): boolean {
  return /^SQLITE_(?:CORRUPT|NOTADB)/.test(codeOf(error));
}

export interface Writer {
  /**
   * Resolves with the participant's answer after the commit. Rejects with Refusal `storage_unavailable` when the storage
   * did not take it or the outcome is unknown, and with the defect. `patient`: what the storage did not take is given
   * again until it does.
   */
  write(to: string, command: unknown, how?: { readonly patient?: boolean }): Promise<unknown>;
  /** Called with every committed batch, in order, before the promises of its commands resolve. */
  onCommitted(listener: (requests: readonly WriteRequest[], results: readonly WriteResult[]) => void): void;
  /** Called with every batch that came back, whatever became of its commands. */
  onBatch(listener: (batch: BatchFacts) => void): void;
  /** Resolves when the writer can no longer tell what is stored. */
  readonly failed: Promise<Error>;
  /** Commits what was given, then ends. */
  stop(): Promise<void>;
}

export interface BatchFacts {
  readonly commands: number;
  /** From handing the batch to SQLite until it answered, the wait for other batches not included. */
  readonly tookMs: number;
  /** Commands that the storage did not take. */
  readonly refused: number;
  /** Some of them because there was no room. */
  readonly full: boolean;
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
): WriteResult[] {
  const results: WriteResult[] = [];
  for (const request of requests) {
    const last = results.at(-1);
    const locked = last?.ok === false && last.why === "locked";
    results.push(locked ? last : (commitBatch(db, participants, [request])[0] as WriteResult));
  }
  return results;
}

/**
 * Commits the requests in one transaction. A command that throws must not take its neighbours with it: the batch is
 * rolled back and each one gets a transaction of its own. Throws CommitFailed when the outcome is unknown, and
 * DatabaseDamaged when SQLite cannot read its own file.
 */
export function commitBatch(
  db: Database,
  participants: Readonly<Record<string, Participant>>,
  requests: readonly WriteRequest[],
): WriteResult[] {
  try {
    db.run("BEGIN IMMEDIATE");
  } catch (error) {
    const refused = refuse(error);
    return requests.map(() => refused);
  }
  const values: unknown[] = [];
  let committing = false;
  try {
    for (const request of requests) values.push(attempt(participants, request));
    committing = true;
    db.run("COMMIT");
  } catch (error) {
    if (committing && !isUndone(error)) throw new CommitFailed(String(error), { cause: error });
    if (db.inTransaction) db.run("ROLLBACK");
    for (const participant of Object.values(participants)) participant.rolledBack();
    return requests.length === 1 ? [refuse(error)] : commitSingly(db, participants, requests);
  }
  return values.map((value) => ({ ok: true, value }));
}

/** Most commands of one transaction. */
const BATCH_MOST = 2000;
/** Between two tries of a patient command. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/**
 * Commits the requests in one transaction, and answers each of them; rejects when nobody can tell any more what is stored.
 * `announce`: tells the listeners of a batch that turned out to be committed only after it was answered as unknown.
 */
export type Commit = (
  requests: WriteRequest[],
  announce: (requests: readonly WriteRequest[], results: readonly WriteResult[]) => void,
) => Promise<WriteResult[]>;

/** `unknown`: it may have been done all the same. */
function unavailable(outcome: "unknown" | "nothing", cause: unknown): Refusal {
  const detail =
    outcome === "unknown"
      ? "The storage did not confirm the write."
      : "The storage did not take the write. Nothing was stored.";
  return new Refusal("storage_unavailable", detail, { cause });
}

function factsOf(results: readonly WriteResult[], tookMs: number): BatchFacts {
  const refused = results.filter((result) => !result.ok && result.why !== "defect");
  return {
    commands: results.length,
    tookMs,
    refused: refused.length,
    full: refused.some((result) => !result.ok && result.why === "full"),
  };
}

/** The gathering half, the same in front of a thread and in place. `afterTurn`: as for `createGroup`. */
export function createWriter(
  commit: Commit,
  end: () => Promise<void>,
  afterTurn?: AfterTurn,
  clock: Clock = createSystemClock(),
): Writer {
  const listeners: ((requests: readonly WriteRequest[], results: readonly WriteResult[]) => void)[] = [];
  const watchers: ((batch: BatchFacts) => void)[] = [];
  const failure = Promise.withResolvers<Error>();
  let failed = false;
  let stopping = false;
  const announce: Parameters<Commit>[1] = (requests, results) => {
    for (const listener of listeners) listener(requests, results);
  };

  const group: Group<WriteRequest, WriteResult> = createGroup({
    most: BATCH_MOST,
    ...(afterTurn === undefined ? {} : { afterTurn }),
    commit: async (requests) => {
      if (failed) throw unavailable("unknown", null);
      const begun = clock.elapsedMs();
      let results: WriteResult[];
      try {
        results = await commit(requests, announce);
      } catch (error) {
        failed = true;
        failure.resolve(error as Error);
        throw unavailable("unknown", error);
      }
      const facts = factsOf(results, clock.elapsedMs() - begun);
      for (const watcher of watchers) watcher(facts);
      announce(requests, results);
      return results;
    },
  });

  return {
    async write(to, command, { patient = false } = {}) {
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
        let result = await group.add({ to, command });
        if (!result.ok && result.why === "unknown") {
          if (!patient) throw unavailable("unknown", result.message);
          result = await result.settled;
        }
        if (result.ok) return result.value;
        if (result.why === "defect") throw new Error(`the ${to} writer refused a command: ${result.message}`);
        if (!patient || stopping) throw unavailable("nothing", result.message);
        await sleep(clock, pauseMs);
      }
    },
    onCommitted(listener) {
      listeners.push(listener);
    },
    onBatch(listener) {
      watchers.push(listener);
    },
    failed: failure.promise,
    async stop() {
      stopping = true;
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
