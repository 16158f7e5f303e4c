/** Cron patterns: when they strike, also where the clocks change (times of Europe/Berlin in 2026: 29 March, 25 October). */
import { describe, expect, test } from "bun:test";
import { isTimeZone, readCron, type Ticks } from "../../src/lib/cron.ts";

function ticksOf(pattern: string, timeZone = "UTC"): Ticks {
  const result = readCron(pattern, timeZone);
  if (!result.ok) throw new Error(result.problem);
  return result.ticks;
}

function strikes(pattern: string, timeZone: string, from: string, count: number): string[] {
  const ticks = ticksOf(pattern, timeZone);
  const found: string[] = [];
  for (let at = ticks.next(Date.parse(from)); at !== null && found.length < count; at = ticks.next(at))
    found.push(new Date(at).toISOString().slice(0, 19));
  return found;
}

describe("a pattern strikes", () => {
  const cases: [pattern: string, zone: string, from: string, ...ticks: string[]][] = [
    ["*/2 * * * * *", "UTC", "2026-11-23T00:00:00.500Z", "2026-11-23T00:00:02", "2026-11-23T00:00:04"],
    ["30 3 * * *", "Europe/Berlin", "2026-11-23T00:00:00Z", "2026-11-23T02:30:00", "2026-11-24T02:30:00"],
    // 02:30 is skipped: at 03:00, when the clocks have changed. 02:30 comes twice: the first time.
    ["30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00", "2026-03-30T00:30:00"],
    ["30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00", "2026-10-26T01:30:00"],
    // What comes every hour comes every hour, whatever it is called.
    [
      "0 * * * *",
      "Europe/Berlin",
      "2026-10-24T23:30:00Z",
      "2026-10-25T00:00:00",
      "2026-10-25T01:00:00",
      "2026-10-25T02:00:00",
    ],
    [
      "0 * * * *",
      "Europe/Berlin",
      "2026-03-28T23:30:00Z",
      "2026-03-29T00:00:00",
      "2026-03-29T01:00:00",
      "2026-03-29T02:00:00",
    ],
    ["@monthly", "UTC", "2026-11-23T00:00:00Z", "2026-12-01T00:00:00", "2027-01-01T00:00:00"],
  ];
  test.each(cases)("%s in %s from %s", (pattern, zone, from, ...ticks) => {
    expect(strikes(pattern, zone, from, ticks.length)).toEqual(ticks);
  });
});

test("the latest tick before any moment is the one whose next is after it", () => {
  for (const [pattern, zone] of [
    ["*/7 * * * * *", "UTC"],
    ["30 2 * * *", "Europe/Berlin"],
    ["*/15 * * * *", "Europe/Berlin"],
  ] as const) {
    const ticks = ticksOf(pattern, zone);
    // Around both changes of the clocks, and at a tick itself.
    for (const around of ["2026-03-29T01:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"]) {
      for (const asideMs of [-1, 0, 1, 500, 1000, 3_600_000]) {
        const at = Date.parse(around) + asideMs;
        const latest = ticks.latest(at) ?? Number.NaN;
        expect(latest).toBeLessThanOrEqual(at);
        expect(ticks.next(latest) ?? Number.NaN).toBeGreaterThan(at);
      }
    }
  }
});

test("what is no pattern, or never strikes, is refused", () => {
  for (const pattern of ["", "x", "* * *", "61 * * * *", "* * * * * * * *", "0 0 31 2 *"]) {
    const result = readCron(pattern, "UTC");
    expect(result.ok ? pattern : result.problem).toMatch(/^(is not a cron pattern \(.+\)|never strikes)$/);
  }
  expect(["UTC", "Europe/Berlin", "Mars/Olympus", ""].map(isTimeZone)).toEqual([true, true, false, false]);
});
