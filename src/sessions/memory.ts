/** The reference driver of `SessionStore`: a map; nothing survives the process. */
import type { SessionId } from "../lib/ids.ts";
import {
  away,
  chosen,
  connected,
  ended,
  entered,
  enteringRefused,
  leftRoom,
  type Change,
} from "./changes.ts";
import type { SessionRecord } from "./session.ts";
import type { SessionStore } from "./store.ts";

interface Row extends SessionRecord {
  readonly forgetAt: number | null;
}

function recordOf({ forgetAt: _forgetAt, ...record }: Row): SessionRecord {
  return record;
}

export function createMemorySessionStore(): SessionStore {
  const rows = new Map<SessionId, Row>();
  const living = (id: SessionId): Row | null => {
    const row = rows.get(id);
    return row === undefined || row.endedAt !== null ? null : row;
  };

  const change = (id: SessionId, by: Change): SessionRecord | null => {
    const row = living(id);
    const next = row === null ? null : by(recordOf(row));
    if (row === null || next === null) return null;
    rows.set(id, { ...row, ...next });
    return next;
  };

  return {
    create: async (session) => void rows.set(session.id, { ...session, forgetAt: null }),
    find: async (id) => {
      const row = rows.get(id);
      return row === undefined ? null : recordOf(row);
    },
    findOwn: async (userId, id) => {
      const row = rows.get(id);
      return row?.userId === userId ? recordOf(row) : null;
    },
    count: async () => {
      const alive = [...rows.values()].filter(({ endedAt }) => endedAt === null);
      const online = alive.filter(({ connectedAt }) => connectedAt !== null).length;
      return { online, away: alive.length - online };
    },
    listOf: async (userId, limit) =>
      [...rows.values()]
        .filter((row) => row.userId === userId && row.endedAt === null)
        .toSorted((a, b) => (a.id < b.id ? 1 : -1))
        .slice(0, limit)
        .map(recordOf),
    page: async ({ userId, before, limit }) =>
      [...rows.values()]
        .filter((row) => row.endedAt === null && (userId === null || row.userId === userId))
        .filter((row) => before === null || row.id < before)
        .toSorted((a, b) => (a.id < b.id ? 1 : -1))
        .slice(0, limit)
        .map(recordOf),
    inRooms: async (after, limit) =>
      [...rows.values()]
        .filter((row) => row.endedAt === null && row.rooms.length > 0 && (after === null || row.id > after))
        .toSorted((a, b) => (a.id < b.id ? -1 : 1))
        .slice(0, limit)
        .map(recordOf),
    connected: async (given) => change(given.id, connected(given)),
    away: async (given) => change(given.id, away(given)),
    touch: async (touches) => {
      for (const { id, at, expiresBy } of touches) {
        const row = living(id);
        if (row === null) continue;
        rows.set(id, { ...row, lastSeenAt: at, expiresBy: row.expiresBy === null ? null : expiresBy });
      }
    },
    choose: async (id, presence, at) => change(id, chosen(presence, at)),
    enter: async (given) => {
      const row = living(given.id);
      if (row === null) return null;
      return enteringRefused(row, given) ?? change(given.id, entered(given.room)) ?? recordOf(row);
    },
    leave: async (id, room) => change(id, leftRoom(room)),
    end: async (id, at, forgetAt) => {
      const row = living(id);
      if (row === null) return false;
      rows.set(id, { ...ended(at)(row), forgetAt });
      return true;
    },
    sweep: async (steadyMs, wallMs, limit) => {
      const over = [...rows.values()]
        .filter(
          (row) =>
            (row.expiresBy !== null && row.expiresBy <= steadyMs) ||
            (row.forgetAt !== null && row.forgetAt <= wallMs),
        )
        .slice(0, limit);
      for (const { id } of over) rows.delete(id);
      return over.map(({ id }) => id);
    },
    recover: async ({ nodeId, awayBy, expiresBy, at }) => {
      for (const row of rows.values()) {
        if (row.nodeId !== nodeId || row.endedAt !== null) continue;
        const seen = row.connectedAt === null ? {} : away({ id: row.id, nodeId, awayBy, expiresBy, at })(row);
        rows.set(row.id, { ...row, ...seen, lastSeenAt: row.lastSeenAt, awayBy, expiresBy });
      }
    },
  };
}
