/**
 * Judges the history of a job by the promises of PROTOCOL section 1: what its log may look like, and whether what a
 * client received over any number of connections is that log. Each function returns what is wrong, in words.
 */
import { expect } from "bun:test";
import type { EventBody, ReceivedEvent } from "./wire.ts";

const TERMINAL = new Set(["job.succeeded", "job.failed", "job.canceled", "job.expired"]);
const OUTPUT = new Set(["output.text", "output.audio.format", "output.audio", "output.data"]);
const RESET_REASONS = new Map([
  ["error", "retry"],
  ["worker_lost", "worker_lost"],
  ["restart", "restart"],
  ["released", "released"],
]);
/** How far `at` may go back between neighbours: wall clocks are corrected in small steps. */
const BACKWARD_MS = 100;

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

function checkStart(run: Run, event: EventBody, say: (problem: string) => void): void {
  if (run.open) say("a run starts while another one is open");
  if (event.attempt !== run.attempt + 1) say(`attempt ${event.attempt} starts after attempt ${run.attempt}`);
  run.attempt = event.attempt;
  run.open = true;
  run.hasFormat = false;
  run.owesReset = run.hasOutput ? (RESET_REASONS.get(run.lastRetryReason) ?? "?") : null;
}

function checkReset(run: Run, event: EventBody, say: (problem: string) => void): void {
  if (run.owesReset === null) say("output.reset without output to void");
  else if (event.data.reason !== run.owesReset)
    say(`output.reset says ${event.data.reason}, not ${run.owesReset}`);
  run.owesReset = null;
  run.hasOutput = false;
}

function checkOutput(run: Run, event: EventBody, say: (problem: string) => void): void {
  if (!run.open) say("output outside a run");
  run.hasOutput = true;
  if (event.kind === "output.audio.format") run.hasFormat = true;
  if (event.kind === "output.audio" && !run.hasFormat) say("audio before its format");
  if (event.kind === "output.audio" && typeof event.data.bytes !== "string")
    say("audio without bytes in base64");
  if (event.kind === "output.text" && !(event.data.delta ?? "\ud800").isWellFormed())
    say("text split in a code point");
}

function checkEvent(run: Run, event: EventBody, say: (problem: string) => void): void {
  if (run.owesReset !== null && event.kind !== "output.reset")
    say("output.reset is missing after job.started");
  if (run.owesReset !== null && event.kind !== "output.reset") run.owesReset = null;
  if (event.kind === "job.started") {
    checkStart(run, event, say);
    return;
  }
  if (event.attempt !== run.attempt) say(`attempt ${event.attempt} within attempt ${run.attempt}`);
  if (event.kind === "output.reset") checkReset(run, event, say);
  if (OUTPUT.has(event.kind)) checkOutput(run, event, say);
  if (event.kind === "job.retrying") {
    if (!run.open) say("job.retrying outside a run");
    run.open = false;
    run.lastRetryReason = event.data.reason ?? "";
    if (!RESET_REASONS.has(run.lastRetryReason)) say(`job.retrying for the reason ${event.data.reason}`);
  }
}

/** What is wrong with a log that was read whole (from seq 1, over HTTP). `ended`: it must have its terminal event. */
export function checkLog(log: readonly EventBody[], ended = true): string[] {
  const problems: string[] = [];
  const run: Run = {
    attempt: 0,
    open: false,
    hasOutput: false,
    owesReset: null,
    hasFormat: false,
    lastRetryReason: "",
  };
  const job = log[0]?.job;
  log.forEach((event, index) => {
    const say = (problem: string): void => void problems.push(`seq ${event.seq} (${event.kind}): ${problem}`);
    const before = log[index - 1];
    if (event.seq !== index + 1) say(`stands where seq ${index + 1} belongs`);
    if (event.job !== job) say(`belongs to job ${event.job}`);
    if (event.first !== undefined) say("is folded");
    if ((index === 0) !== (event.kind === "job.queued")) say("job.queued is the first event and only that");
    if (before !== undefined && TERMINAL.has(before.kind)) say("follows the terminal event");
    if (before !== undefined && event.at < before.at - BACKWARD_MS)
      say(`at goes back from ${before.at} to ${event.at}`);
    if (!Number.isSafeInteger(event.at)) say(`at is ${event.at}`);
    checkEvent(run, event, say);
  });
  const last = log.at(-1);
  if (last === undefined) problems.push("the log is empty");
  if (ended && last !== undefined && !TERMINAL.has(last.kind))
    problems.push(`the log ends with ${last.kind}`);
  return problems;
}

