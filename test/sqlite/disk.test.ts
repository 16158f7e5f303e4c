/** The three levels of room on a disk, and the marks between them; faults/disk fills real ones. */
import { describe, expect, test } from "bun:test";
import { LIMITS } from "../../src/protocol/limits.ts";
import { levelOf, marksOf, type DiskLevel, type Room } from "../../src/sqlite/disk.ts";

const MIB = 1024 * 1024;
const MARKS = marksOf(1024 * 1024 * MIB);

function level(room: Partial<Room>, before: DiskLevel = "ok"): DiskLevel {
  const none = { freeBytes: 0, reusableBytes: 0, walBytes: 0, ballastBytes: LIMITS.ballastBytes };
  return levelOf({ ...none, ...room }, MARKS, before);
}

describe("the marks", () => {
  test("are the limits on any disk that is not small", () => {
    expect(MARKS).toMatchObject({ lowBytes: LIMITS.diskLowBytes, ballastBytes: LIMITS.ballastBytes });
    expect(marksOf(512 * MIB)).toEqual(MARKS);
  });

  test("are an eighth of a small one, so that most of it can be used", () => {
    expect(marksOf(64 * MIB)).toEqual({ lowBytes: 8 * MIB, ballastBytes: 8 * MIB, fullBytes: 2 * MIB });
  });
});

describe("the level", () => {
  test.each([
    [LIMITS.diskLowBytes, "ok"],
    [LIMITS.diskLowBytes - 1, "low"],
    [MARKS.fullBytes, "low"],
    [MARKS.fullBytes - 1, "full"],
    [0, "full"],
  ] as const)("of %d free bytes is %s", (freeBytes, expected) => {
    expect(level({ freeBytes })).toBe(expected);
  });

  test("counts room as if the ballast were in its place", () => {
    expect(level({ freeBytes: LIMITS.ballastBytes, ballastBytes: 0 })).toBe("full");
    expect(level({ freeBytes: LIMITS.ballastBytes + LIMITS.diskLowBytes - 1, ballastBytes: 0 })).toBe("low");
    expect(level({ freeBytes: LIMITS.ballastBytes + LIMITS.diskLowBytes, ballastBytes: 0 })).toBe("ok");
  });

  test("counts what retention has made free inside the database, but not without some room outside of it", () => {
    const reusableBytes = 2 * LIMITS.diskLowBytes;
    expect(level({ freeBytes: LIMITS.ballastBytes, ballastBytes: 0, reusableBytes })).toBe("ok");
    expect(level({ freeBytes: MARKS.fullBytes - 1, reusableBytes })).toBe("full");
  });

  test("does not go back and forth at a mark", () => {
    const freeBytes = LIMITS.diskLowBytes + 1;
    expect(level({ freeBytes }, "ok")).toBe("ok");
    expect(level({ freeBytes }, "low")).toBe("low");
    expect(level({ freeBytes: 1.25 * LIMITS.diskLowBytes }, "low")).toBe("ok");
    expect(level({ freeBytes: MARKS.fullBytes + 1 }, "low")).toBe("low");
    expect(level({ freeBytes: MARKS.fullBytes + 1 }, "full")).toBe("full");
  });

  test("is low while the write-ahead log is past its bound", () => {
    const freeBytes = 1024 * MIB;
    expect(level({ freeBytes, walBytes: LIMITS.walMostBytes })).toBe("ok");
    expect(level({ freeBytes, walBytes: LIMITS.walMostBytes + 1 })).toBe("low");
  });
});
