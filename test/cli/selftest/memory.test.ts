/** The memory of a selftest's server: what is sampled, and what is said about it. */
import { expect, test } from "bun:test";
import { trendOf, watchMemory } from "../../../src/cli/selftest/memory.ts";
import { createManualClock } from "../../telemetry/manual-clock.ts";

test("the second fifth is compared with the last, whatever the first one was", () => {
  expect(trendOf([900, 1, 5, 5, 3, 4, 3, 4, 7, 8])).toEqual({ earlyBytes: 5, lateBytes: 7, mostBytes: 900 });
  expect(trendOf([])).toEqual({ earlyBytes: null, lateBytes: null, mostBytes: null });
  expect(trendOf([3, 4])).toEqual({ earlyBytes: null, lateBytes: null, mostBytes: 4 });
});

test("a process is looked at once a second, while there is one, until it is enough", () => {
  const clock = createManualClock();
  let [bytes, asked]: [number | null, number] = [null, 0];
  const watch = watchMemory({ residentBytes: () => ((asked += 1), bytes) }, clock);
  clock.advance(5000);
  expect(watch.trend().mostBytes).toBeNull();
  for (bytes = 1; bytes <= 10; bytes += 1) clock.advance(1000);
  watch.stop();
  clock.advance(5000);
  expect(asked).toBe(15);
  expect(watch.trend()).toEqual({ earlyBytes: 3, lateBytes: 9, mostBytes: 10 });
});
