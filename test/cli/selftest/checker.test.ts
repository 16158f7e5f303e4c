/** The judge of a load, shown every kind of broken promise that it exists to notice. */
import { describe, expect, test } from "bun:test";
import {
  acceptedJobs,
  judgeAgain,
  judgeBooks,
  judgeJob,
  type JobHistory,
} from "../../../src/cli/selftest/checker.ts";
import type { FlawKind } from "../../../src/cli/selftest/flaw.ts";
import {
  contentOf,
  createHistory,
  digestOf,
  type EntryData,
  type LogEntry,
  type Operation,
  type SeenEvent,
} from "../../../src/cli/selftest/history.ts";
import { tokenAudio, tokenText } from "../../../src/handlers/tokens.ts";

const JOB = "job-1";
const INPUT = { tokens: 2, size: 8, intervalMs: 0, audioBytes: 4 };
const LOST_LEASES = 3;

type Line = readonly [kind: string, attempt: number, data?: EntryData];

function logOf(lines: readonly Line[]): LogEntry[] {
  return lines.map(([kind, attempt, data], index) => ({
    job: JOB,
    seq: index + 1,
    attempt,
    at: 1000 + index,
    kind,
    data: data ?? {},
  }));
}

const text = (n: number): EntryData => ({ delta: tokenText(n, INPUT.size), index: 0 });
const audio = (n: number): EntryData => ({ bytes: tokenAudio(n, INPUT.audioBytes).toBase64() });
const RESTART: EntryData = { reason: "restart" };
const LOST: EntryData = { error: { code: "worker_lost" } };

/** Killed once in the middle, then done. */
const LINES: readonly Line[] = [
  ["job.queued", 0],
  ["job.started", 1],
  ["output.audio.format", 1],
  ["output.text", 1, text(1)],
  ["job.retrying", 1, RESTART],
  ["job.started", 2],
  ["output.reset", 2, RESTART],
  ["output.audio.format", 2],
  ["output.text", 2, text(1)],
  ["output.audio", 2, audio(1)],
  ["output.text", 2, text(2)],
  ["output.audio", 2, audio(2)],
  ["job.succeeded", 2, { result: { tokens: 2 } }],
];
const GOOD = logOf(LINES);

/** The log with the entry at `seq` said differently. */
const withEntry = (seq: number, change: Partial<LogEntry>): LogEntry[] =>
  GOOD.map((entry) => (entry.seq === seq ? { ...entry, ...change } : entry));

function seen({ seq, attempt, kind, at, data }: LogEntry): SeenEvent {
  const terminal = kind === "job.succeeded" || kind === "job.failed";
  return { first: seq, seq, attempt, kind, at, terminal, content: contentOf(kind, data) };
}

function historyOf(log: readonly LogEntry[], input: JobHistory["input"] = INPUT): JobHistory {
  const events = log.map(seen);
  const deliveries = [
    { connection: 1, after: 0, events: events.slice(0, 4) },
    { connection: 2, after: 4, events: events.slice(4) },
  ];
  return { job: JOB, deliveries, input };
}

const kindsOf = (history: JobHistory, log: readonly LogEntry[]): string[] =>
  judgeJob(history, log, LOST_LEASES).flaws.map(({ kind }) => kind);

/** A job that was lost with its process `times` times, the last of which ended it. */
function lostFor(times: number): LogEntry[] {
  const lines: Line[] = [["job.queued", 0]];
  for (let attempt = 1; attempt < times; attempt += 1)
    lines.push(["job.started", attempt], ["job.retrying", attempt, RESTART]);
  return logOf([...lines, ["job.started", times], ["job.failed", times, LOST]]);
}

