/** Where each writing process notes its last batch: what tells whether a commit whose answer was lost took place. */
import { pgTable, text, timestamp } from "drizzle-orm/pg-core";
import { big } from "./columns.ts";

/** The last batch of each writing process; the only table that SQLite does without. */
export const writers = pgTable("writers", {
  id: text("id").primaryKey(),
  batch: big("batch").notNull(),
  writtenAt: timestamp("written_at", { withTimezone: true }).notNull().defaultNow(),
});
