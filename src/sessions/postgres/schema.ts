/** The tables of sessions, machine tokens and rooms on PostgreSQL for drizzle; migrations/postgres makes them (a test holds the two together). */
import { doublePrecision, pgTable, primaryKey, text } from "drizzle-orm/pg-core";
import type { SessionId, UserId } from "../../lib/ids.ts";
import { big, jsonText } from "../../postgres/columns.ts";
import type { ChosenPresence, Presence } from "../../protocol/sessions.ts";
import type { MachineKind } from "../machine-tokens.ts";
import type { UserBinding } from "../session.ts";
import type { Revocation } from "../revocations/store.ts";

export const sessions = pgTable("sessions", {
  id: text("id").$type<SessionId>().primaryKey(),
  userId: text("user_id").$type<UserId>().notNull(),
  nodeId: text("node_id").notNull(),
  createdAt: big("created_at").notNull(),
  connectedAt: big("connected_at"),
  lastSeenAt: big("last_seen_at").notNull(),
  presence: text("presence").$type<Presence>().notNull(),
  rooms: jsonText<readonly string[]>()("rooms").notNull(),
  binding: jsonText<UserBinding>()("binding"),
  awayBy: doublePrecision("away_by"),
  expiresBy: doublePrecision("expires_by"),
  endedAt: big("ended_at"),
  forgetAt: big("forget_at"),
  presenceAt: big("presence_at").notNull().default(0),
  chosenPresence: text("chosen_presence").$type<ChosenPresence>().notNull().default("online"),
});

export const revocations = pgTable(
  "revocations",
  {
    kind: text("kind").$type<Revocation["kind"]>().notNull(),
    subject: text("subject").notNull(),
    before: big("before").notNull(),
    until: big("until").notNull(),
  },
  (table) => [primaryKey({ columns: [table.kind, table.subject] })],
);

export const machineTokens = pgTable("machine_tokens", {
  id: text("id").primaryKey(),
  hash: text("hash").notNull().unique(),
  kind: text("kind").$type<MachineKind>().notNull(),
  name: text("name").notNull(),
  types: jsonText<readonly string[]>()("types"),
  rooms: jsonText<readonly string[]>()("rooms"),
  createdAt: big("created_at").notNull(),
  expiresAt: big("expires_at"),
  lastUsedAt: big("last_used_at"),
  revokedAt: big("revoked_at"),
});

/** Keys that sign session tokens; the newest signs. */
export const signingKeys = pgTable("signing_keys", {
  kid: text("kid").primaryKey(),
  createdAt: big("created_at").notNull(),
  jwk: text("jwk").notNull(),
});

export const roomMessages = pgTable("room_messages", {
  num: big("num").primaryKey(),
  room: text("room").notNull(),
  id: text("id").notNull(),
  userId: text("user_id"),
  sessionId: text("session_id"),
  data: text("data").notNull(),
  at: big("at").notNull(),
});