/** Whether a received frame is what the log says of the entries it covers. */
function compareContent(
  log: readonly EventBody[],
  event: ReceivedEvent,
  say: (problem: string) => void,
): void {
  const entries = log.slice(event.first - 1, event.seq);
  const first = entries[0];
  if (first === undefined || entries.length !== event.seq - event.first + 1) {
    say("is not in the log");
    return;
  }
  for (const entry of entries) {
    if (entry.kind !== event.kind) say(`is ${entry.kind} in the log`);
    if (entry.attempt !== event.attempt) say(`has attempt ${entry.attempt} in the log, not ${event.attempt}`);
  }
  if (event.terminal !== TERMINAL.has(event.kind)) say(`terminal is ${event.terminal}`);
  if (event.bytes !== undefined) {
    if (Buffer.from(event.bytes).toString("base64") !== first.data.bytes) say("has other bytes in the log");
  } else if (entries.length > 1) {
    if (event.kind !== "output.text") say("is folded though not text");
    const delta = entries.map((entry) => entry.data.delta).join("");
    if (delta !== event.data.delta) say("has other text in the log");
    if (entries.some((entry) => entry.data.index !== event.data.index)) say("folds texts of different index");
  } else {
    if (!Bun.deepEquals(first.data, event.data))
      say(`has other data in the log: ${JSON.stringify(first.data)}`);
    if (first.at !== event.at) say(`has at ${first.at} in the log, not ${event.at}`);
  }
}

/** What one connection received of one job, with the cursor it attached at (0 when attached by submitting). */
export interface Delivery {
  readonly after: number;
  readonly events: readonly ReceivedEvent[];
}

/** What is wrong with the deliveries of one job: holes, repeats or disorder on one connection, content not as in the log. */
export function checkDeliveries(log: readonly EventBody[], deliveries: readonly Delivery[]): string[] {
  const problems: string[] = [];
  deliveries.forEach((delivery, connection) => {
    let cursor = delivery.after;
    for (const event of delivery.events) {
      const say = (problem: string): void =>
        void problems.push(
          `connection ${connection}, seq ${event.first}…${event.seq} (${event.kind}): ${problem}`,
        );
      if (event.first !== cursor + 1) say(`follows seq ${cursor}`);
      cursor = event.seq;
      compareContent(log, event, say);
    }
  });
  return problems;
}

/** Fails with everything that is wrong with this ended log and what was delivered of it. */
export function expectWhole(log: readonly EventBody[], deliveries: readonly Delivery[] = []): void {
  expect([...checkLog(log), ...checkDeliveries(log, deliveries)]).toEqual([]);
}

/** All text of the last attempt in `log`. */
export function textOf(log: readonly EventBody[]): string {
  const from = log.findLastIndex((event) => event.kind === "output.reset");
  return log
    .slice(from + 1)
    .map((event) => (event.kind === "output.text" ? (event.data.delta ?? "") : ""))
    .join("");
}

/** Kinds in order, repeats run together: `["job.queued", "job.started", "output.text", "job.succeeded"]`. */
export function outline(log: readonly { readonly kind: string }[]): string[] {
  return log.map((event) => event.kind).filter((kind, index, kinds) => kind !== kinds[index - 1]);
}
