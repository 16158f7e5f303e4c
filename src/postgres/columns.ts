/** Column types that PostgreSQL and JavaScript do not agree on by themselves. */
import { bigint, customType } from "drizzle-orm/pg-core";

/** A whole number up to 2^53: times in ms, row numbers. The driver gives it as text. */
export const big = (name: string) => bigint(name, { mode: "number" });

/** JSON kept as text, as on SQLite: it is never looked into by SQL, and drizzle and the driver disagree about `jsonb`. */
export function jsonText<Value>() {
  return customType<{ data: Value; driverData: string }>({
    dataType: () => "text",
    toDriver: (value) => JSON.stringify(value),
    fromDriver: (value) => JSON.parse(value) as Value,
  });
}

/** Raw bytes. */
export const bytes = customType<{ data: Uint8Array; driverData: Uint8Array }>({ dataType: () => "bytea" });
