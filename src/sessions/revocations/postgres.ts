/** The PostgreSQL driver of `RevocationStore`: one table; what is written shares the transactions of the one writer. */
import { createCallParticipant, type Executors } from "../../postgres/calls.ts";
import type { PostgresClient } from "../../postgres/connection.ts";
import { createRows } from "../../postgres/rows.ts";
import type { PostgresParticipant } from "../../postgres/writer.ts";
import { createCalls } from "../../database/calls.ts";
import type { Writer } from "../../database/writer.ts";
import { revocations } from "../postgres/schema.ts";
import type { RevocationStore } from "./store.ts";

/** Name of this room's commands at the writer. */
export const REVOCATIONS = "revocations";

const WRITES = ["revoke", "forget"] as const;
type Writes = Pick<RevocationStore, (typeof WRITES)[number]>;

const rows = createRows(revocations);

const EXECUTORS: Executors<Writes> = {
  async revoke(client, { kind, subject, before, until }) {
    await client.unsafe(
      `INSERT INTO revocations (kind, subject, before, until) VALUES ($1, $2, $3, $4)
       ON CONFLICT (kind, subject) DO UPDATE SET before = greatest(revocations.before, excluded.before),
         until = greatest(revocations.until, excluded.until)`,
      [kind, subject, before, until],
    );
  },
  async forget(client, wallMs) {
    await client.unsafe("DELETE FROM revocations WHERE until <= $1", [wallMs]);
  },
};

/** The writer's side. */
export function createRevocationParticipant(): PostgresParticipant {
  return createCallParticipant<Writes>(EXECUTORS);
}

export type RevocationReads = Omit<RevocationStore, keyof Writes>;

export function createRevocationReads(client: PostgresClient): RevocationReads {
  return {
    list: async (sessionsSince) =>
      (
        await client.unsafe("SELECT * FROM revocations WHERE kind <> 'session' OR before >= $1", [
          sessionsSince,
        ])
      ).map((row) => rows.read(row)),
  };
}

export function createPostgresRevocationStore(writer: Writer, reads: RevocationReads): RevocationStore {
  return { ...reads, ...createCalls<Writes>(writer, REVOCATIONS, WRITES) };
}
