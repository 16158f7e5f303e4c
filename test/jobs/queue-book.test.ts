/** The queue by heart: its counts and turns, also when it is filled again after a rollback. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { createQueueBook, type QueueBook } from "../../src/jobs/queue-book.ts";
import { isTerminalStatus, JOB_STATUSES, type JobStatus } from "../../src/protocol/jobs.ts";

const entry = (turn: number, userId = "a", priority = 5) => ({ userId, priority, turn });

function queue(book: QueueBook, userId: string, count: number): number[] {
  const turns: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const turn = book.nextTurn(userId, 5);
    book.moved(entry(turn, userId), null, "queued");
    turns.push(turn);
  }
  return turns;
}

test("a book counts what waits and what has not ended, whatever moves", () => {
  const move = fc.record({ job: fc.nat({ max: 4 }), to: fc.constantFrom(...JOB_STATUSES) });
  fc.assert(
    fc.property(fc.array(move), (moves) => {
      const book = createQueueBook();
      const jobs = new Map<number, JobStatus>();
      for (const { job, to } of moves) {
        const before = jobs.get(job) ?? null;
        // A job that has ended does not move, and nobody ends before it was there.
        if (before !== null && isTerminalStatus(before)) continue;
        if (before === null && isTerminalStatus(to)) continue;
        book.moved(entry(job, job % 2 === 0 ? "even" : "odd"), before, to);
        jobs.set(job, to);
        const now = [...jobs];
        expect(book.queued).toBe(
          now.filter(([, status]) => status === "queued" || status === "retrying").length,
        );
        for (const user of [0, 1]) {
          const open = now.filter(([id, status]) => id % 2 === user && !isTerminalStatus(status));
          expect(book.unfinished(user === 0 ? "even" : "odd")).toBe(open.length);
        }
      }
    }),
  );
});

test("a user's jobs stand one turn after the other, others begin at the present turn", () => {
  const book = createQueueBook();
  expect(queue(book, "a", 3)).toEqual([0, 1, 2]);
  expect(queue(book, "b", 2)).toEqual([0, 1]);
  book.moved(entry(0), "queued", "running");
  book.moved(entry(1), "queued", "running");
  expect(book.nextTurn("c", 5)).toBe(1);
  expect(book.nextTurn("c", 9)).toBe(0);
  expect(book.nextTurn("a", 5)).toBe(3);
});

test("a book that was cleared knows nothing of before", () => {
  const book = createQueueBook();
  queue(book, "a", 3);
  book.moved(entry(2), "queued", "running");
  book.clear();
  expect([book.queued, book.unfinished("a"), book.nextTurn("a", 5), book.nextTurn("b", 5)]).toEqual([
    0, 0, 0, 0,
  ]);
  // And counts anew: one job that comes and goes leaves its user without a line.
  book.moved(entry(7), null, "queued");
  book.moved(entry(7), "queued", "canceled");
  expect(book.nextTurn("a", 5)).toBe(0);
});

test("a book can be told how far the turns had come", () => {
  const book = createQueueBook();
  book.serve(5, 40);
  book.serve(5, 30);
  expect([book.nextTurn("a", 5), book.nextTurn("a", 4)]).toEqual([40, 0]);
});
