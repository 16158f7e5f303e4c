/** The tables of nodes on PostgreSQL for drizzle; migrations/postgres makes them (a test holds the two together). */
import { doublePrecision, integer, pgTable, text } from "drizzle-orm/pg-core";
import { big } from "../../postgres/columns.ts";
import type { NodeRole, NodeState } from "../../protocol/admin.ts";

export const installation = pgTable("installation", {
  id: big("id").primaryKey(),
  name: text("name").notNull(),
  secret: text("secret").notNull(),
});

export const nodes = pgTable("nodes", {
  id: text("id").primaryKey(),
  bootId: text("boot_id").notNull(),
  role: text("role").$type<NodeRole>().notNull(),
  state: text("state").$type<NodeState>().notNull(),
  version: text("version").notNull(),
  host: text("host").notNull(),
  url: text("url").notNull(),
  startedAt: big("started_at").notNull(),
  seenBy: doublePrecision("seen_by").notNull(),
  sockets: integer("sockets").notNull(),
  runs: integer("runs").notNull(),
  finderUntil: doublePrecision("finder_until"),
});
