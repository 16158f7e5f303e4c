/**
 * Rooms that keep their last messages: what is said there is stored before anybody hears it, and whoever was away gets
 * what follows the last one it has seen.
 *
 * As with logs, live and replay are one thing: "what follows my cursor". While somebody catches up, live messages are
 * not handed to it; it reads on until there is nothing more, and only then is live.
 */
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { repeat, type Repeated } from "../../lib/repeat.ts";
import type { MessageFrame } from "../../protocol/frames.ts";
import type { KeptMessage, Place, RoomHistory } from "../../sessions/history/history.ts";
import type { Connection } from "../connection.ts";

export interface RoomRule {
  readonly pattern: string;
  readonly history: number;
}

export interface KeepingOptions {
  readonly history: RoomHistory;
  readonly rules: readonly RoomRule[];
  /** How long a message is kept. */
  readonly keptMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface CatchUp {
  readonly room: string;
  /** Id of the last message that it has seen; empty: none of those that are kept. */
  readonly after: string;
  readonly re?: string;
}

export interface Keeping {
  /** How many messages of the room are kept. */
  most(room: string): number;
  /** Resolves with its place when it is stored. */
  keep(frame: MessageFrame & { readonly room: string }): Promise<Place>;
  /** Whether the connection gets this message now: not while it catches up, and not what it has read already. */
  isDue(connection: Connection, room: string, num: number): boolean;
  /** Tells the client where it stands, then sends everything after `after`; resolves when it is live. */
  catchUp(connection: Connection, asked: CatchUp): Promise<void>;
  start(): void;
  stop(): void;
}

interface Cursor {
  /** The last message that was sent. */
  num: number;
  catchingUp: boolean;
  /** The newest one that was not handed to it meanwhile. */
  missed: number;
}

const SWEEP_MS = 60_000;
const SWEEP_MOST = 1000;
const PAGE = 50;

/** The rule of the room's own name, else the one with the longest beginning. */
function createMost(rules: readonly RoomRule[]): (room: string) => number {
  const exact = new Map(rules.map(({ pattern, history }) => [pattern, history]));
  const beginnings = rules
    .filter(({ pattern }) => pattern.endsWith("*"))
    .map(({ pattern, history }) => ({ begins: pattern.slice(0, -1), history }))
    .toSorted((a, b) => b.begins.length - a.begins.length);
  return (room) => exact.get(room) ?? beginnings.find(({ begins }) => room.startsWith(begins))?.history ?? 0;
}

/** What is stored as text is put together as text. */
export function frameText({ room, id, from, data, at }: KeptMessage): string {
  return `{"type":"message","room":${JSON.stringify(room)},"id":"${id}","from":${JSON.stringify(from)},"data":${data},"at":${at}}`;
}

export function createKeeping({ history, rules, keptMs, clock, logger }: KeepingOptions): Keeping {
  const most = createMost(rules);
  const cursors = new WeakMap<Connection, Map<string, Cursor>>();
  let sweeping: Repeated | null = null;

  const begin = (connection: Connection, room: string, num: number): Cursor => {
    const cursor: Cursor = { num, catchingUp: true, missed: 0 };
    const own = cursors.get(connection) ?? new Map<string, Cursor>();
    cursors.set(connection, own.set(room, cursor));
    return cursor;
  };

  /** Where the client stands; not recovered when nobody can tell what came after what it has seen. */
  const placeOf = async (room: string, after: string): Promise<{ num: number; recovered: boolean }> => {
    const oldest = await history.before(room, most(room));
    if (after === "") return { num: oldest, recovered: true };
    const num = await history.find(room, after);
    return num === null ? { num: oldest, recovered: false } : { num, recovered: true };
  };

  const replay = async (connection: Connection, room: string, cursor: Cursor): Promise<void> => {
    for (;;) {
      const { missed } = cursor;
      const page = await history.page(room, cursor.num, PAGE);
      // What is missed was stored before: if the page does not have it, it is not kept any more.
      if (page.length === 0 && cursor.missed === missed) return;
      for (const message of page) {
        const text = frameText(message);
        while (!connection.pass(text)) {
          if (connection.closed) return;
          await connection.untilDrained();
        }
        cursor.num = message.num;
      }
    }
  };

  const sweep = async (): Promise<void> => {
    try {
      await history.sweep(Math.round(clock.wallMs()) - keptMs, SWEEP_MOST);
    } catch (error) {
      logger.warn({ error }, "old messages of rooms could not be swept");
    }
  };

  return {
    most,

    keep: ({ room, id, from, data, at }) =>
      history.append({ room, id, from, data: JSON.stringify(data), at }, most(room)),

    isDue(connection, room, num) {
      const own = cursors.get(connection);
      const cursor = own?.get(room);
      if (cursor === undefined) return true;
      if (cursor.catchingUp) cursor.missed = Math.max(cursor.missed, num);
      else if (num > cursor.num) own?.delete(room);
      return !cursor.catchingUp && num > cursor.num;
    },

    async catchUp(connection, { room, after, re }) {
      const asked = { type: "history", ...(re === undefined ? {} : { re }), room, after } as const;
      if (most(room) === 0) {
        connection.send({ ...asked, recovered: false, reason: "none" });
        return;
      }
      // Before anything is read: what is said from here on is missed, and noticed.
      const cursor = begin(connection, room, 0);
      try {
        const { num, recovered } = await placeOf(room, after);
        cursor.num = num;
        connection.send({ ...asked, recovered, ...(recovered ? {} : { reason: "trimmed" }) });
        await replay(connection, room, cursor);
      } finally {
        cursor.catchingUp = false;
      }
    },

    start() {
      sweeping ??= repeat(clock, SWEEP_MS, sweep);
    },

    stop() {
      void sweeping?.stop();
      sweeping = null;
    },
  };
}
