/** Who takes the commands of which store on a SQLite file. Beside storage.ts, since the writer's thread needs no more than this at its start. */
import { createJobParticipant } from "../jobs/sqlite/store.ts";
import { createSqliteJobTables, type Sharing } from "../jobs/sqlite/tables.ts";
import { JOBS } from "../jobs/writes.ts";
import { createNodeParticipant, NODES } from "../nodes/sqlite/store.ts";
import { createRoomHistoryParticipant, ROOM_HISTORY } from "../sessions/history/sqlite.ts";
import { createMachineTokenParticipant, MACHINE_TOKENS } from "../sessions/machine-tokens-sqlite.ts";
import { createRevocationParticipant, REVOCATIONS } from "../sessions/revocations/sqlite.ts";
import { createSessionParticipant, SESSIONS } from "../sessions/sqlite.ts";
import type { SqliteConnection } from "../sqlite/database.ts";
import type { Participant } from "../sqlite/writer.ts";

/** Everybody who takes write commands, on the writer's connection. */
export function createParticipants(
  connection: SqliteConnection,
  sharing: Sharing | null = null,
): Readonly<Record<string, Participant>> {
  return {
    [JOBS]: createJobParticipant(createSqliteJobTables(connection, sharing)),
    [SESSIONS]: createSessionParticipant(connection),
    [REVOCATIONS]: createRevocationParticipant(connection),
    [MACHINE_TOKENS]: createMachineTokenParticipant(connection),
    [ROOM_HISTORY]: createRoomHistoryParticipant(connection),
    [NODES]: createNodeParticipant(connection),
  };
}
