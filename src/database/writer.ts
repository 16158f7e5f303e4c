/**
 * What the writers of all databases have in common: commands of one turn of the loop gather into a batch, one transaction
 * commits it, each command gets its answer. One batch is in flight, the next gathers meanwhile.
 */
import { createSystemClock, sleep, type Clock } from "../lib/clock.ts";
import { createGroup, type AfterTurn, type Group } from "../lib/group.ts";
import { Refusal } from "../protocol/error.ts";

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

export interface WriteHow {
  /** What the storage did not take is given again until it does. */
  readonly patient?: boolean;
  /** An unknown outcome is waited for until it is known, however long that takes. With `patient` it always is. */
  readonly settled?: boolean;
}

export interface Writer {
  /**
   * Resolves with the participant's answer after the commit. Rejects with Refusal `storage_unavailable` when the storage
   * did not take it or the outcome is unknown, and with the defect.
   */
  write(to: string, command: unknown, how?: WriteHow): Promise<unknown>;
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
    async write(to, command, { patient = false, settled = patient } = {}) {
      for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
        let result = await group.add({ to, command });
        if (!result.ok && result.why === "unknown") {
          if (!settled) throw unavailable("unknown", result.message);
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
