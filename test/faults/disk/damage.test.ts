/** R12: bytes of the database, its log and its index are flipped or cut off while the server is down. */
import { expect, test } from "bun:test";
import { flip, prepareDamage } from "./damage.ts";

const LIMIT_MS = 60_000;
const ALL = { whole: 12, short: 0, refused: 0 };

/** Everywhere where this text stands: SQLite leaves copies of a row behind that count no more. */
function flipAfter(bytes: Uint8Array<ArrayBuffer>, text: string, skip: number): Uint8Array<ArrayBuffer> {
  const found = Buffer.from(bytes.buffer);
  for (let at = found.indexOf(text); at >= 0; at = found.indexOf(text, at + 1)) flip(bytes, at + skip);
  return bytes;
}

test(
  "faults/R12: a byte of an output that is another one now is not shown, and the log of the server says why",
  async () => {
    await using damaged = await prepareDamage("SIGTERM");
    const bytes = flipAfter(damaged.bytes("holdline.db"), '{"delta":"', 20);
    expect(await damaged.startWith("holdline.db", bytes)).toBeNull();
    expect(await damaged.judge()).toEqual({ whole: 0, short: 0, refused: 12 });
    expect(damaged.server.output()).toMatch(
      /the database is damaged \(entry \d+ of a log is not what was stored\)/,
    );
  },
  LIMIT_MS,
);

test(
  "faults/R12: a file that is no database any more is refused with words for its operator",
  async () => {
    await using damaged = await prepareDamage("SIGTERM");
    const bytes = damaged.bytes("holdline.db");
    const refusal = await damaged.startWith("holdline.db", flip(bytes, 3));
    expect(refusal).toMatch(
      /cannot start: the database is damaged \(.*\): stop here, keep a copy of the data folder, and restore a backup/,
    );
    expect((await damaged.server.exited()).code).toBe(1);
    // Cut off in its middle: what is missing is noticed, by the start or by whoever reads it.
    const cut = damaged.bytes("holdline.db").slice(0, bytes.length / 2);
    if ((await damaged.startWith("holdline.db", cut)) === null) {
      expect((await damaged.judge()).refused).toBeGreaterThan(0);
    }
  },
  LIMIT_MS,
);

test(
  "faults/R12: a write-ahead log that is flipped or cut off is read as far as it was committed",
  async () => {
    await using damaged = await prepareDamage("SIGKILL");
    const { length } = damaged.bytes("holdline.db-wal");
    for (const part of [0.3, 0.7]) {
      const at = Math.floor(part * length);
      expect(
        await damaged.startWith("holdline.db-wal", flip(damaged.bytes("holdline.db-wal"), at)),
      ).toBeNull();
      const flipped = await damaged.judge();
      expect(flipped.whole + flipped.short + flipped.refused).toBe(12);
      expect(flipped.whole).toBeLessThan(12);
      expect(
        await damaged.startWith("holdline.db-wal", damaged.bytes("holdline.db-wal").slice(0, at)),
      ).toBeNull();
      expect((await damaged.judge()).whole).toBe(flipped.whole);
    }
  },
  LIMIT_MS,
);

test(
  "faults/R12: an index of the log (shm) that is flipped, cut off or empty is made again",
  async () => {
    await using damaged = await prepareDamage("SIGKILL");
    const bytes = damaged.bytes("holdline.db-shm");
    for (const wrong of [
      flip(bytes.slice(), 20),
      flip(bytes.slice(), 5000),
      bytes.slice(0, 100),
      new Uint8Array(),
    ]) {
      expect(await damaged.startWith("holdline.db-shm", wrong)).toBeNull();
      expect(await damaged.judge()).toEqual(ALL);
    }
  },
  LIMIT_MS,
);
