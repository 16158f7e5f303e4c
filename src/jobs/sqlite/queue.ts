/**
 * The queue by heart, as the writer of a SQLite file knows it: rebuilt from the rows when it must be, and kept up with
 * what other processes do to the same file, who tell in their transactions (`queue_moves`).
 */
import { asc, gt, inArray, lte, max, sql } from "drizzle-orm";
import { integer, sqliteTable, text } from "drizzle-orm/sqlite-core";
import type { SqliteConnection } from "../../sqlite/database.ts";
import type { JobStatus } from "../../protocol/jobs.ts";
import { createQueueBook, type QueueBook, type QueueEntry } from "../queue-book.ts";
import { DUE } from "./line.ts";
import { jobs } from "./schema.ts";

/** What one transaction did to the queue; JSON of `Move[]`. */
export const queueMoves = sqliteTable("queue_moves", {
  num: integer("num").primaryKey(),
  moves: text("moves").notNull(),
});

/** `after` null: a job that was put off got in line. */
type Move = readonly [
  userId: string,
  priority: number,
  turn: number | null,
  before: JobStatus | null,
  after: JobStatus | null,
];

type Orm = SqliteConnection["orm"];
const p = sql.placeholder;

/** The turn of a row, which one that was put off does not have yet. */
export function turnOf(turn: number, due: number | null): number | null {
  return due === DUE.putOff ? null : turn;
}

/** Turns go on where they had come: at the last that was served, or at the first of those that wait. */
function fillBook(orm: Orm, book: QueueBook): void {
  book.clear();
  const firstSeen = new Set<number>();
  const open = orm
    .select({
      userId: jobs.userId,
      priority: jobs.priority,
      turn: jobs.turn,
      status: jobs.status,
      attempt: jobs.attempt,
      due: jobs.due,
    })
    .from(jobs)
    .where(inArray(jobs.status, ["queued", "retrying", "running", "canceling"]))
    .orderBy(asc(jobs.turn))
    .all();
  for (const { status, attempt, due, ...entry } of open) {
    const { priority, turn } = entry;
    book.moved({ ...entry, turn: turnOf(turn, due) }, null, status);
    if (due === DUE.putOff) continue;
    if (attempt > 0 || !firstSeen.has(priority)) book.serve(priority, turn);
    if (attempt === 0) firstSeen.add(priority);
  }
}

export interface KnownQueue {
  /** The book as it stands before the next change of a row. */
  now(): QueueBook;
  /** A transaction has begun. */
  begun(): void;
  /** It is about to be committed. */
  ending(): void;
  /** It was undone. Does not touch the database. */
  rolledBack(): void;
}

/** For the only writer of a file. */
export function createOwnQueue(orm: Orm): KnownQueue {
  const book = createQueueBook();
  fillBook(orm, book);
  // Read again when it is needed next (before the row changes): reading may fail for the reason of the rollback.
  let stale = false;
  return {
    now() {
      if (stale) fillBook(orm, book);
      stale = false;
      return book;
    },
    begun: () => {},
    ending: () => {},
    rolledBack() {
      stale = true;
    },
  };
}

/** Transactions whose moves are kept. Who is further behind reads the rows of the jobs. */
const KEPT = 1000;

function prepareMoves(orm: Orm) {
  return {
    since: orm
      .select()
      .from(queueMoves)
      .where(gt(queueMoves.num, p("num")))
      .orderBy(asc(queueMoves.num))
      .prepare(),
    last: orm
      .select({ num: max(queueMoves.num) })
      .from(queueMoves)
      .prepare(),
    add: orm
      .insert(queueMoves)
      .values({ num: p("num"), moves: p("moves") } as never)
      .prepare(),
    forget: orm
      .delete(queueMoves)
      .where(lte(queueMoves.num, p("num")))
      .prepare(),
  };
}

/** Does what was done elsewhere to this book. */
function repeat(book: QueueBook, [userId, priority, turn, before, after]: Move): void {
  const entry: QueueEntry = { userId, priority, turn };
  if (after === null) book.joined(entry);
  else book.moved(entry, before, after);
}

/** The same book, which notes what is done to it. */
function noting(book: QueueBook, moves: Move[]): QueueBook {
  return {
    ...book,
    get queued() {
      return book.queued;
    },
    moved(entry, before, after) {
      book.moved(entry, before, after);
      moves.push([entry.userId, entry.priority, entry.turn, before, after]);
    },
    joined(entry) {
      book.joined(entry);
      moves.push([entry.userId, entry.priority, entry.turn, null, null]);
    },
  };
}

/** For one of several writers: in each transaction the book holds what all of them had done by then. */
export function createSharedQueue({ orm, raw }: SqliteConnection): KnownQueue {
  const statements = prepareMoves(orm);
  const dataVersion = raw.query<{ data_version: number }, []>("PRAGMA data_version");
  const book = createQueueBook();
  const moves: Move[] = [];
  const noted = noting(book, moves);
  /** The last moves that are in the book; null: it has to be filled anew. */
  let upTo: number | null = null;
  /** Changes with every commit of another connection, and with none of this one. */
  let version = 0;
  let isCurrent = false;

  const fill = (): void => {
    fillBook(orm, book);
    upTo = statements.last.get()?.num ?? 0;
  };
  // Both of one moment.
  raw.transaction(fill)();

  const catchUp = (): void => {
    const rows = upTo === null ? [] : statements.since.all({ num: upTo });
    if (upTo === null || (rows[0]?.num ?? upTo + 1) !== upTo + 1) {
      fill();
      return;
    }
    for (const row of rows) {
      for (const move of JSON.parse(row.moves) as Move[]) repeat(book, move);
      upTo = row.num;
    }
  };

  return {
    now() {
      if (!isCurrent) catchUp();
      isCurrent = true;
      return noted;
    },
    begun() {
      const found = dataVersion.get()?.data_version ?? 0;
      if (found !== version) isCurrent = false;
      version = found;
    },
    ending() {
      if (moves.length === 0) return;
      upTo = (upTo ?? 0) + 1;
      statements.add.run({ num: upTo, moves: JSON.stringify(moves) });
      moves.length = 0;
      if (upTo % KEPT === 0) statements.forget.run({ num: upTo - KEPT });
    },
    rolledBack() {
      moves.length = 0;
      upTo = null;
      isCurrent = false;
    },
  };
}
