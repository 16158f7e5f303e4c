/** What the migrations of all databases have in common: numbered files, and versions that do not fit. */
import { Obstacle } from "../lib/mistakes.ts";

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/** Files `NNNN_name.sql` of one folder, by number. Throws on a gap or a file that is named otherwise. */
export function orderMigrations(files: Readonly<Record<string, string>>): readonly Migration[] {
  const migrations = Object.entries(files).map(([file, sql]) => {
    const match = /^(\d{4})_(\w+)\.sql$/.exec(file);
    if (match === null) throw new Error(`${file} is not named NNNN_name.sql`);
    return { number: Number(match[1]), name: match[2] ?? "", sql };
  });
  migrations.sort((a, b) => a.number - b.number);
  for (const [index, { number }] of migrations.entries()) {
    if (number !== index + 1) throw new Error(`migration ${index + 1} is missing`);
  }
  return migrations;
}

/** Somebody has to bring the schema up first; who only looks in beside a server does not. */
export class OlderSchemaError extends Obstacle {
  override readonly name = "OlderSchemaError";
  constructor(found: number, known: number) {
    super(
      `the database has schema ${found}, this version needs ${known}: run holdline migrate, or start the server of this version`,
    );
  }
}

/** The schema was made by a newer version of this program: running on it could lose data, so nothing is touched. */
export class NewerSchemaError extends Obstacle {
  override readonly name = "NewerSchemaError";
  constructor(found: number, known: number) {
    super(
      `the database has schema ${found}, this version knows ${known}: start a newer version, or restore a backup`,
    );
  }
}
