/** The PostgreSQL driver of `MachineTokenStore`: one table; what is written shares the transactions of the one writer. */
import { createCallParticipant, type Executors } from "../../postgres/calls.ts";
import type { PostgresClient, PostgresRow } from "../../postgres/connection.ts";
import { createRows } from "../../postgres/rows.ts";
import type { PostgresParticipant } from "../../postgres/writer.ts";
import { createCalls } from "../../database/calls.ts";
import type { Writer } from "../../database/writer.ts";
import type { MachineToken, MachineTokenStore } from "../machine-tokens.ts";
import { machineTokens } from "./schema.ts";

/** Name of this room's commands at the writer. */
export const MACHINE_TOKENS = "machineTokens";

const WRITES = ["create", "used", "revoke", "remove", "forget"] as const;
type Writes = Pick<MachineTokenStore, (typeof WRITES)[number]>;

const rows = createRows(machineTokens);
const ALL = [
  "id", "hash", "kind", "name", "types", "rooms", "createdAt", "expiresAt", "lastUsedAt", "revokedAt",
] as const; // prettier-ignore

function tokenOf(raw: PostgresRow): MachineToken {
  const { hash: _hash, ...token } = rows.read(raw);
  return token;
}

const EXECUTORS: Executors<Writes> = {
  async create(client, token, hash) {
    await client.unsafe(
      `INSERT INTO machine_tokens (${rows.names(ALL)}) SELECT ${rows.names(ALL)} FROM ${rows.from(ALL)}`,
      [rows.json([{ ...token, hash }], ALL)],
    );
  },
  async used(client, id, at) {
    await client.unsafe("UPDATE machine_tokens SET last_used_at = $2 WHERE id = $1", [id, at]);
  },
  async revoke(client, id, at) {
    const [row] = await client.unsafe(
      "UPDATE machine_tokens SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING *",
      [id, at],
    );
    return row === undefined ? null : tokenOf(row);
  },
  async remove(client, id) {
    await client.unsafe("DELETE FROM machine_tokens WHERE id = $1", [id]);
  },
  async forget(client, endedBefore) {
    await client.unsafe("DELETE FROM machine_tokens WHERE expires_at < $1 OR revoked_at < $1", [endedBefore]);
  },
};

/** The writer's side. */
export function createMachineTokenParticipant(): PostgresParticipant {
  return createCallParticipant<Writes>(EXECUTORS);
}

export type MachineTokenReads = Omit<MachineTokenStore, keyof Writes>;

export function createMachineTokenReads(client: PostgresClient): MachineTokenReads {
  return {
    find: async (hash) => {
      const [row] = await client.unsafe("SELECT * FROM machine_tokens WHERE hash = $1", [hash]);
      return row === undefined ? null : tokenOf(row);
    },
    list: async () => (await client.unsafe("SELECT * FROM machine_tokens ORDER BY id DESC")).map(tokenOf),
  };
}

export function createPostgresMachineTokenStore(writer: Writer, reads: MachineTokenReads): MachineTokenStore {
  return { ...reads, ...createCalls<Writes>(writer, MACHINE_TOKENS, WRITES) };
}
