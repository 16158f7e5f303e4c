/** The SQLite driver of `RevocationStore`: one table; writes go through the database's one writer. */
import { gte, lte, ne, or, sql } from "drizzle-orm";
import { integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { createCalls } from "../../database/calls.ts";
import { createCallParticipant, type Executors } from "../../sqlite/calls.ts";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { Writer } from "../../database/writer.ts";
import type { Participant } from "../../sqlite/writer.ts";
import type { Revocation, RevocationStore } from "./store.ts";

/** Name of this room's commands at the writer. */
export const REVOCATIONS = "revocations";

export const revocations = sqliteTable(
  "revocations",
  {
    kind: text("kind").$type<Revocation["kind"]>().notNull(),
    subject: text("subject").notNull(),
    before: integer("before").notNull(),
    until: integer("until").notNull(),
  },
  (table) => [primaryKey({ columns: [table.kind, table.subject] })],
);

const WRITES = ["revoke", "forget"] as const;
type Writes = Pick<RevocationStore, (typeof WRITES)[number]>;

function createExecutors({ orm }: SqliteConnection): Executors<Writes> {
  return {
    revoke(revocation) {
      orm
        .insert(revocations)
        .values(revocation)
        .onConflictDoUpdate({
          target: [revocations.kind, revocations.subject],
          set: {
            before: sql`max(${revocations.before}, excluded.before)`,
            until: sql`max(${revocations.until}, excluded.until)`,
          },
        })
        .run();
    },
    forget(wallMs) {
      orm.delete(revocations).where(lte(revocations.until, wallMs)).run();
    },
  };
}

/** The writer's side: runs where the writer runs. */
export function createRevocationParticipant(connection: SqliteConnection): Participant {
  return createCallParticipant<Writes>(createExecutors(connection));
}

export function createSqliteRevocationStore(writer: Writer, { orm }: SqliteConnection): RevocationStore {
  return {
    ...createCalls<Writes>(writer, REVOCATIONS, WRITES),
    list: async (sessionsSince) =>
      orm
        .select()
        .from(revocations)
        .where(or(ne(revocations.kind, "session"), gte(revocations.before, sessionsSince)))
        .all(),
  };
}
