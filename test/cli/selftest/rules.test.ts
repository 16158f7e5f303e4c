/** The rules for logs and deliveries, shown every kind of lie they exist to notice. */
import { describe, expect, test } from "bun:test";
import { checkDeliveries, checkLog } from "../../support/log-checker.ts";
import type { EventBody, EventData, ReceivedEvent } from "../../support/wire.ts";

type Entry = readonly [kind: string, attempt: number, data?: EventData];

function logOf(...entries: readonly Entry[]): EventBody[] {
  return entries.map(([kind, attempt, data], index) => ({
    job: "a",
    seq: index + 1,
    attempt,
    at: 1000 + index,
    kind,
    data: data ?? {},
  }));
}

const text = (delta: string): EventData => ({ delta, index: 0 });

/** Two runs: the first one wrote and failed, the second one wrote and succeeded. */
const GOOD = logOf(
  ["job.queued", 0, { position: 1 }],
  ["job.started", 1],
  ["output.text", 1, text("one")],
  ["job.retrying", 1, { reason: "error", delayMs: 5 }],
  ["job.started", 2],
  ["output.reset", 2, { reason: "retry" }],
  ["output.text", 2, text("tw")],
  ["output.text", 2, text("o")],
  ["output.audio.format", 2, { codec: "pcm_s16le" }],
  ["output.audio", 2, { bytes: "AAA=" }],
  ["job.succeeded", 2, { result: null }],
);

/** The good log with the entry at `seq` changed; null takes it out and moves the rest up. */
function broken(seq: number, change: Partial<EventBody> | null): EventBody[] {
  if (change === null) {
    const kept = GOOD.filter((event) => event.seq !== seq);
    return kept.map((event) => Object.assign({}, event, { seq: kept.indexOf(event) + 1 }));
  }
  return GOOD.map((event) => (event.seq === seq ? { ...event, ...change } : event));
}

describe("a log", () => {
  test("that is whole raises no complaint", () => {
    expect(checkLog(GOOD)).toEqual([]);
  });

  const lies: [name: string, log: EventBody[], complaint: string][] = [
    ["a hole", broken(7, { seq: 8 }), "stands where seq 7 belongs"],
    ["another job's event", broken(7, { job: "b" }), "belongs to job b"],
    ["a fold", broken(8, { first: 7 }), "is folded"],
    ["no job.queued", broken(1, null), "job.queued is the first event"],
    ["a second job.queued", broken(7, { kind: "job.queued" }), "job.queued is the first event"],
    ["no terminal event", broken(11, null), "the log ends with output.audio"],
    ["a terminal event in the middle", broken(8, { kind: "job.failed" }), "follows the terminal event"],
    ["time going back", broken(8, { at: 800 }), "at goes back"],
    ["time that is no number", broken(8, { at: Number.NaN }), "at is NaN"],
    ["an attempt left out", broken(5, { attempt: 3 }), "attempt 3 starts after attempt 1"],
    ["an attempt out of place", broken(8, { attempt: 1 }), "attempt 1 within attempt 2"],
    ["two runs at once", broken(4, { kind: "job.started", attempt: 2 }), "while another one is open"],
    ["no output.reset", broken(6, null), "output.reset is missing"],
    [
      "an output.reset for another reason",
      broken(6, { data: { reason: "restart" } }),
      "output.reset says restart",
    ],
    ["an output.reset too many", broken(7, { kind: "output.reset" }), "without output to void"],
    [
      "output before a run",
      broken(2, { kind: "output.text", data: text("x"), attempt: 0 }),
      "output outside a run",
    ],
    ["audio without format", broken(9, null), "audio before its format"],
    ["audio without bytes", broken(10, { data: {} }), "audio without bytes"],
    ["half a code point", broken(8, { data: text("\ud83d") }), "text split in a code point"],
    ["an unknown reason to retry", broken(4, { data: { reason: "mood" } }), "for the reason mood"],
    ["nothing", [], "the log is empty"],
  ];
  test.each(lies)("with %s is complained about", (_name, log, complaint) => {
    expect(checkLog(log).join("\n")).toContain(complaint);
  });
});

function received(seq: number, change: Partial<ReceivedEvent> = {}): ReceivedEvent {
  const event = GOOD[seq - 1];
  if (event === undefined) throw new Error(`no seq ${seq}`);
  const { job, attempt, at, kind, data } = event;
  return {
    job,
    first: seq,
    seq,
    attempt,
    at,
    kind,
    data,
    terminal: kind === "job.succeeded",
    frameBytes: 0,
    ...change,
  };
}

const AUDIO = { at: null, data: {}, bytes: new Uint8Array([0, 0]) };
const ALL = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((seq) => received(seq));

describe("deliveries", () => {
  test("live, folded and resumed ones that tell the log raise no complaint", () => {
    const folded = received(8, { first: 7, data: text("two") });
    const end = [received(9), received(10, AUDIO), received(11)];
    expect(
      checkDeliveries(GOOD, [
        { after: 0, events: ALL },
        { after: 6, events: [folded, ...end] },
      ]),
    ).toEqual([]);
  });

  const lies: [name: string, events: ReceivedEvent[], complaint: string][] = [
    ["a hole", [received(1), received(3)], "follows seq 1"],
    ["a repeat", [received(1), received(1)], "follows seq 1"],
    ["disorder", [received(2), received(1)], "follows seq 0"],
    ["other data", [received(1, { data: { position: 2 } })], "has other data in the log"],
    ["another time", [received(1, { at: 5 })], "has at 1000 in the log"],
    ["another kind", [received(1, { kind: "job.started" })], "is job.queued in the log"],
    ["another attempt", [received(1, { attempt: 1 })], "has attempt 0 in the log"],
    [
      "other bytes",
      [...ALL, received(10, { ...AUDIO, bytes: new Uint8Array([1]) })],
      "has other data in the log",
    ],
    ["a wrong fold", [...ALL.slice(0, 6), received(8, { first: 7, data: text("tw") })], "has other text"],
    ["a fold across kinds", [...ALL.slice(0, 7), received(9, { first: 8 })], "is output.text in the log"],
    ["an end that does not say so", [received(11, { terminal: false })], "terminal is false"],
    ["an event beyond the log", [received(11, { first: 12, seq: 12 })], "is not in the log"],
  ];
  test.each(lies)("with %s are complained about", (_name, events, complaint) => {
    expect(checkDeliveries(GOOD, [{ after: 0, events }]).join("\n")).toContain(complaint);
  });
});
