/** Questions about all jobs, and changes of many at once: asked of the database itself, when nothing waits to be written. */
import type { JobId } from "../../lib/ids.ts";
import type { Instant } from "../../lib/clock.ts";
import type { PostgresClient, PostgresRow } from "../../postgres/connection.ts";
import type { JobTables, Overdue } from "../tables.ts";
import { dropKeys, forgetSome, trimSome } from "./retention.ts";

/** Which of the tables' methods these are. */
type Searching = Pick<
  JobTables,
  | "overdue"
  | "heldByOthers"
  | "realign"
  | "renew"
  | "grant"
  | "dueWebhooks"
  | "trimSome"
  | "forgetSome"
  | "dropKeys"
>;

export interface Search<Name extends keyof Searching = keyof Searching> {
  readonly name: Name;
  readonly given: Readonly<Parameters<Searching[Name]>>;
}

interface Found {
  readonly answer: unknown;
  /** Jobs that the command is going to load. */
  readonly rows: readonly PostgresRow[];
}

type Finders = {
  readonly [Name in keyof Searching]: (
    client: PostgresClient,
    ...given: Parameters<Searching[Name]>
  ) => Promise<Found>;
};

/** Each by an index of its own, and none that somebody else is at: there will be a next time. */
const OVERDUE: readonly (readonly [why: Overdue, where: string])[] = [
  ["start", "start_by <= $1"],
  ["cancel", "cancel_by <= $1"],
  ["run", "run_by <= $1"],
  ["quiet", "quiet_by <= $1"],
  ["lease", "lease_by <= $1 AND lease_owner <> $3"],
];

function ids(rows: readonly PostgresRow[]): Found {
  return { answer: rows.map((row) => row["id"] as JobId), rows };
}

/** Those of the jobs that are to be changed, locked in the order of all (fetched.ts). */
const locked = (where: string): string =>
  `num IN (SELECT num FROM jobs WHERE ${where} ORDER BY num FOR UPDATE)`;

/** How many rows a statement changed that returns one row for each. */
async function counted(rows: Promise<readonly PostgresRow[]>): Promise<Found> {
  return { answer: (await rows).length, rows: [] };
}

const FINDERS: Finders = {
  async overdue(client, steadyMs, owner, limit) {
    const answer: { id: JobId; why: Overdue }[] = [];
    const found: PostgresRow[] = [];
    for (const [why, where] of OVERDUE) {
      const given = why === "lease" ? [steadyMs, limit, owner] : [steadyMs, limit];
      const rows = await client.unsafe(
        `SELECT * FROM jobs WHERE ${where} LIMIT $2 FOR UPDATE SKIP LOCKED`,
        given,
      );
      found.push(...rows);
      answer.push(...rows.map((row) => ({ id: row["id"] as JobId, why })));
    }
    return { answer: answer.slice(0, limit), rows: found };
  },
  heldByOthers: async (client, owner, prefix, limit) =>
    ids(
      await client.unsafe(
        `SELECT * FROM jobs WHERE lease_by IS NOT NULL AND lease_owner <> $1 AND starts_with(lease_owner || ':', $2)
         LIMIT $3 FOR UPDATE SKIP LOCKED`,
        [owner, prefix, limit],
      ),
    ),
  realign: (client, { steadyMs, wallMs }: Instant) =>
    counted(
      client.unsafe(
        `UPDATE jobs SET ready_by = $1 + greatest(run_at - $2, 0)::float8,
           start_by = $1 + greatest(run_at - $2, 0)::float8 + start_within_ms
         WHERE ${locked("due = 2 AND run_at IS NOT NULL")} RETURNING num`,
        [steadyMs, wallMs],
      ),
    ),
  renew: (client, owner, leaseBy) =>
    counted(
      client.unsafe(
        `UPDATE jobs SET lease_by = $2 WHERE ${locked("lease_by IS NOT NULL AND lease_owner = $1")} RETURNING num`,
        [owner, leaseBy],
      ),
    ),
  grant: (client, leaseBy) =>
    counted(
      client.unsafe(
        // Where there is no limit none begins: greatest() would pass over a NULL.
        `UPDATE jobs SET lease_by = $1,
           run_by = CASE WHEN run_by IS NULL THEN NULL ELSE greatest(run_by, $1) END,
           quiet_by = CASE WHEN quiet_by IS NULL THEN NULL ELSE greatest(quiet_by, $1) END
         WHERE ${locked("lease_by IS NOT NULL AND lease_owner LIKE 'worker:%'")} RETURNING num`,
        [leaseBy],
      ),
    ),
  dueWebhooks: async (client, steadyMs, limit) =>
    ids(
      await client.unsafe(
        `SELECT jobs.* FROM webhooks JOIN jobs USING (num) WHERE due_by IS NOT NULL AND due_by <= $1
         ORDER BY due_by LIMIT $2 FOR UPDATE SKIP LOCKED`,
        [steadyMs, limit],
      ),
    ),
  trimSome: async (client, before, limit) => ({ answer: await trimSome(client, before, limit), rows: [] }),
  forgetSome: async (client, before, limit) => ({
    answer: await forgetSome(client, before, limit),
    rows: [],
  }),
  dropKeys: async (client, before, limit) => ({ answer: await dropKeys(client, before, limit), rows: [] }),
};

/** Asks it, or does it. */
export function search(client: PostgresClient, { name, given }: Search): Promise<Found> {
  // Each name goes with its own parameters; TypeScript cannot follow that through the index.
  const find = FINDERS[name] as (client: PostgresClient, ...all: readonly unknown[]) => Promise<Found>;
  return find(client, ...given);
}
