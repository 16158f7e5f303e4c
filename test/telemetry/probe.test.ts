/** The probe of readiness: a deadline, a short memory, and never two questions at a time. */
import { describe, expect, test } from "bun:test";
import { createProbe } from "../../src/telemetry/probe.ts";
import { createManualClock } from "./manual-clock.ts";

function setUp() {
  const clock = createManualClock();
  const questions: PromiseWithResolvers<void>[] = [];
  const probe = createProbe({
    clock,
    deadlineMs: 1000,
    freshMs: 500,
    ask: () => {
      const question = Promise.withResolvers<void>();
      questions.push(question);
      return question.promise;
    },
  });
  return { clock, probe, questions };
}

describe("a probe", () => {
  test("says yes to an answer, and asks again only when that is stale", async () => {
    const { clock, probe, questions } = setUp();
    const looks = [probe(), probe()];
    expect(clock.waiting).toBe(1);
    questions[0]?.resolve();
    expect(await Promise.all(looks)).toEqual([true, true]);
    clock.advance(499);
    expect(await probe()).toBe(true);
    expect(questions).toHaveLength(1);
    clock.advance(1);
    const later = probe();
    questions[1]?.resolve();
    expect(await later).toBe(true);
    expect(questions).toHaveLength(2);
    expect(clock.waiting).toBe(0);
  });

  test("says no to a refusal, and remembers that as well", async () => {
    const { clock, probe, questions } = setUp();
    const look = probe();
    questions[0]?.reject(new Error("no disk"));
    expect(await look).toBe(false);
    expect(await probe()).toBe(false);
    clock.advance(500);
    const later = probe();
    questions[1]?.resolve();
    expect(await later).toBe(true);
  });

  test("says no when the deadline has passed, and does not ask once more while the question is open", async () => {
    const { clock, probe, questions } = setUp();
    const look = probe();
    clock.advance(1000);
    expect(await look).toBe(false);
    clock.advance(500);
    const second = probe();
    clock.advance(1000);
    expect(await second).toBe(false);
    expect(questions).toHaveLength(1);
    clock.advance(500);
    const third = probe();
    questions[0]?.resolve();
    expect(await third).toBe(true);
    expect(questions).toHaveLength(1);
  });
});
