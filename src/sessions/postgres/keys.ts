/** The PostgreSQL driver of `KeyStore`: one table, the same for all nodes. Whoever changes it holds a lock. */
import type { Writer } from "../../database/writer.ts";
import { createCalls } from "../../database/calls.ts";
import { createCallParticipant, type Executors } from "../../postgres/calls.ts";
import { ADVISORY_LOCKS } from "../../postgres/migrate.ts";
import type { PostgresClient } from "../../postgres/connection.ts";
import type { PostgresParticipant } from "../../postgres/writer.ts";
import { createdAfter, removalOf, storedKeySchema, type KeyStore, type StoredKey } from "../keys/store.ts";

/** Name of this room's commands at the writer. */
export const SIGNING_KEYS = "signing_keys";

const WRITES = ["begin", "add", "remove", "takeOver"] as const;

/** What a database takes from the data folder of an earlier version. */
export interface PostgresKeyStore extends KeyStore {
  /** Adds keys as they are, save those that are there; how many were not. */
  takeOver(keys: readonly StoredKey[]): Promise<number>;
}

type Writes = Pick<PostgresKeyStore, (typeof WRITES)[number]>;

async function list(client: PostgresClient): Promise<StoredKey[]> {
  const rows = await client.unsafe(
    "SELECT kid, created_at::float8 AS created_at, jwk FROM signing_keys ORDER BY created_at DESC, kid",
  );
  return rows.map(({ kid, created_at: createdAt, jwk }) => {
    try {
      return storedKeySchema.parse({ kid, createdAt, jwk: JSON.parse(String(jwk)) });
    } catch (cause) {
      throw new Error(`the row ${String(kid)} of signing_keys is not a signing key`, { cause });
    }
  });
}

/** As `list`, when nobody else changes anything until the transaction is over. What follows lasts, whatever jobs may do. */
async function listAlone(client: PostgresClient): Promise<StoredKey[]> {
  // A key that signed and is lost with the database's last moment would log everybody out.
  await client.unsafe("SET LOCAL synchronous_commit = on");
  await client.unsafe(`SELECT pg_advisory_xact_lock(${ADVISORY_LOCKS.signingKeys})`);
  return list(client);
}

async function put(client: PostgresClient, { kid, createdAt, jwk }: StoredKey): Promise<boolean> {
  const rows = await client.unsafe(
    `INSERT INTO signing_keys (kid, created_at, jwk) VALUES ($1, $2::bigint, $3)
     ON CONFLICT (kid) DO NOTHING RETURNING kid`,
    [kid, Math.round(createdAt), JSON.stringify(jwk)],
  );
  return rows.length > 0;
}

const EXECUTORS: Executors<Writes> = {
  async begin(client, key, wallMs) {
    const keys = await listAlone(client);
    if (keys.length === 0) await put(client, { ...key, createdAt: createdAfter(keys, wallMs) });
  },
  async add(client, key, wallMs) {
    const createdAt = createdAfter(await listAlone(client), wallMs);
    await put(client, { ...key, createdAt });
    return createdAt;
  },
  async remove(client, kid) {
    const answer = removalOf(await listAlone(client), kid);
    if (answer === "removed") await client.unsafe("DELETE FROM signing_keys WHERE kid = $1", [kid]);
    return answer;
  },
  async takeOver(client, keys) {
    await listAlone(client);
    let taken = 0;
    for (const key of keys) if (await put(client, key)) taken += 1;
    return taken;
  },
};

/** The writer's side. */
export function createKeyParticipant(): PostgresParticipant {
  return createCallParticipant(EXECUTORS);
}

export type KeyReads = Pick<KeyStore, "list">;

export function createKeyReads(client: PostgresClient): KeyReads {
  return { list: () => list(client) };
}

export function createPostgresKeyStore(writer: Writer, reads: KeyReads): PostgresKeyStore {
  return { ...reads, ...createCalls<Writes>(writer, SIGNING_KEYS, WRITES) };
}
