/** The PostgreSQL driver of `RoomHistory`: one table; what is written shares the transactions of the one writer. */
import { createCallParticipant, type Executors } from "../../postgres/calls.ts";
import type { PostgresClient, PostgresRow } from "../../postgres/connection.ts";
import { createRows } from "../../postgres/rows.ts";
import type { PostgresParticipant } from "../../postgres/writer.ts";
import { createCalls } from "../../database/calls.ts";
import type { Writer } from "../../database/writer.ts";
import { roomMessages } from "../postgres/schema.ts";
import type { KeptMessage, RoomHistory } from "./history.ts";

/** Name of this room's commands at the writer. */
export const ROOM_HISTORY = "roomHistory";

const WRITES = ["append", "sweep"] as const;
type Writes = Pick<RoomHistory, (typeof WRITES)[number]>;

const rows = createRows(roomMessages);

function keptOf(raw: PostgresRow): KeptMessage {
  const { userId, sessionId, ...message } = rows.read(raw);
  const from = userId === null || sessionId === null ? null : { userId, sessionId };
  return { ...message, from };
}

const NEWEST = "SELECT num FROM room_messages WHERE room = $1 ORDER BY num DESC LIMIT 1";

const EXECUTORS: Executors<Writes> = {
  async append(client, { room, id, from, data, at }, most) {
    // Numbers are given before they are committed: of one room, only one transaction at a time may have some, or a reader
    // that has seen the later one would never see the earlier one.
    await client.unsafe("SELECT pg_advisory_xact_lock(hashtextextended('room ' || $1, 0))", [room]);
    const [newest] = await client.unsafe(NEWEST, [room]);
    const [added] = await client.unsafe(
      `INSERT INTO room_messages (room, id, user_id, session_id, data, at) VALUES ($1, $2, $3, $4, $5, $6) RETURNING num`,
      [room, id, from?.userId ?? null, from?.sessionId ?? null, data, at],
    );
    await client.unsafe(
      `DELETE FROM room_messages WHERE room = $1
         AND num <= (SELECT num FROM room_messages WHERE room = $1 ORDER BY num DESC LIMIT 1 OFFSET $2)`,
      [room, most + 1],
    );
    return { num: Number(added?.["num"]), before: Number(newest?.["num"] ?? 0) };
  },
  async sweep(client, saidBefore, limit) {
    const over = await client.unsafe(
      `DELETE FROM room_messages WHERE num IN
         (SELECT num FROM room_messages WHERE at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING num`,
      [saidBefore, limit],
    );
    return over.length;
  },
};

/** The writer's side. */
export function createRoomHistoryParticipant(): PostgresParticipant {
  return createCallParticipant<Writes>(EXECUTORS);
}

export type RoomHistoryReads = Omit<RoomHistory, keyof Writes>;

export function createRoomHistoryReads(client: PostgresClient): RoomHistoryReads {
  return {
    find: async (room, id) => {
      const [row] = await client.unsafe("SELECT num FROM room_messages WHERE room = $1 AND id = $2", [
        room,
        id,
      ]);
      return row === undefined ? null : Number(row["num"]);
    },
    before: async (room, most) => {
      const [row] = await client.unsafe(
        "SELECT num FROM room_messages WHERE room = $1 ORDER BY num DESC LIMIT 1 OFFSET $2",
        [room, most],
      );
      return Number(row?.["num"] ?? 0);
    },
    page: async (room, num, limit) =>
      (
        await client.unsafe(
          "SELECT * FROM room_messages WHERE room = $1 AND num > $2 ORDER BY num LIMIT $3",
          [room, num, limit],
        )
      ).map(keptOf),
  };
}

export function createPostgresRoomHistory(writer: Writer, reads: RoomHistoryReads): RoomHistory {
  return { ...reads, ...createCalls<Writes>(writer, ROOM_HISTORY, WRITES) };
}
