/**
 * Rooms that keep what is said, as the sockets of this node get it: in the order in which it is stored, without a hole.
 * A message that follows the last one is handed on as it comes; where one is missing in between, what is stored is read.
 */
import type { Backplane } from "../../backplane/backplane.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { LIMITS } from "../../protocol/limits.ts";
import type { Place, RoomHistory } from "../../sessions/history/history.ts";
import { frameText } from "./history.ts";

/** A message: its number, and its frame. */
export interface Numbered {
  readonly num: number;
  readonly text: string;
}

export interface TailsOptions {
  readonly roomHistory: Pick<RoomHistory, "before" | "page">;
  readonly backplane: Pick<Backplane, "alone" | "healthy">;
  readonly handOn: (room: string, message: Numbered) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface Tails {
  /** Somebody here is in the room: what is stored there from now on is handed on. Rejects as the store does. */
  begin(room: string): Promise<void>;
  /** Nobody here is in the room any more. */
  end(room: string): void;
  /** This was stored, here or at another node; resolves when it was handed on, or will be later. */
  said(room: string, place: Place, text: string): Promise<void>;
  /** Something may have been said of which this node was not told. */
  lookAtAll(): void;
  start(): void;
  stop(): void;
}

interface Tail {
  /** The last message that was handed on. */
  num: number;
  readonly begun: Promise<void>;
  reading: Promise<void> | null;
  /** There may be more since the read began. */
  again: boolean;
  /** It could not be read. */
  due: boolean;
  /** What came and does not follow the last one, or came during a read. The store may let go of it meanwhile. */
  held: Numbered[];
}

const PAGE = 50;

export function createTails({ roomHistory, backplane, handOn, clock, logger }: TailsOptions): Tails {
  const tails = new Map<string, Tail>();
  let timer: Timer | null = null;

  const advance = (room: string, tail: Tail, message: Numbered): void => {
    if (message.num <= tail.num) return;
    tail.num = message.num;
    handOn(room, message);
  };

  /** Hands on a page of what is stored, and what was held and is not stored any more. */
  const readPage = async (room: string, tail: Tail): Promise<void> => {
    tail.again = false;
    const { held } = tail;
    tail.held = [];
    const page = await roomHistory.page(room, tail.num, PAGE).catch((error: unknown) => {
      tail.held.unshift(...held);
      throw error;
    });
    if (tails.get(room) !== tail) return;
    const stored = page.map((message) => ({ num: message.num, text: frameText(message) }));
    const isFull = page.length === PAGE;
    const last = isFull ? (stored.at(-1)?.num ?? 0) : Number.POSITIVE_INFINITY;
    const due = held.filter(({ num }) => num <= last);
    for (const message of [...stored, ...due].toSorted((one, other) => one.num - other.num))
      advance(room, tail, message);
    tail.held.push(...held.filter(({ num }) => num > last));
    tail.again ||= isFull;
  };

  const read = async (room: string, tail: Tail): Promise<void> => {
    try {
      await tail.begun;
      while (tail.again && tails.get(room) === tail) await readPage(room, tail);
      tail.due = false;
    } catch (error) {
      if (!tail.due) logger.warn({ error }, "what was said in a room could not be read; it is tried again");
      tail.due = true;
    }
  };

  const more = async (room: string, tail: Tail): Promise<void> => {
    tail.again = true;
    tail.reading ??= read(room, tail).finally(() => {
      tail.reading = null;
    });
    await tail.reading;
  };

  return {
    begin(room) {
      const known = tails.get(room);
      if (known !== undefined) return known.begun;
      const begun = roomHistory.before(room, 0).then((num) => {
        tail.num = num;
      });
      const tail: Tail = { num: Infinity, begun, reading: null, again: false, due: false, held: [] };
      tails.set(room, tail);
      begun.catch(() => {
        if (tails.get(room) === tail) tails.delete(room);
      });
      return begun;
    },

    end: (room) => void tails.delete(room),

    async said(room, { num, before }, text) {
      const tail = tails.get(room);
      if (tail === undefined) return;
      if (tail.reading === null && tail.num !== Infinity && before <= tail.num) {
        advance(room, tail, { num, text });
        return;
      }
      tail.held.push({ num, text });
      if (tail.held.length > LIMITS.roomHistory) tail.held.shift();
      await more(room, tail);
    },

    lookAtAll() {
      for (const [room, tail] of tails) void more(room, tail);
    },

    start() {
      timer ??= clock.every(LIMITS.lookMs, () => {
        const isTold = backplane.alone || backplane.healthy;
        for (const [room, tail] of tails) if (tail.due || !isTold) void more(room, tail);
      });
    },

    stop() {
      timer?.cancel();
      timer = null;
      tails.clear();
    },
  };
}
