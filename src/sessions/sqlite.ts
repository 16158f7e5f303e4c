/** The SQLite driver of `SessionStore`: one table; writes go through the database's one writer. */
import { and, asc, desc, eq, getTableColumns, gt, isNull, lt, lte, or, sql, type SQL } from "drizzle-orm";
import { integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { SessionId, UserId } from "../lib/ids.ts";
import type { ChosenPresence, Presence } from "../protocol/sessions.ts";
import { createCalls } from "../database/calls.ts";
import { createCallParticipant, type Executors } from "../sqlite/calls.ts";
import type { SqliteConnection } from "../sqlite/database.ts";
import type { Writer } from "../database/writer.ts";
import type { Participant } from "../sqlite/writer.ts";
import { away, chosen, connected, entered, enteringRefused, leftRoom, type Change } from "./changes.ts";
import type { SessionRecord, UserBinding } from "./session.ts";
import type { SessionStore } from "./store.ts";

/** Name of this room's commands at the writer. */
export const SESSIONS = "sessions";

export const sessions = sqliteTable("sessions", {
  id: text("id").$type<SessionId>().primaryKey(),
  userId: text("user_id").$type<UserId>().notNull(),
  nodeId: text("node_id").notNull(),
  createdAt: integer("created_at").notNull(),
  connectedAt: integer("connected_at"),
  lastSeenAt: integer("last_seen_at").notNull(),
  presence: text("presence").$type<Presence>().notNull(),
  rooms: text("rooms", { mode: "json" }).$type<readonly string[]>().notNull(),
  binding: text("binding", { mode: "json" }).$type<UserBinding>(),
  awayBy: real("away_by"),
  expiresBy: real("expires_by"),
  endedAt: integer("ended_at"),
  forgetAt: integer("forget_at"),
  presenceAt: integer("presence_at").notNull(),
  chosenPresence: text("chosen_presence").$type<ChosenPresence>().notNull(),
});

const { forgetAt: _forgetAt, ...recordColumns } = getTableColumns(sessions);

const WRITES = [
  "create",
  "connected",
  "away",
  "touch",
  "choose",
  "enter",
  "leave",
  "end",
  "sweep",
  "recover",
] as const;
type Writes = Pick<SessionStore, (typeof WRITES)[number]>;

function createExecutors({ orm }: SqliteConnection): Executors<Writes> {
  const living = (id: SessionId | SQL) => and(eq(sessions.id, id), isNull(sessions.endedAt));
  const p = sql.placeholder;
  // Prepared: every session in use comes by here, every second.
  const touchOne = orm
    .update(sessions)
    .set({
      lastSeenAt: sql`${p("at")}`,
      expiresBy: sql`CASE WHEN ${sessions.expiresBy} IS NULL THEN NULL ELSE ${p("expiresBy")} END`,
    })
    .where(living(sql`${p("id")}`))
    .prepare();
  const livingOne = orm
    .select(recordColumns)
    .from(sessions)
    .where(living(sql`${p("id")}`))
    .prepare();
  const change = (id: SessionId, by: Change): SessionRecord | null => {
    const session = livingOne.get({ id });
    const next = session === undefined ? null : by(session);
    if (next === null) return null;
    const { id: _id, ...columns } = next;
    orm.update(sessions).set(columns).where(eq(sessions.id, id)).run();
    return next;
  };
  return {
    create(session) {
      orm.insert(sessions).values(session).run();
    },
    connected: (given) => change(given.id, connected(given)),
    away: (given) => change(given.id, away(given)),
    choose: (id, presence, at) => change(id, chosen(presence, at)),
    enter(given) {
      const session = livingOne.get({ id: given.id });
      if (session === undefined) return null;
      return enteringRefused(session, given) ?? change(given.id, entered(given.room)) ?? session;
    },
    leave: (id, room) => change(id, leftRoom(room)),
    touch(touches) {
      for (const { id, at, expiresBy } of touches) touchOne.run({ id, at, expiresBy });
    },
    end: (id, at, forgetAt) =>
      orm
        .update(sessions)
        .set({
          endedAt: at,
          forgetAt,
          connectedAt: null,
          presence: "offline",
          presenceAt: at,
          expiresBy: null,
        })
        .where(living(id))
        .returning({ id: sessions.id })
        .get() !== undefined,
    sweep(steadyMs, wallMs, limit) {
      const over = orm
        .select({ id: sessions.id })
        .from(sessions)
        .where(or(lte(sessions.expiresBy, steadyMs), lte(sessions.forgetAt, wallMs)))
        .limit(limit)
        .all();
      for (const { id } of over) orm.delete(sessions).where(eq(sessions.id, id)).run();
      return over.map(({ id }) => id);
    },
    recover({ nodeId, awayBy, expiresBy, at }) {
      orm
        .update(sessions)
        .set({
          presenceAt: sql`CASE WHEN ${sessions.connectedAt} IS NULL OR ${sessions.presence} = 'away' THEN ${sessions.presenceAt} ELSE ${at} END`,
          presence: sql`CASE WHEN ${sessions.connectedAt} IS NULL THEN ${sessions.presence} ELSE 'away' END`,
          connectedAt: null,
          awayBy,
          expiresBy,
        })
        .where(and(eq(sessions.nodeId, nodeId), isNull(sessions.endedAt)))
        .run();
    },
  };
}

/** The writer's side: runs where the writer runs. */
export function createSessionParticipant(connection: SqliteConnection): Participant {
  return createCallParticipant<Writes>(createExecutors(connection));
}

export function createSqliteSessionStore(writer: Writer, { orm }: SqliteConnection): SessionStore {
  const byId = orm
    .select(recordColumns)
    .from(sessions)
    .where(eq(sessions.id, sql.placeholder("id")))
    .prepare();
  const ownById = orm
    .select(recordColumns)
    .from(sessions)
    // With the plus no index serves the user: there is one row at most by the id.
    .where(
      and(eq(sessions.id, sql.placeholder("id")), sql`+${sessions.userId} = ${sql.placeholder("userId")}`),
    )
    .prepare();
  // By the index of those that live.
  const counts = orm
    .select({ all: sql<number>`count(*)`, online: sql<number>`count(${sessions.connectedAt})` })
    .from(sessions)
    .where(isNull(sessions.endedAt))
    .prepare();
  return {
    ...createCalls<Writes>(writer, SESSIONS, WRITES),
    count: async () => {
      const { all, online } = counts.get() ?? { all: 0, online: 0 };
      return { online, away: all - online };
    },
    find: async (id) => byId.get({ id }) ?? null,
    findOwn: async (userId, id) => ownById.get({ userId, id }) ?? null,
    page: async ({ userId, before, limit }) =>
      orm
        .select(recordColumns)
        .from(sessions)
        .where(
          and(
            isNull(sessions.endedAt),
            userId === null ? undefined : eq(sessions.userId, userId),
            before === null ? undefined : lt(sessions.id, before),
          ),
        )
        .orderBy(desc(sessions.id))
        .limit(limit)
        .all(),
    inRooms: async (after, limit) =>
      orm
        .select(recordColumns)
        .from(sessions)
        .where(
          and(
            isNull(sessions.endedAt),
            sql`${sessions.rooms} <> '[]'`,
            after === null ? undefined : gt(sessions.id, after),
          ),
        )
        .orderBy(asc(sessions.id))
        .limit(limit)
        .all(),
    listOf: async (userId, limit) =>
      orm
        .select(recordColumns)
        .from(sessions)
        .where(and(eq(sessions.userId, userId), isNull(sessions.endedAt)))
        .orderBy(desc(sessions.id))
        .limit(limit)
        .all(),
  };
}
