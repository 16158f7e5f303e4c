/**
 * The writing side of a PostgreSQL database: commands that arrive while one transaction is under way share the next one.
 *
 * A network lies between, so a commit can end in three ways: confirmed, refused, or unknown. Each transaction notes its
 * number in the row of its process; when the answer to a COMMIT is lost, that row tells later whether it took place, and
 * nothing new is written before it has.
 */
import { getTableName } from "drizzle-orm";
import { sleep, type Clock, type Instant } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";
import {
  createWriter,
  type Commit,
  type RefusedWhy,
  type WriteRequest,
  type Writer,
  type WriteResult,
} from "../database/writer.ts";
import {
  answered,
  isContended,
  isLost,
  stateOf,
  Unanswered,
  type PostgresClient,
  type PostgresConnection,
  type PostgresRow,
} from "./connection.ts";
import { createLine } from "./line.ts";
import { createServerPlace, DatabaseInUseError, type ServerClaim } from "./place.ts";
import { TIME, timeOf } from "./time.ts";
import { writers } from "./writers-table.ts";

/** Carries out the commands of one room inside the open transaction. */
export interface PostgresParticipant {
  /**
   * In order; a command that is to blame itself is answered so, and takes no other with it. Rejects with what the server
   * says. `now`: the time of the installation (time.ts), which takes the place of what a command says of it; null: there
   * is only what they say.
   */
  execute(
    commands: readonly unknown[],
    client: PostgresClient,
    now: Instant | null,
  ): Promise<readonly WriteResult[]>;
  /** What became of the transaction; false also when nobody knows yet. */
  ended(committed: boolean): void;
}

export interface PostgresWriterOptions {
  readonly url: string;
  /** `process`: a commit is confirmed before it is on the disk of the database. */
  readonly durability: "power" | "process";
  /** Whose row notes the batches; unlike that of any other process. */
  readonly id: string;
  /** As which server it writes; null: as none, beside whoever does. */
  readonly claim: ServerClaim | null;
  /** Whether commands take effect at the time of the installation. */
  readonly keepsTime: boolean;
  readonly participants: Readonly<Record<string, PostgresParticipant>>;
  readonly clock: Clock;
  readonly logger: Logger | null;
}

/** A batch, from BEGIN to the answer to COMMIT; longer, and the server is taken for lost. */
const BATCH_MS = 8000;
/** Who comes while the database cannot be reached is refused after this. */
const AWAY_MS = 2000;
/** How long a start waits for the server before it to be noticed as gone. */
const TAKE_OVER_MS = 3000;
const TRIES = 3;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

const TABLE = getTableName(writers);
const NOTE = `INSERT INTO ${TABLE} (id, batch) VALUES ($1, $2)
  ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, written_at = now()`;
/** Rows of processes that are long over. */
const FORGET = `DELETE FROM ${TABLE} WHERE written_at < now() - interval '7 days'`;

function whyOf(error: unknown): RefusedWhy {
  if (error instanceof DatabaseInUseError) return "unavailable";
  const state = stateOf(error) ?? "";
  if (state === "53100") return "full";
  if (/^(?:40|55P03|57014)/.test(state)) return "locked";
  return isLost(error) || /^(?:53|57|58|XX|25)/.test(state) ? "unavailable" : "defect";
}

function refused(requests: readonly WriteRequest[], error: unknown): WriteResult[] {
  const result: WriteResult = { ok: false, why: whyOf(error), message: String(error) };
  return requests.map(() => result);
}

/** The COMMIT was sent, and nobody said what became of it. */
class OutcomeUnknown extends Error {
  override readonly name = "OutcomeUnknown";
  /** What is answered if it took place. */
  readonly results: readonly WriteResult[];
  constructor(cause: unknown, results: readonly WriteResult[]) {
    super(String(cause), { cause });
    this.results = results;
  }
}

