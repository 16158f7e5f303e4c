/**
 * What a job's log may look like, by the promises of PROTOCOL section 1 and the table of runs in section 3. Written
 * apart from the code that makes logs, so that a mistake there does not excuse itself here.
 */
import type { Flaw, FlawKind } from "./flaw.ts";
import type { LogEntry } from "./history.ts";

export const TERMINAL: ReadonlySet<string> = new Set([
  "job.succeeded",
  "job.failed",
  "job.canceled",
  "job.expired",
]);
const OUTPUT = new Set(["output.text", "output.audio.format", "output.audio", "output.data"]);
const RESET_REASONS = new Map([
  ["error", "retry"],
  ["worker_lost", "worker_lost"],
  ["restart", "restart"],
  ["released", "released"],
]);
/** How far `at` may go back between neighbours: wall clocks are corrected in small steps. */
const BACKWARD_MS = 100;

type Say = (text: string, kind?: FlawKind) => void;

interface Run {
  attempt: number;
  /** Between `job.started` and what ends the run. */
  open: boolean;
  /** Output since the log began or was last declared void. */
  hasOutput: boolean;
  /** `output.reset` must come next. */
  owesReset: string | null;
  hasFormat: boolean;
  lastRetryReason: string;
}

function checkStart(run: Run, entry: LogEntry, say: Say): void {
  if (run.open) say("a run starts while another one is open");
  if (entry.attempt !== run.attempt + 1) say(`attempt ${entry.attempt} starts after attempt ${run.attempt}`);
  run.attempt = entry.attempt;
  run.open = true;
  run.hasFormat = false;
  run.owesReset = run.hasOutput ? (RESET_REASONS.get(run.lastRetryReason) ?? "?") : null;
}

function checkReset(run: Run, entry: LogEntry, say: Say): void {
  const reason = entry.data?.reason;
  if (run.owesReset === null) say("output.reset without output to void");
  else if (reason !== run.owesReset) say(`output.reset says ${reason}, not ${run.owesReset}`);
  run.owesReset = null;
  run.hasOutput = false;
}

function checkOutput(run: Run, { kind, data }: LogEntry, say: Say): void {
  if (!run.open) say("output outside a run");
  run.hasOutput = true;
  if (kind === "output.audio.format") run.hasFormat = true;
  if (kind === "output.audio" && !run.hasFormat) say("audio before its format");
  if (kind === "output.audio" && typeof data?.bytes !== "string") say("audio without bytes in base64");
  if (kind === "output.text" && !(data?.delta ?? "\ud800").isWellFormed()) say("text split in a code point");
}

function checkRuns(run: Run, entry: LogEntry, say: Say): void {
  if (run.owesReset !== null && entry.kind !== "output.reset") {
    say("output.reset is missing after job.started");
    run.owesReset = null;
  }
  if (entry.kind === "job.started") {
    checkStart(run, entry, say);
    return;
  }
  if (entry.attempt !== run.attempt) say(`attempt ${entry.attempt} within attempt ${run.attempt}`);
  if (entry.kind === "output.reset") checkReset(run, entry, say);
  if (OUTPUT.has(entry.kind)) checkOutput(run, entry, say);
  if (entry.kind === "job.retrying") {
    if (!run.open) say("job.retrying outside a run");
    run.open = false;
    run.lastRetryReason = entry.data?.reason ?? "";
    if (!RESET_REASONS.has(run.lastRetryReason)) say(`job.retrying for the reason ${entry.data?.reason}`);
  }
}

/** What is wrong with a log that was read whole, from seq 1. `ended`: it must have its terminal entry. */
export function checkLog(log: readonly LogEntry[], ended = true): Flaw[] {
  const flaws: Flaw[] = [];
  const run: Run = {
    attempt: 0,
    open: false,
    hasOutput: false,
    owesReset: null,
    hasFormat: false,
    lastRetryReason: "",
  };
  const job = log[0]?.job;
  log.forEach((entry, index) => {
    const say: Say = (text, kind = "malformed") =>
      void flaws.push({ kind, text: `seq ${entry.seq} (${entry.kind}): ${text}` });
    const before = log[index - 1];
    if (entry.seq !== index + 1)
      say(`stands where seq ${index + 1} belongs`, entry.seq > index + 1 ? "gap" : "duplicated");
    if (entry.job !== job) say(`belongs to job ${entry.job}`);
    if (entry.first !== undefined) say("is folded");
    if ((index === 0) !== (entry.kind === "job.queued")) say("job.queued is the first event and only that");
    if (before !== undefined && TERMINAL.has(before.kind))
      say("follows the terminal event", "after_terminal");
    if (before !== undefined && entry.at < before.at - BACKWARD_MS)
      say(`at goes back from ${before.at} to ${entry.at}`);
    if (!Number.isSafeInteger(entry.at)) say(`at is ${entry.at}`);
    checkRuns(run, entry, say);
  });
  const last = log.at(-1);
  if (last === undefined) flaws.push({ kind: "lost", text: "the log is empty" });
  else if (ended && !TERMINAL.has(last.kind))
    flaws.push({ kind: "lost", text: `the log ends with ${last.kind}` });
  return flaws;
}
