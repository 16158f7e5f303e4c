/** Reaching a PostgreSQL server the way this server needs it; the only place that knows its time-outs and error codes. */
import { SQL } from "bun";
import type { Clock } from "../lib/clock.ts";
import { Refusal } from "../protocol/error.ts";

/** Whether this URL names a PostgreSQL server. */
export function isPostgres(databaseUrl: string): boolean {
  return /^postgres(?:ql)?:/i.test(databaseUrl);
}

/** A connection of its own, or a pool of them: takes SQL with `$1` parameters. */
export interface PostgresClient {
  unsafe(text: string, values?: readonly unknown[]): Promise<PostgresRow[]>;
}

export type PostgresRow = Readonly<Record<string, unknown>>;

/** One connection until `close`: what is sent goes in order, and never to another one. */
export interface PostgresConnection extends PostgresClient {
  close(): void;
}

export interface PostgresPool extends PostgresClient {
  /** Counts the renewals. */
  readonly generation: number;
  /**
   * Gives up all connections and opens others in their place as they are needed, unless that was done since `generation`.
   * What was asked of the old ones is rejected as lost.
   */
  renew(generation: number): void;
  close(): Promise<void>;
}

/** The least version whose features are used, as `server_version_num` counts. */
const OLDEST_VERSION = 150_000;
const READ_CONNECTIONS = 8;
const CONNECT_SECONDS = 3;
/** Longest a statement runs, waits for a lock, and a transaction of a process that fell silent stays open. */
const STATEMENT_MS = 5000;
const LOCK_MS = 3000;
const SILENT_TRANSACTION_MS = 10_000;

function optionsOf(url: string, max: number): SQL.Options {
  return {
    url,
    max,
    connectionTimeout: CONNECT_SECONDS,
    connection: {
      application_name: "holdline",
      statement_timeout: STATEMENT_MS,
      lock_timeout: LOCK_MS,
      idle_in_transaction_session_timeout: SILENT_TRANSACTION_MS,
      client_min_messages: "warning",
      // Who has gone without a word keeps its locks no longer than this.
      tcp_keepalives_idle: 10,
      tcp_keepalives_interval: 5,
      tcp_keepalives_count: 3,
      // Everything that is asked has an index. Plans are kept, and those made while a table is small would read all of it
      // when it is large, until somebody has counted its rows.
      enable_seqscan: "off",
      enable_hashjoin: "off",
      enable_mergejoin: "off",
    },
  };
}

/** For reads; connects when it is first asked something. */
export function openPool(url: string): PostgresPool {
  const open = (): SQL => new SQL(optionsOf(url, READ_CONNECTIONS));
  let sql = open();
  let generation = 0;
  return {
    get generation() {
      return generation;
    },
    renew(seen) {
      if (seen !== generation) return;
      generation += 1;
      const given = sql;
      sql = open();
      void given.close({ timeout: 0 }).catch(() => {});
    },
    unsafe: (text, values) => sql.unsafe(text, values as unknown[]),
    close: () => sql.close({ timeout: 0 }),
  };
}

/** Rejects as the server or the network says. A connection that broke stays broken: nothing is ever sent to a second one. */
export async function connect(url: string): Promise<PostgresConnection> {
  const sql = new SQL(optionsOf(url, 1));
  try {
    const reserved = await sql.reserve();
    return {
      unsafe: (text, values) => reserved.unsafe(text, values as unknown[]),
      close: () => void sql.close({ timeout: 0 }).catch(() => {}),
    };
  } catch (error) {
    void sql.close({ timeout: 0 }).catch(() => {});
    throw error;
  }
}

/** Throws when the server is older than what this version was made for. Returns its version as it names it. */
export async function assertPostgresVersion(client: PostgresClient): Promise<string> {
  const [row] = await client.unsafe(
    "SELECT current_setting('server_version') AS name, current_setting('server_version_num')::int AS number",
  );
  if (Number(row?.["number"]) < OLDEST_VERSION)
    throw new Error(`PostgreSQL ${String(row?.["name"])} is too old; ${OLDEST_VERSION / 10_000} is needed`);
  return String(row?.["name"]);
}

/** The five characters of SQLSTATE, or null when the server did not say anything. */
export function stateOf(error: unknown): string | null {
  const of = (one: unknown): string | null => {
    const { errno, code } = (one ?? {}) as { errno?: unknown; code?: unknown };
    return (
      [errno, code].find(
        (value): value is string => typeof value === "string" && /^[0-9A-Z]{5}$/.test(value),
      ) ?? null
    );
  };
  return of(error) ?? of((error as { cause?: unknown } | null)?.cause);
}

/** The connection is gone, or going: whatever was under way on it is over. */
export function isLost(error: unknown): boolean {
  const state = stateOf(error);
  if (state !== null) return /^(?:08|57P)/.test(state);
  const code = String((error as { code?: unknown } | null)?.code);
  return (
    error instanceof Unanswered ||
    code.startsWith("ERR_POSTGRES_CONN") ||
    code === "ERR_POSTGRES_IDLE_TIMEOUT" ||
    code === "ERR_POSTGRES_LIFETIME_TIMEOUT" ||
    code === "FailedToOpenSocket" ||
    /^E(?:CONN|PIPE|HOST|NET|TIMEDOUT)/.test(code)
  );
}

/** Somebody else was in the way, not the statement itself: it may go through next time. */
export function isContended(error: unknown): boolean {
  return /^(?:40001|40P01|55P03|23505|57014)$/.test(stateOf(error) ?? "");
}

/** The server did not answer within the time it has. */
export class Unanswered extends Error {
  override readonly name = "Unanswered";
}

/** Rejects with Unanswered after `withinMs`. A server that is stopped, or behind a cut wire, says nothing for ever. */
export async function answered<Answer>(
  clock: Clock,
  withinMs: number,
  asked: Promise<Answer>,
): Promise<Answer> {
  const late = Promise.withResolvers<never>();
  const timer = clock.after(withinMs, () => late.reject(new Unanswered("the database did not answer")));
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    timer.cancel();
  }
}

/** Longest that a read waits for its answer, and how often it is asked again of a server that was lost meanwhile. */
const READ_MS = 6000;
const READ_TRIES = 3;

/**
 * The same reads; a server that cannot be asked is a Refusal `storage_unavailable`. A read changes nothing, so one that met
 * a connection that had died unnoticed is asked again on another.
 *
 * A connection through which nothing came for so long is not used again: what was sent into a network that was away is
 * sent anew after a wait that doubles each time, so that it may be of no use for as long again as the network was.
 */
export function refusingReads<Reads extends object>(
  clock: Clock,
  pool: Pick<PostgresPool, "generation" | "renew">,
  reads: Reads,
): Reads {
  const guarded = Object.entries(reads).map(([name, read]) => [
    name,
    async (...given: readonly unknown[]): Promise<unknown> => {
      for (let tries = 1; ; tries += 1) {
        const { generation } = pool;
        try {
          return await answered(
            clock,
            READ_MS,
            (read as (...all: readonly unknown[]) => Promise<unknown>)(...given),
          );
        } catch (error) {
          if (!isLost(error) && !/^(?:53|55P03|57014)/.test(stateOf(error) ?? "")) throw error;
          if (error instanceof Unanswered) pool.renew(generation);
          else if (tries < READ_TRIES) continue;
          throw new Refusal("storage_unavailable", "The storage could not be read.", { cause: error });
        }
      }
    },
  ]);
  return Object.fromEntries(guarded) as Reads;
}