/** The one connection that writes. */
function createWritingLine({ url, durability, id, claim, clock }: PostgresWriterOptions) {
  const place = claim === null ? null : createServerPlace(claim);
  const line = createLine(url, async (connection) => {
    if (durability === "process") await connection.unsafe("SET synchronous_commit = off");
    await place?.take(connection);
  });
  return {
    /** Rejects with DatabaseInUseError, or as the network says. */
    get: () => line.get(),
    drop: () => line.drop(),
    /** Without an answer to it the connection is not used any more, which undoes as much. */
    async rollback(): Promise<void> {
      try {
        if (line.open !== null) await answered(clock, BATCH_MS, line.open.unsafe("ROLLBACK"));
      } catch {
        line.drop();
      }
    },
    /** The last batch of this process that was committed. */
    async lastBatch(): Promise<number> {
      // The lock is free only once the transaction in question is over.
      const [row] = await (await line.get()).unsafe(`SELECT batch FROM ${TABLE} WHERE id = $1`, [id]);
      return Number(row?.["batch"] ?? 0);
    },
  };
}

type Line = ReturnType<typeof createWritingLine>;

/** Requests by participant, each with its place in the batch; in one order for all processes, as whatever is locked. */
function byParticipant(
  participants: PostgresWriterOptions["participants"],
  requests: readonly WriteRequest[],
): Map<string, number[]> {
  const places = new Map<string, number[]>(Object.keys(participants).map((name) => [name, []]));
  for (const [place, { to }] of requests.entries()) {
    const found = places.get(to);
    if (found === undefined) throw new Error(`nobody takes commands for ${to}`);
    found.push(place);
  }
  return places;
}

/** Begins a transaction; the time that all of it takes effect at comes with the same answer. */
async function begin(
  { keepsTime }: PostgresWriterOptions,
  connection: PostgresConnection,
): Promise<Instant | null> {
  if (!keepsTime) {
    await connection.unsafe("BEGIN");
    return null;
  }
  // Two statements in one message are answered with their two results.
  const answers = await connection.unsafe(`BEGIN; ${TIME}`);
  const [, rows] = answers as unknown as readonly PostgresRow[][];
  return timeOf(rows?.[0]);
}

async function carryOut(
  { participants }: PostgresWriterOptions,
  client: PostgresClient,
  requests: readonly WriteRequest[],
  now: Instant | null,
): Promise<WriteResult[]> {
  const results: WriteResult[] = [];
  for (const [to, places] of byParticipant(participants, requests)) {
    const participant = participants[to];
    if (participant === undefined || places.length === 0) continue;
    const answers = await participant.execute(
      places.map((place) => requests[place]?.command),
      client,
      now,
    );
    for (const [index, place] of places.entries()) results[place] = answers[index] as WriteResult;
  }
  return results;
}

/** One transaction. Throws OutcomeUnknown, or anything else when nothing was stored. */
async function transact(
  options: PostgresWriterOptions,
  line: Line,
  requests: readonly WriteRequest[],
  batch: number,
): Promise<WriteResult[]> {
  let results: WriteResult[] | null = null;
  const run = async (): Promise<WriteResult[]> => {
    const connection = await line.get();
    const now = await begin(options, connection);
    const carriedOut = await carryOut(options, connection, requests, now);
    await connection.unsafe(NOTE, [options.id, batch]);
    results = carriedOut;
    await connection.unsafe("COMMIT");
    return carriedOut;
  };
  try {
    return await answered(options.clock, BATCH_MS, run());
  } catch (error) {
    if (isLost(error) || (results !== null && stateOf(error) === null)) line.drop();
    else await line.rollback();
    if (results !== null && (isLost(error) || stateOf(error) === null))
      throw new OutcomeUnknown(error, results);
    throw error;
  }
}

