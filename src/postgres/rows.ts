/** Rows between JavaScript and SQL by the tables that drizzle knows: read as they come, written many at once as one JSON text. */
import { getTableColumns, type Column } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import type { PostgresRow } from "./connection.ts";

export interface Rows<Row> {
  /** The row as drizzle would give it. Throws SyntaxError where JSON is none. */
  read(raw: PostgresRow): Row;
  /** Column names of these keys, for a list of SQL. */
  names(keys: readonly (keyof Row & string)[]): string;
  /** `column = x.column, …`. */
  assignments(keys: readonly (keyof Row & string)[]): string;
  /** `json_to_recordset(…) AS x(…)`: rows that `json` wrote, given as parameter `$parameter`. */
  from(keys: readonly (keyof Row & string)[], parameter?: number): string;
  json(rows: readonly Partial<Row>[], keys: readonly (keyof Row & string)[]): string;
}

export function createRows<Table extends PgTable>(table: Table): Rows<Table["$inferSelect"]> {
  const columns = Object.entries(getTableColumns(table) as Record<string, Column>);
  const byKey = new Map(columns);
  const columnOf = (key: string): Column => {
    const column = byKey.get(key);
    if (column === undefined) throw new Error(`no column ${key}`);
    return column;
  };
  return {
    read(raw) {
      const row: Record<string, unknown> = {};
      for (const [key, column] of columns) {
        const value = raw[column.name];
        row[key] = value === null || value === undefined ? null : column.mapFromDriverValue(value);
      }
      return row;
    },
    names: (keys) => keys.map((key) => columnOf(key).name).join(", "),
    assignments: (keys) => keys.map((key) => `${columnOf(key).name} = x.${columnOf(key).name}`).join(", "),
    from: (keys, parameter = 1) =>
      // Bytes travel as base64, so their column is text here; whoever inserts them decodes it.
      `json_to_recordset($${parameter}::text::json) AS x(${keys
        .map((key) => `${columnOf(key).name} ${columnOf(key).getSQLType().replace("bytea", "text")}`)
        .join(", ")})`,
    json(rows, keys) {
      const used = keys.map((key) => [key, columnOf(key)] as const);
      return JSON.stringify(
        rows.map((row) =>
          Object.fromEntries(
            used.map(([key, column]) => {
              const value: unknown = row[key];
              return [
                column.name,
                value === null || value === undefined ? null : column.mapToDriverValue(value),
              ];
            }),
          ),
        ),
      );
    },
  };
}

/** A parameter that holds a list: use it as `(SELECT json_array_elements_text($n::text::json))`. */
export function listed(values: Iterable<unknown>): string {
  return JSON.stringify([...values]);
}
