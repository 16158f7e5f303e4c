/** The PostgreSQL driver of `SessionStore`: one table; what is written shares the transactions of the one writer. */
import type { SessionId } from "../../lib/ids.ts";
import { createCallParticipant, type Executors } from "../../postgres/calls.ts";
import type { PostgresClient, PostgresRow } from "../../postgres/connection.ts";
import { createRows } from "../../postgres/rows.ts";
import type { PostgresParticipant } from "../../postgres/writer.ts";
import { createCalls } from "../../database/calls.ts";
import type { Writer } from "../../database/writer.ts";
import { away, chosen, connected, entered, enteringRefused, leftRoom, type Change } from "../changes.ts";
import type { SessionRecord } from "../session.ts";
import type { SessionStore } from "../store.ts";
import { sessions } from "./schema.ts";

/** Name of this room's commands at the writer. */
export const SESSIONS = "sessions";

const WRITES = [
  "create",
  "connected",
  "away",
  "touch",
  "choose",
  "enter",
  "leave",
  "end",
  "sweep",
  "recover",
] as const;
type Writes = Pick<SessionStore, (typeof WRITES)[number]>;

const rows = createRows(sessions);
/** What a change may change. */
const CHANGING = [
  "id", "nodeId", "connectedAt", "lastSeenAt", "presence", "rooms", "binding", "awayBy", "expiresBy", "endedAt",
  "presenceAt", "chosenPresence",
] as const; // prettier-ignore
const ALL = [...CHANGING, "userId", "createdAt"] as const;

function recordOf(raw: PostgresRow): SessionRecord {
  const { forgetAt: _forgetAt, ...session } = rows.read(raw);
  return session;
}

async function livingOne(client: PostgresClient, id: SessionId): Promise<SessionRecord | null> {
  const [row] = await client.unsafe("SELECT * FROM sessions WHERE id = $1 AND ended_at IS NULL FOR UPDATE", [
    id,
  ]);
  return row === undefined ? null : recordOf(row);
}

async function change(client: PostgresClient, id: SessionId, by: Change): Promise<SessionRecord | null> {
  const session = await livingOne(client, id);
  const next = session === null ? null : by(session);
  if (next === null) return null;
  await client.unsafe(
    `UPDATE sessions SET ${rows.assignments(CHANGING.filter((key) => key !== "id"))} FROM ${rows.from(CHANGING)}
     WHERE sessions.id = x.id`,
    [rows.json([next], CHANGING)],
  );
  return next;
}

const EXECUTORS: Executors<Writes> = {
  async create(client, session) {
    await client.unsafe(
      `INSERT INTO sessions (${rows.names(ALL)}) SELECT ${rows.names(ALL)} FROM ${rows.from(ALL)}`,
      [rows.json([session], ALL)],
    );
  },
  connected: (client, given) => change(client, given.id, connected(given)),
  away: (client, given) => change(client, given.id, away(given)),
  choose: (client, id, presence, at) => change(client, id, chosen(presence, at)),
  async enter(client, given) {
    const session = await livingOne(client, given.id);
    if (session === null) return null;
    return (
      enteringRefused(session, given) ?? (await change(client, given.id, entered(given.room))) ?? session
    );
  },
  leave: (client, id, room) => change(client, id, leftRoom(room)),
  async touch(client, touches) {
    // The last one counts; in one order for everybody, so that two nodes do not wait for each other. With the plus the
    // index of living sessions does not serve: read whole for each use it took 2 s for 5,000.
    const last = new Map(touches.map((touch) => [touch.id, touch]));
    await client.unsafe(
      `UPDATE sessions SET last_seen_at = x.at,
         expires_by = CASE WHEN expires_by IS NULL THEN NULL ELSE x.by END
       FROM (SELECT x.* FROM json_to_recordset($1::text::json) AS x(id text, at bigint, by float8)
         JOIN sessions ON sessions.id = x.id AND ended_at + 0 IS NULL ORDER BY x.id FOR UPDATE OF sessions) AS x
       WHERE sessions.id = x.id`,
      [JSON.stringify([...last.values()].map(({ id, at, expiresBy }) => ({ id, at, by: expiresBy })))],
    );
  },
  async end(client, id, at, forgetAt) {
    const ended = await client.unsafe(
      `UPDATE sessions SET ended_at = $2, forget_at = $3, connected_at = NULL, presence = 'offline', presence_at = $2,
         expires_by = NULL WHERE id = $1 AND ended_at IS NULL RETURNING id`,
      [id, at, forgetAt],
    );
    return ended.length > 0;
  },
  async sweep(client, steadyMs, wallMs, limit) {
    const over = await client.unsafe(
      `DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_by <= $1 OR forget_at <= $2
         LIMIT $3 FOR UPDATE SKIP LOCKED) RETURNING id`,
      [steadyMs, wallMs, limit],
    );
    return over.map((row) => row["id"] as SessionId);
  },
  async recover(client, { nodeId, awayBy, expiresBy, at }) {
    await client.unsafe(
      `UPDATE sessions SET
         presence_at = CASE WHEN connected_at IS NULL OR presence = 'away' THEN presence_at ELSE $4 END,
         presence = CASE WHEN connected_at IS NULL THEN presence ELSE 'away' END,
         connected_at = NULL, away_by = $2, expires_by = $3
       WHERE node_id = $1 AND ended_at IS NULL`,
      [nodeId, awayBy, expiresBy, at],
    );
  },
};

/** The writer's side. */
export function createSessionParticipant(): PostgresParticipant {
  return createCallParticipant<Writes>(EXECUTORS);
}

export type SessionReads = Omit<SessionStore, keyof Writes>;

export function createSessionReads(client: PostgresClient): SessionReads {
  const some = async (text: string, ...values: readonly unknown[]): Promise<SessionRecord[]> =>
    (await client.unsafe(`SELECT * FROM sessions WHERE ${text}`, values)).map(recordOf);
  return {
    count: async () => {
      const [row] = await client.unsafe(
        `SELECT count(*)::int AS living, count(connected_at)::int AS online FROM sessions WHERE ended_at IS NULL`,
      );
      const online = Number(row?.["online"]);
      return { online, away: Number(row?.["living"]) - online };
    },
    find: async (id) => (await some("id = $1", id))[0] ?? null,
    findOwn: async (userId, id) => (await some("id = $1 AND user_id = $2", id, userId))[0] ?? null,
    page: ({ userId, before, limit }) =>
      some(
        `ended_at IS NULL AND ($1::text IS NULL OR user_id = $1) AND ($2::text IS NULL OR id < $2)
         ORDER BY id DESC LIMIT $3`,
        userId,
        before,
        limit,
      ),
    inRooms: (after, limit) =>
      some(
        "ended_at IS NULL AND rooms <> '[]' AND ($1::text IS NULL OR id > $1) ORDER BY id LIMIT $2",
        after,
        limit,
      ),
    listOf: (userId, limit) =>
      some("user_id = $1 AND ended_at IS NULL ORDER BY id DESC LIMIT $2", userId, limit),
  };
}

export function createPostgresSessionStore(writer: Writer, reads: SessionReads): SessionStore {
  return { ...reads, ...createCalls<Writes>(writer, SESSIONS, WRITES) };
}