/** Opens the connection, and with it takes the database for this process. Rejects with DatabaseInUseError. */
async function take(line: Line, clock: Clock): Promise<void> {
  const until = clock.elapsedMs() + TAKE_OVER_MS;
  for (;;) {
    try {
      await (await line.get()).unsafe(FORGET);
      return;
    } catch (error) {
      if (!(error instanceof DatabaseInUseError) || clock.elapsedMs() > until) throw error;
      await sleep(clock, FIRST_PAUSE_MS);
    }
  }
}

/** Asks what became of a batch until the database says it; null: the writer was stopped before. */
async function wasCommitted(
  { clock, logger }: PostgresWriterOptions,
  line: Line,
  batch: number,
  isStopped: () => boolean,
): Promise<boolean | null> {
  for (let pauseMs = FIRST_PAUSE_MS; !isStopped(); pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      const committed = (await answered(clock, BATCH_MS, line.lastBatch())) === batch;
      logger?.info({ committed }, "what became of the last write is known again");
      return committed;
    } catch (error) {
      line.drop();
      logger?.warn(
        { error },
        "the database cannot be asked what became of the last write; it is asked again",
      );
      await sleep(clock, pauseMs);
    }
  }
  return null;
}

type Announce = Parameters<Commit>[1];

/** Takes batches, one at a time. */
function createCommit(options: PostgresWriterOptions, line: Line, isStopped: () => boolean): Commit {
  const { clock, participants } = options;
  let batch = 0;
  /** Resolves when it is known again what is stored. */
  let doubt: Promise<void> | null = null;

  const ended = (committed: boolean): void => {
    for (const participant of Object.values(participants)) participant.ended(committed);
  };

  const beginDoubt = (
    requests: readonly WriteRequest[],
    error: OutcomeUnknown,
    announce: Announce,
  ): WriteResult[] => {
    const settled = wasCommitted(options, line, batch, isStopped).then((committed) => {
      doubt = null;
      if (committed !== true)
        return refused(requests, new Unanswered("the database was lost before it stored it"));
      announce(requests, error.results);
      return error.results;
    });
    doubt = settled.then(() => {});
    return requests.map((_request, index) => ({
      ok: false,
      why: "unknown",
      message: error.message,
      settled: settled.then((results) => results[index] as WriteResult),
    }));
  };

  const one = async (requests: readonly WriteRequest[], announce: Announce): Promise<WriteResult[]> => {
    if (doubt !== null) await answered(clock, AWAY_MS, doubt).catch(() => {});
    if (doubt !== null) return refused(requests, new Unanswered("the database does not answer"));
    for (let tries = 1; ; tries += 1) {
      batch += 1;
      try {
        const results = await transact(options, line, requests, batch);
        ended(true);
        return results;
      } catch (error) {
        ended(false);
        if (error instanceof OutcomeUnknown) return beginDoubt(requests, error, announce);
        if (isContended(error) && tries < TRIES) continue;
        return requests.length === 1 || isLost(error) ? refused(requests, error) : singly(requests, announce);
      }
    }
  };

  /** What did not go together goes one by one; behind an outcome that is not known nothing is tried. */
  const singly = async (requests: readonly WriteRequest[], announce: Announce): Promise<WriteResult[]> => {
    const results: WriteResult[] = [];
    for (const request of requests) {
      const last = results.at(-1);
      const given = doubt === null || last === undefined || last.ok;
      results.push(
        ...(given ? await one([request], announce) : refused([request], new Unanswered(last.message))),
      );
    }
    return results;
  };

  return one;
}

/** Starts the writer. Rejects when the database cannot be reached, or another server has it. */
export async function startPostgresWriter(options: PostgresWriterOptions): Promise<Writer> {
  const line = createWritingLine(options);
  await take(line, options.clock);
  let stopped = false;
  const end = async (): Promise<void> => {
    stopped = true;
    line.drop();
  };
  return createWriter(
    createCommit(options, line, () => stopped),
    end,
    undefined,
    options.clock,
  );
}
