/** The SQLite driver of `MachineTokenStore`: one table; writes go through the database's one writer. */
import { desc, eq, getTableColumns, lt, or, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
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

type Writes = Pick<MachineTokenStore, "create" | "used" | "revoke" | "remove" | "forget">;
type Executors = {
  readonly [Name in keyof Writes]: (...given: Parameters<Writes[Name]>) => Awaited<ReturnType<Writes[Name]>>;
};

interface MachineTokenCommand {
  readonly call: keyof Writes;
  readonly given: readonly unknown[];
}

function createExecutors({ orm }: SqliteConnection): Executors {
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
  const executors = createExecutors(connection);
  return {
    execute(command) {
      const { call, given } = command as MachineTokenCommand;
      return (executors[call] as (...args: readonly unknown[]) => unknown)(...given);
    },
    rolledBack: () => {},
  };
}

export function createSqliteMachineTokenStore(writer: Writer, { orm }: SqliteConnection): MachineTokenStore {
  const byHash = orm
    .select(columns)
    .from(machineTokens)
    .where(eq(machineTokens.hash, sql.placeholder("hash")))
    .prepare();
  const send = <Name extends keyof Writes>(call: Name): Writes[Name] =>
    ((...given: readonly unknown[]) =>
      writer.write(MACHINE_TOKENS, { call, given } satisfies MachineTokenCommand)) as Writes[Name];

  return {
    create: send("create"),
    used: send("used"),
    revoke: send("revoke"),
    remove: send("remove"),
    forget: send("forget"),
    find: async (hash) => byHash.get({ hash }) ?? null,
    list: async () => orm.select(columns).from(machineTokens).orderBy(desc(machineTokens.id)).all(),
  };
}
