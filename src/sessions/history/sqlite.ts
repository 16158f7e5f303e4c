/** The SQLite driver of `RoomHistory`: one table; writes go through the database's one writer. */
import { and, asc, desc, eq, gt, inArray, lt, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { Writer } from "../../database/writer.ts";
import type { Participant } from "../../sqlite/writer.ts";
import type { KeptMessage, Place, RoomHistory } from "./history.ts";

/** Name of this room's commands at the writer. */
export const ROOM_HISTORY = "roomHistory";

export const roomMessages = sqliteTable("room_messages", {
  num: integer("num").primaryKey({ autoIncrement: true }),
  room: text("room").notNull(),
  id: text("id").notNull(),
  userId: text("user_id"),
  sessionId: text("session_id"),
  data: text("data").notNull(),
  at: integer("at").notNull(),
});

type Command =
  | { readonly append: Omit<KeptMessage, "num">; readonly most: number }
  | { readonly sweep: number; readonly limit: number };

/** The writer's side: runs where the writer runs. */
export function createRoomHistoryParticipant({ orm }: SqliteConnection): Participant {
  const { num, room, at } = roomMessages;
  const p = sql.placeholder;
  const append = orm
    .insert(roomMessages)
    .values({
      room: p("room"),
      id: p("id"),
      userId: p("userId"),
      sessionId: p("sessionId"),
      data: p("data"),
      at: p("at"),
    })
    .returning({ num })
    .prepare();
  const firstTooMany = orm
    .select({ num })
    .from(roomMessages)
    .where(eq(room, p("room")))
    .orderBy(desc(num))
    .limit(1)
    .offset(p("kept"))
    .prepare();
  const newest = orm
    .select({ num })
    .from(roomMessages)
    .where(eq(room, p("room")))
    .orderBy(desc(num))
    .limit(1)
    .prepare();
  return {
    execute(command) {
      const given = command as Command;
      if ("sweep" in given) {
        const over = orm
          .select({ num })
          .from(roomMessages)
          .where(lt(at, given.sweep))
          .limit(given.limit)
          .all();
        const nums = over.map((row) => row.num);
        if (nums.length > 0) orm.delete(roomMessages).where(inArray(num, nums)).run();
        return nums.length;
      }
      const { from, ...message } = given.append;
      const values = { ...message, userId: from?.userId ?? null, sessionId: from?.sessionId ?? null };
      const before = newest.get({ room: message.room })?.num ?? 0;
      const added = append.get(values);
      const tooMany = firstTooMany.get({ room: message.room, kept: given.most + 1 });
      if (tooMany !== undefined) {
        orm
          .delete(roomMessages)
          .where(and(eq(room, message.room), sql`${num} <= ${tooMany.num}`))
          .run();
      }
      return { num: added.num, before };
    },
    rolledBack: () => {},
  };
}

function keptOf({ userId, sessionId, ...message }: typeof roomMessages.$inferSelect): KeptMessage {
  const from = userId === null || sessionId === null ? null : { userId, sessionId };
  return { ...message, from };
}

export function createSqliteRoomHistory(writer: Writer, { orm }: SqliteConnection): RoomHistory {
  const send = <Answer>(command: Command): Promise<Answer> =>
    writer.write(ROOM_HISTORY, command) as Promise<Answer>;
  const { num, room, id } = roomMessages;
  return {
    append: (message, most) => send<Place>({ append: message, most }),
    sweep: (saidBefore, limit) => send<number>({ sweep: saidBefore, limit }),
    find: async (ofRoom, ofId) =>
      orm
        .select({ num })
        .from(roomMessages)
        .where(and(eq(room, ofRoom), eq(id, ofId)))
        .get()?.num ?? null,
    before: async (ofRoom, most) =>
      orm
        .select({ num })
        .from(roomMessages)
        .where(eq(room, ofRoom))
        .orderBy(desc(num))
        .limit(1)
        .offset(most)
        .get()?.num ?? 0,
    page: async (ofRoom, after, limit) =>
      orm
        .select()
        .from(roomMessages)
        .where(and(eq(room, ofRoom), gt(num, after)))
        .orderBy(asc(num))
        .limit(limit)
        .all()
        .map(keptOf),
  };
}
