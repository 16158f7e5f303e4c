/** The SQLite driver of `MachineTokenStore`: one table; writes go through the database's one writer. */
import { desc, eq, getTableColumns, lt, or, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createCalls } from "../database/calls.ts";
import { createCallParticipant, type Executors } from "../sqlite/calls.ts";
import type { SqliteConnection } from "../sqlite/database.ts";
import type { Writer } from "../database/writer.ts";
import type { Participant } from "../sqlite/writer.ts";
import type { MachineKind, MachineTokenStore } from "./machine-tokens.ts";

/** Name of this room's commands at the writer. */
export const MACHINE_TOKENS = "machineTokens";

export const machineTokens = sqliteTable("machine_tokens", {
  id: text("id").primaryKey(),
  hash: text("hash").notNull().unique(),
  kind: text("kind").$type<MachineKind>().notNull(),
  name: text("name").notNull(),
  types: text("types", { mode: "json" }).$type<readonly string[]>(),
  rooms: text("rooms", { mode: "json" }).$type<readonly string[]>(),
  createdAt: integer("created_at").notNull(),
  expiresAt: integer("expires_at"),
  lastUsedAt: integer("last_used_at"),
  revokedAt: integer("revoked_at"),
});

const { hash: _hash, ...columns } = getTableColumns(machineTokens);

const WRITES = ["create", "used", "revoke", "remove", "forget"] as const;
type Writes = Pick<MachineTokenStore, (typeof WRITES)[number]>;

function createExecutors({ orm }: SqliteConnection): Executors<Writes> {
  return {
    create(token, hash) {
      orm
        .insert(machineTokens)
        .values({ ...token, hash })
        .run();
    },
    used(id, at) {
      orm.update(machineTokens).set({ lastUsedAt: at }).where(eq(machineTokens.id, id)).run();
    },
    revoke: (id, at) =>
      orm
        .update(machineTokens)
        .set({ revokedAt: sql`coalesce(${machineTokens.revokedAt}, ${at})` })
        .where(eq(machineTokens.id, id))
        .returning(columns)
        .get() ?? null,
    remove(id) {
      orm.delete(machineTokens).where(eq(machineTokens.id, id)).run();
    },
    forget(endedBefore) {
      const { expiresAt, revokedAt } = machineTokens;
      orm
        .delete(machineTokens)
        .where(or(lt(expiresAt, endedBefore), lt(revokedAt, endedBefore)))
        .run();
    },
  };
}

/** The writer's side: runs where the writer runs. */
export function createMachineTokenParticipant(connection: SqliteConnection): Participant {
  return createCallParticipant<Writes>(createExecutors(connection));
}

export function createSqliteMachineTokenStore(writer: Writer, { orm }: SqliteConnection): MachineTokenStore {
  const byHash = orm
    .select(columns)
    .from(machineTokens)
    .where(eq(machineTokens.hash, sql.placeholder("hash")))
    .prepare();
  return {
    ...createCalls<Writes>(writer, MACHINE_TOKENS, WRITES),
    find: async (hash) => byHash.get({ hash }) ?? null,
    list: async () => orm.select(columns).from(machineTokens).orderBy(desc(machineTokens.id)).all(),
  };
}
