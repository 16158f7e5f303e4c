/** Token buckets: exactly as many as the rate allows, under any pattern of use, in a bounded memory. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createBuckets, nextUnitMs, wholeUnits } from "../../src/lib/bucket.ts";

function createAt(startMs = 1_760_000_000_000.123) {
  let nowMs = startMs;
  return {
    clock: { steadyMs: () => nowMs },
    advance: (byMs: number): void => {
      nowMs += byMs;
    },
  };
}

function takeUntilRefused(take: () => number, most: number): number {
  let taken = 0;
  while (taken <= most && take() >= 0) taken += 1;
  return taken;
}

describe("a bucket", () => {
  test.each([1, 7, 30, 600, 6000, 99_991, 1_000_000])(
    "of %d a minute gives as many at once, and no more",
    (perMinute) => {
      const { clock } = createAt();
      const buckets = createBuckets({ clock, perMinute, keysMost: 10 });
      expect(takeUntilRefused(() => buckets.take("a"), perMinute + 5)).toBe(perMinute);
      expect(buckets.take("a")).toBeLessThan(0);
      expect(buckets.take("b")).toBeCloseTo(perMinute - 1, 3);
    },
  );

  test("counts down in whole units, and says when the next one is there", () => {
    const { clock, advance } = createAt();
    const buckets = createBuckets({ clock, perMinute: 10, keysMost: 10 });
    const levels = Array.from({ length: 11 }, () => buckets.take("a"));
    expect(levels.map(wholeUnits)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]);
    expect(nextUnitMs(levels[0] ?? 0, 10)).toBeCloseTo(6000, 3);
    const waitMs = nextUnitMs(levels[10] ?? 0, 10);
    expect(waitMs).toBeCloseTo(6000, 3);
    advance(waitMs - 10);
    expect(buckets.take("a")).toBeLessThan(0);
    advance(10);
    expect(buckets.take("a")).toBeGreaterThanOrEqual(0);
    expect(buckets.take("a")).toBeLessThan(0);
  });

  test("is full again after a minute, never fuller", () => {
    const { clock, advance } = createAt();
    const buckets = createBuckets({ clock, perMinute: 20, keysMost: 10 });
    takeUntilRefused(() => buckets.take("a"), 20);
    advance(3_600_000);
    expect(takeUntilRefused(() => buckets.take("a"), 50)).toBe(20);
  });

  test("may be asked without being used", () => {
    const { clock } = createAt();
    const buckets = createBuckets({ clock, perMinute: 2, keysMost: 10 });
    expect([buckets.peek("a"), buckets.peek("a"), buckets.peek("a")].map(wholeUnits)).toEqual([1, 1, 1]);
    buckets.take("a");
    buckets.take("a");
    expect(buckets.peek("a")).toBeLessThan(0);
  });

  test("without a limit gives for ever and remembers nobody", () => {
    const { clock } = createAt();
    const buckets = createBuckets({ clock, perMinute: 0, keysMost: 10 });
    for (let n = 0; n < 10_000; n += 1) expect(buckets.take("a")).toBe(Number.POSITIVE_INFINITY);
    expect(buckets.size).toBe(0);
  });
});

/** The plainest bucket there is, in whole milliseconds: `unitMs` of credit a unit. */
function createModel(perMinute: number) {
  const unitMs = 60_000 / perMinute;
  const credits = new Map<string, { creditMs: number; atMs: number }>();
  return (key: string, nowMs: number): boolean => {
    const { creditMs, atMs } = credits.get(key) ?? { creditMs: 60_000, atMs: nowMs };
    const now = Math.min(60_000, creditMs + nowMs - atMs);
    const given = now >= unitMs;
    credits.set(key, { creditMs: given ? now - unitMs : now, atMs: nowMs });
    return given;
  };
}

test("under any pattern of use it agrees with a bucket that is refilled drop by drop", () => {
  const step = fc.record({
    waitMs: fc.oneof(fc.constant(0), fc.nat(50), fc.nat(20_000), fc.nat(200_000)),
    key: fc.constantFrom("a", "b", "c"),
    times: fc.nat(12),
  });
  fc.assert(
    fc.property(fc.constantFrom(3, 6, 60, 600), fc.array(step, { maxLength: 60 }), (perMinute, steps) => {
      const { clock, advance } = createAt(1_760_000_000_000);
      const buckets = createBuckets({ clock, perMinute, keysMost: 100 });
      const model = createModel(perMinute);
      for (const { waitMs, key, times } of steps) {
        advance(waitMs);
        for (let n = 0; n < times; n += 1) {
          expect(buckets.take(key) >= 0).toBe(model(key, clock.steadyMs()));
        }
      }
    }),
    { numRuns: 300 },
  );
});

describe("memory", () => {
  test("holds no more keys than it was told, and a flood of keys does not throw", () => {
    const { clock } = createAt();
    const buckets = createBuckets({ clock, perMinute: 5, keysMost: 100 });
    for (let n = 0; n < 10_000; n += 1) {
      buckets.take(`key ${n}`);
      expect(buckets.size).toBeLessThanOrEqual(100);
    }
  });

  test("keeps a key that is in use through a flood of others", () => {
    const { clock } = createAt();
    const buckets = createBuckets({ clock, perMinute: 5, keysMost: 100 });
    takeUntilRefused(() => buckets.take("hammering"), 5);
    for (let n = 0; n < 10_000; n += 1) {
      buckets.take(`other ${n}`);
      if (n % 40 === 0) expect(buckets.take("hammering")).toBeLessThan(0);
    }
  });

  test("forgets full buckets, whether somebody takes or only asks", () => {
    const { clock, advance } = createAt();
    const buckets = createBuckets({ clock, perMinute: 5, keysMost: 1000 });
    for (let n = 0; n < 300; n += 1) buckets.take(`key ${n}`);
    advance(60_000);
    buckets.take("late");
    advance(60_000);
    buckets.take("later");
    expect(buckets.size).toBe(2);
    advance(120_000);
    buckets.peek("nobody");
    expect(buckets.size).toBe(0);
  });

  test("a key that never lets up gets no more than its rate, however often the others are forgotten", () => {
    const { clock, advance } = createAt();
    const buckets = createBuckets({ clock, perMinute: 10, keysMost: 1000 });
    let given = 0;
    for (let second = 0; second < 600; second += 1) {
      for (let n = 0; n < 4; n += 1) if (buckets.take("a") >= 0) given += 1;
      advance(1000);
    }
    // A full bucket, and ten minutes of growing back.
    expect(given).toBeGreaterThanOrEqual(109);
    expect(given).toBeLessThanOrEqual(110);
  });
});
