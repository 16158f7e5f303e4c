/** A database of a selftest's own on somebody's PostgreSQL server: made for it, and gone with it. */
import { randomBytes } from "node:crypto";
import { connect, type PostgresConnection } from "../../postgres/connection.ts";

export interface TestDatabase {
  /** Where it is, with the credentials of the URL it was made by. */
  readonly url: string;
  readonly name: string;
  /** Takes it away, whoever is still connected. */
  remove(): Promise<void>;
}

/** A server may copy its template for longer than any statement of ours may take. */
const MAKING_MS = 60_000;

async function once(url: string, statement: string): Promise<void> {
  let connection: PostgresConnection | null = null;
  try {
    connection = await connect(url);
    await connection.unsafe(`SET statement_timeout = ${MAKING_MS}`);
    await connection.unsafe(statement);
  } finally {
    connection?.close();
  }
}

/** `url`: any database of the server, by a user who may create another one. Rejects with a sentence for the operator. */
export async function makeTestDatabase(url: string): Promise<TestDatabase> {
  const name = `holdline_selftest_${randomBytes(6).toString("hex")}`;
  try {
    await once(url, `CREATE DATABASE ${name}`);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(
      `selftest needs a database of its own, and cannot create one: ${why} (the user of --database-url needs CREATEDB)`,
      { cause: error },
    );
  }
  const own = new URL(url);
  own.pathname = `/${name}`;
  return {
    url: own.href,
    name,
    remove: () => once(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`),
  };
}
