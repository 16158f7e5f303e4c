/**
 * Brings a PostgreSQL database to the newest schema: the twins of the SQLite migrations, each in one transaction with the
 * row that records it. Any number of processes may start at once: an advisory lock lets one at a time look and act.
 */
import { NewerSchemaError, OlderSchemaError, type Migration } from "../database/migrations.ts";
import { connect, type PostgresClient } from "./connection.ts";

/**
 * Keys of the advisory locks of this program (any numbers, the same for ever); PostgreSQL keeps them apart by database.
 * `node` is the first of a pair, the second one is made from the name of a node; pairs are apart from single keys.
 */
export const ADVISORY_LOCKS = {
  migration: 0x686f6c64_01,
  server: 0x686f6c64_02,
  signingKeys: 0x686f6c64_03,
  node: 0x686f6c64,
} as const;

/** How long one step may take, and wait for others that start: an index over a large table is no matter of seconds. */
const STEP_MS = 3_600_000;

const TABLE =
  "CREATE TABLE IF NOT EXISTS schema_migrations (number integer PRIMARY KEY, name text NOT NULL, applied_at text NOT NULL)";

async function newestNumber(client: PostgresClient): Promise<number> {
  const [row] = await client.unsafe("SELECT coalesce(max(number), 0)::int AS newest FROM schema_migrations");
  return Number(row?.["newest"]);
}

/** The number of the newest migration that was applied; 0 when none ever was. */
export async function schemaOf(client: PostgresClient): Promise<number> {
  const [table] = await client.unsafe("SELECT to_regclass('schema_migrations') IS NOT NULL AS there");
  return table?.["there"] === true ? newestNumber(client) : 0;
}

/** Throws unless the schema is exactly the one that these migrations make. */
export async function assertSchema(client: PostgresClient, migrations: readonly Migration[]): Promise<void> {
  const found = await schemaOf(client);
  if (found > migrations.length) throw new NewerSchemaError(found, migrations.length);
  if (found < migrations.length) throw new OlderSchemaError(found, migrations.length);
}

async function step(client: PostgresClient, migrations: readonly Migration[], at: number): Promise<boolean> {
  const migration = migrations[at];
  if (migration === undefined) return false;
  await client.unsafe("BEGIN");
  await client.unsafe(`SET LOCAL lock_timeout = ${STEP_MS}; SET LOCAL statement_timeout = ${STEP_MS}`);
  await client.unsafe(`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.migration})`);
  await client.unsafe(TABLE);
  const newest = await newestNumber(client);
  if (newest > migrations.length) throw new NewerSchemaError(newest, migrations.length);
  const missing = newest < migration.number;
  if (missing) {
    await client.unsafe(migration.sql);
    await client.unsafe("INSERT INTO schema_migrations VALUES ($1, $2, now()::text)", [
      migration.number,
      migration.name,
    ]);
  }
  await client.unsafe("COMMIT");
  return missing;
}

/** Applies what is missing and returns the numbers applied. Throws NewerSchemaError, and what the server says. */
export async function migrate(url: string, migrations: readonly Migration[]): Promise<readonly number[]> {
  const connection = await connect(url);
  try {
    const applied: number[] = [];
    for (const [index, { number }] of migrations.entries()) {
      if (await step(connection, migrations, index)) applied.push(number);
    }
    return applied;
  } finally {
    // A step that failed is undone with its connection.
    connection.close();
  }
}
