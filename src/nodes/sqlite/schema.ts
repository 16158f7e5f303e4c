/** The tables of nodes on SQLite for drizzle; migrations/sqlite makes them (a test holds the two together). */
import { integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { NodeRole, NodeState } from "../../protocol/admin.ts";

export const installation = sqliteTable("installation", {
  id: integer("id").primaryKey(),
  name: text("name").notNull(),
  secret: text("secret").notNull(),
});

export const nodes = sqliteTable("nodes", {
  id: text("id").primaryKey(),
  bootId: text("boot_id").notNull(),
  role: text("role").$type<NodeRole>().notNull(),
  state: text("state").$type<NodeState>().notNull(),
  version: text("version").notNull(),
  host: text("host").notNull(),
  url: text("url").notNull(),
  startedAt: integer("started_at").notNull(),
  seenBy: real("seen_by").notNull(),
  sockets: integer("sockets").notNull(),
  runs: integer("runs").notNull(),
  finderUntil: real("finder_until"),
});