describe("a job", () => {
  test("that was interrupted, resumed and answered is as it should be", () => {
    const verdict = judgeJob(historyOf(GOOD), GOOD, LOST_LEASES);
    expect(verdict).toEqual({
      flaws: [],
      answered: true,
      events: GOOD.length,
      budgetSpent: false,
      settled: { job: JOB, head: GOOD.length, digest: digestOf(GOOD) },
    });
  });

  const lies: [what: string, kind: string, history: JobHistory, log: readonly LogEntry[]][] = [
    ["has no log", "lost", historyOf(GOOD), []],
    ["has no end", "lost", historyOf(GOOD.slice(0, -1)), GOOD.slice(0, -1)],
    ["ended, and its client never heard", "lost", historyOf(GOOD.slice(0, -1)), GOOD],
    ["lacks an entry", "gap", historyOf(GOOD), GOOD.filter(({ seq }) => seq !== 10)],
    ["arrived with a hole", "gap", historyOf(GOOD.filter(({ seq }) => seq !== 10)), GOOD],
    ["has an entry twice", "duplicated", historyOf(GOOD), [...GOOD.slice(0, 10), ...GOOD.slice(9)]],
    [
      "arrived twice",
      "duplicated",
      { ...historyOf(GOOD), deliveries: [{ connection: 1, after: 0, events: [...GOOD, ...GOOD].map(seen) }] },
      GOOD,
    ],
    [
      "says something else now",
      "contradicted",
      historyOf(GOOD),
      withEntry(4, { data: { delta: "other", index: 0 } }),
    ],
    [
      "goes on after its end",
      "after_terminal",
      historyOf(GOOD),
      [...GOOD, { ...withEntry(13, { seq: 14 })[12] } as LogEntry],
    ],
    [
      "wrote another text",
      "wrong_result",
      historyOf(withEntry(9, { data: text(2) })),
      withEntry(9, { data: text(2) }),
    ],
    [
      "wrote other audio",
      "wrong_result",
      historyOf(withEntry(10, { data: audio(2) })),
      withEntry(10, { data: audio(2) }),
    ],
    [
      "has another result",
      "wrong_result",
      historyOf(withEntry(13, { data: { result: { tokens: 1 } } })),
      withEntry(13, { data: { result: { tokens: 1 } } }),
    ],
    [
      "failed",
      "wrong_result",
      historyOf(
        logOf([
          ["job.queued", 0],
          ["job.failed", 0],
        ]),
      ),
      logOf([
        ["job.queued", 0],
        ["job.failed", 0],
      ]),
    ],
    ["failed after fewer restarts than it may", "failed_by_restart", historyOf(lostFor(2)), lostFor(2)],
    [
      "kept void output",
      "malformed",
      historyOf(GOOD),
      logOf(LINES.filter(([kind]) => kind !== "output.reset")),
    ],
  ];
  test.each(lies)("that %s is %s", (_what, kind, history, log) => {
    expect(kindsOf(history, log)).toContain(kind);
  });

  test("that failed once its lost leases were spent kept the contract", () => {
    const log = lostFor(LOST_LEASES);
    expect(judgeJob(historyOf(log), log, LOST_LEASES)).toMatchObject({
      flaws: [],
      answered: true,
      budgetSpent: true,
    });
  });

  test("whose end nobody foretold may end in any way", () => {
    const log = logOf([
      ["job.queued", 0],
      ["job.failed", 0],
    ]);
    expect(kindsOf(historyOf(log, null), log)).toEqual([]);
  });

  const later: [what: string, log: readonly LogEntry[] | null, kinds: FlawKind[]][] = [
    ["is as it was", GOOD, []],
    ["is gone", null, ["lost"]],
    ["is shorter", GOOD.slice(0, -1), ["lost"]],
    ["is another", withEntry(4, { data: text(2) }), ["contradicted"]],
    ["has another time", withEntry(4, { at: 1 }), ["contradicted"]],
  ];
  test.each(later)("that was judged before and %s is noticed", (_what, log, kinds) => {
    const { settled } = judgeJob(historyOf(GOOD), GOOD, LOST_LEASES);
    expect(judgeAgain(settled, log).map(({ kind }) => kind)).toEqual(kinds);
  });
});

/** Submits by key, outcome, and the job that was answered. */
function submits(
  ...made: readonly [key: string, outcome: Operation["outcome"], job: string | null][]
): Operation[] {
  const history = createHistory();
  for (const [key, outcome, job] of made) Object.assign(history.begin("submit", 0, key), { outcome, job });
  history.begin("connect", 0).outcome = "ok";
  return [...history.operations];
}

describe("the books", () => {
  const books: [what: string, operations: Operation[], listed: string[], kinds: FlawKind[]][] = [
    ["agree", submits(["a", "ok", "1"], ["b", "ok", "2"]), ["1", "2"], []],
    ["agree after a repeat", submits(["a", "unknown", null], ["a", "ok", "1"]), ["1"], []],
    ["may have what nobody was told of", submits(["a", "unknown", null]), ["1"], []],
    ["may lack what nobody was told of", submits(["a", "unknown", null], ["b", "invoked", null]), [], []],
    ["lack what was accepted", submits(["a", "ok", "1"]), [], ["lost"]],
    ["have two jobs for a key", submits(["a", "ok", "1"], ["a", "ok", "2"]), ["1", "2"], ["duplicated"]],
    ["have a job too many", submits(["a", "unknown", null], ["a", "ok", "1"]), ["1", "2"], ["duplicated"]],
    ["have what was refused", submits(["a", "failed", null]), ["1"], ["duplicated"]],
    ["list a job twice", submits(["a", "ok", "1"]), ["1", "1"], ["duplicated"]],
  ];
  test.each(books)("that %s", (_what, operations, listed, kinds) => {
    expect(judgeBooks({ client: "c", operations, listed }).map(({ kind }) => kind)).toEqual(kinds);
  });

  test("count an accepted job once, however often it was asked for", () => {
    expect(acceptedJobs(submits(["a", "ok", "1"], ["a", "ok", "1"], ["b", "failed", null]))).toEqual(["1"]);
  });
});
