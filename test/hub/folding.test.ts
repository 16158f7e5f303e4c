/** Folding: who catches up gets neighbouring texts as one frame, and can tell that from nothing but the frame's size. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import type { StoredEvent } from "../../src/jobs/job.ts";
import { encodeEvent, encodePage, type LogFrame } from "../../src/hub/encode.ts";
import { decodeBinaryFrame } from "../../src/protocol/binary.ts";
import type { EventFrame } from "../../src/protocol/frames.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { nextJobId, textItem } from "../conformance/drive.ts";

const JOB = nextJobId();

interface Entry {
  readonly attempt?: number;
  readonly text?: string;
  readonly index?: number;
  readonly kind?: StoredEvent["kind"];
  readonly data?: string | Uint8Array;
}

/** A log from seq 1: texts of attempt 1 where nothing else is said. */
function logOf(entries: readonly Entry[]): StoredEvent[] {
  return entries.map(({ attempt = 1, text = "x", index = 0, kind = "output.text", data }, at) => ({
    seq: at + 1,
    attempt,
    at: 1000 + at,
    kind,
    data: data ?? (kind === "output.text" ? textItem(text, index).data : "{}"),
  }));
}

const ALOUD = { silenced: false };

function parse(frame: LogFrame): EventFrame {
  if (typeof frame.encoded !== "string") throw new Error("a binary frame");
  return JSON.parse(frame.encoded) as EventFrame;
}

function shape(events: readonly StoredEvent[]): string {
  return encodePage(JOB, events, ALOUD)
    .map(({ first, last }) => (first === last ? `${first}` : `${first}-${last}`))
    .join(" ");
}

describe("a page", () => {
  test("folds neighbouring texts into a frame that says which entries it covers", () => {
    const frames = encodePage(JOB, logOf([{ text: 'Hel"' }, { text: "lo\n" }, { text: "🙂" }]), ALOUD);
    expect(frames).toHaveLength(1);
    expect(frames.map(parse)).toEqual([
      {
        type: "event",
        job: JOB,
        seq: 3,
        first: 1,
        attempt: 1,
        at: 1002,
        kind: "output.text",
        data: { delta: 'Hel"lo\n🙂', index: 0 },
      },
    ]);
  });

  test("leaves a text without neighbours as a live one", () => {
    const [event] = logOf([{ text: "alone" }]);
    if (event === undefined) throw new Error("no event");
    expect(encodePage(JOB, [event], ALOUD)).toEqual([encodeEvent(JOB, event, ALOUD)]);
    expect("first" in parse(encodeEvent(JOB, event, ALOUD))).toBe(false);
  });

  test("folds only within one index, one run, and nothing else between", () => {
    expect(shape(logOf([{}, {}, { index: 1 }, { index: 1 }, {}]))).toBe("1-2 3-4 5");
    expect(shape(logOf([{}, {}, { attempt: 2 }, { attempt: 2 }]))).toBe("1-2 3-4");
    expect(shape(logOf([{}, { kind: "job.progress" }, {}, {}, { kind: "output.data" }]))).toBe("1 2 3-4 5");
    expect(shape(logOf([{}, { kind: "output.audio", data: new Uint8Array(2) }, {}]))).toBe("1 2 3");
    expect(shape(logOf([{}, {}, { kind: "job.succeeded", data: '{"result":null}' }]))).toBe("1-2 3");
  });

  test.each([
    ["short letters", "x"],
    ["letters of three bytes", "語"],
    ["letters that are escaped", "\u0001"],
  ])("makes no frame over the bound, of %s", (_name, letter) => {
    const text = letter.repeat(500);
    const frames = encodePage(JOB, logOf(Array.from({ length: 200 }, () => ({ text }))), ALOUD);
    expect(frames.length).toBeGreaterThan(1);
    for (const { encoded } of frames) {
      expect(Buffer.byteLength(encoded)).toBeLessThanOrEqual(LIMITS.foldedBytes);
    }
    expect(frames.map((frame) => (parse(frame).data as { delta: string }).delta).join("")).toBe(
      text.repeat(200),
    );
  });

  test("never splits one entry, however large", () => {
    const large = { text: "x".repeat(LIMITS.deltaBytes) };
    expect(shape(logOf([{}, large, {}, {}]))).toBe("1 2 3-4");
  });
});

test("whatever a log holds, its page says the same and covers every entry once", () => {
  const entry: fc.Arbitrary<Entry> = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        text: fc.string({ unit: "grapheme", maxLength: 6 }),
        index: fc.nat({ max: 1 }),
        attempt: fc.integer({ min: 1, max: 2 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ maxLength: 5 }).map((data) => ({ kind: "output.audio" as const, data })),
    },
    { weight: 1, arbitrary: fc.constant({ kind: "job.progress" as const, data: '{"ratio":0.5}' }) },
  );
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 30 }), (entries) => {
      const log = logOf(entries);
      let next = 1;
      const said: unknown[] = [];
      for (const frame of encodePage(JOB, log, ALOUD)) {
        expect(frame.first).toBe(next);
        next = frame.last + 1;
        const last = log[frame.last - 1];
        if (typeof frame.encoded !== "string") {
          const { seq, attempt, job, payload } = decodeBinaryFrame(frame.encoded) ?? {};
          expect({ seq, attempt, job }).toEqual({ seq: frame.last, attempt: last?.attempt, job: JOB });
          said.push(payload);
          continue;
        }
        const { seq, first = seq, attempt, at, kind, data } = parse(frame);
        expect({ first, seq, attempt, at, kind }).toEqual({
          first: frame.first,
          seq: frame.last,
          attempt: last?.attempt as number,
          at: last?.at as number,
          kind: last?.kind as StoredEvent["kind"],
        });
        if (kind !== "output.text") said.push(kind);
        else {
          const { delta, index } = data as { delta: string; index: number };
          said.push(...delta.split("").map((unit) => `${attempt} ${index} ${unit}`));
        }
      }
      expect(next).toBe(log.length + 1);
      const wanted = log.flatMap(({ kind, attempt, data }): unknown[] => {
        if (typeof data !== "string") return [data];
        if (kind !== "output.text") return [kind];
        const { delta, index } = JSON.parse(data) as { delta: string; index: number };
        return delta.split("").map((unit) => `${attempt} ${index} ${unit}`);
      });
      expect(said).toEqual(wanted);
    }),
  );
});
