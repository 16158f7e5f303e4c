/** The closed lists of the wire: what follows from a code is in the code, and no list contradicts another. */
import { describe, expect, test } from "bun:test";
import { CLOSE_CODES, ERROR_CODES, JOB_ERROR_CODES, mayReconnect } from "../../src/protocol/codes.ts";
import { invalidField, Refusal } from "../../src/protocol/error.ts";
import {
  EVENT_KINDS,
  isOutputKind,
  isTerminalKind,
  OUTPUT_KINDS,
  TERMINAL_KINDS,
} from "../../src/protocol/events.ts";
import { isTerminalStatus, JOB_STATUSES } from "../../src/protocol/jobs.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

describe("close codes", () => {
  test("below 4500 say come back, from there on do something else first", () => {
    const names = (from: number, to: number): string[] =>
      Object.entries(CLOSE_CODES)
        .filter(([, code]) => code >= from && code < to)
        .map(([name]) => name);
    expect(names(4000, 4500)).toEqual([
      "draining",
      "slow_consumer",
      "heartbeat_timeout",
      "overloaded",
      "internal",
      "token_expired",
    ]);
    expect(names(4500, 5000)).toHaveLength(Object.keys(CLOSE_CODES).length - 6);
    for (const code of Object.values(CLOSE_CODES)) expect(mayReconnect(code)).toBe(code < 4500);
    expect([1000, 1001, 1006, 1009, 4499, 4500].map(mayReconnect)).toEqual([
      true,
      true,
      true,
      false,
      true,
      false,
    ]);
  });

  test("are different numbers", () => {
    expect(new Set(Object.values(CLOSE_CODES)).size).toBe(Object.keys(CLOSE_CODES).length);
  });
});

describe("error codes", () => {
  test("are written one way, and each has a status that is an error", () => {
    for (const [code, { status, title }] of Object.entries(ERROR_CODES)) {
      expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
      expect(status).toBeWithin(400, 600);
      expect(title.length).toBeGreaterThan(3);
    }
    for (const code of JOB_ERROR_CODES) expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/);
  });

  test("that say try again are those where the same request can succeed later", () => {
    const retryable = Object.entries(ERROR_CODES).filter(([, facts]) => facts.retryable);
    expect(
      retryable
        .map(([, { status }]) => status)
        .every((status) => status >= 500 || [408, 409, 429].includes(status)),
    ).toBe(true);
    for (const [, { status, retryable: again }] of Object.entries(ERROR_CODES)) {
      if (status === 429 || status === 503) expect(again).toBe(true);
    }
  });

  test("give a refusal its status, and what it shows is what it was given", () => {
    const cause = new Error("secret");
    const refusal = new Refusal("too_many_jobs", "At most 5.", {
      extra: { limit: 5 },
      headers: { "Retry-After": "1" },
      cause,
    });
    expect(refusal).toMatchObject({
      status: 429,
      retryable: true,
      message: "At most 5.",
      extra: { limit: 5 },
      headers: { "Retry-After": "1" },
    });
    expect(refusal.cause).toBe(cause);
    expect(new Refusal("not_found", "No.")).toMatchObject({ extra: {}, headers: {}, retryable: false });
    expect(invalidField("/input/n", "is missing")).toMatchObject({
      code: "invalid_request",
      message: "/input/n: is missing",
      errors: [{ pointer: "/input/n", detail: "is missing" }],
    });
    expect(invalidField("", "is no object").message).toBe("The body: is no object");
  });
});

describe("kinds and statuses", () => {
  test("sort every kind of entry into terminal, output and neither", () => {
    expect(EVENT_KINDS.filter((kind) => isTerminalKind(kind))).toEqual([...TERMINAL_KINDS]);
    expect(EVENT_KINDS.filter((kind) => isOutputKind(kind))).toEqual([...OUTPUT_KINDS]);
    expect(new Set(EVENT_KINDS).size).toBe(EVENT_KINDS.length);
    expect(isOutputKind("output.reset")).toBe(false);
    for (const kind of ["job.done", "constructor", ""]) {
      expect(isTerminalKind(kind) || isOutputKind(kind)).toBe(false);
    }
  });

  test("pair each terminal status with the kind that ends a job in it", () => {
    const terminal = JOB_STATUSES.filter((status) => isTerminalStatus(status));
    const kinds: string[] = terminal.map((status) => `job.${status}`);
    expect(kinds.toSorted()).toEqual([...TERMINAL_KINDS].toSorted());
  });
});

describe("limits", () => {
  test("are positive and whole, waits after lost leases and the slice of a turn aside", () => {
    const { lostLeaseDelaysMs, webhookScheduleMs, logReadSliceMs, ...single } = LIMITS;
    for (const [name, value] of Object.entries(single)) {
      expect({ name, whole: Number.isInteger(value) && value > 0 }).toEqual({ name, whole: true });
    }
    expect(logReadSliceMs).toBeGreaterThan(0); // The only fraction of a millisecond: a slice of a loop's turn.
    expect([...lostLeaseDelaysMs]).toEqual([0, 0, 1000, 2000, 4000, 5000]);
    expect([...webhookScheduleMs]).toEqual(webhookScheduleMs.toSorted((a, b) => a - b));
  });

  test("fit into each other and into the wire", () => {
    expect(LIMITS.attempts).toBe(65_535); // two bytes of the binary header
    expect(LIMITS.jobEvents).toBeLessThan(2 ** 22);
    // A start, a reset and a retry of each run may follow the last output; nothing may reach a restore's entry.
    expect(LIMITS.restoredSeq).toBeLessThan(2 ** 22);
    expect(LIMITS.restoredSeq).toBeGreaterThan(LIMITS.jobEvents + 2 * LIMITS.attempts);
    expect(LIMITS.deltaBytes).toBeLessThanOrEqual(LIMITS.eventBytes);
    expect(LIMITS.eventBytes).toBeLessThanOrEqual(LIMITS.jobBytes);
    expect(LIMITS.leaseRenewMs * 2).toBeLessThan(LIMITS.leaseMs);
    expect(LIMITS.replayPageBytes).toBeLessThanOrEqual(LIMITS.queueBytes);
    expect(LIMITS.pingTimeoutMs).toBeLessThan(LIMITS.pingMs);
  });
});
