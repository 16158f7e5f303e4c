/**
 * The judge of a load: reads what clients wrote down and what the server's logs say, and tells what was not kept. Pure:
 * where the logs come from (HTTP, the database, a made-up list) is the caller's business.
 */
import type { TokensInput } from "../../handlers/tokens.ts";
import { checkDeliveries } from "./delivery-rules.ts";
import type { Flaw } from "./flaw.ts";
import { type Delivery, digestOf, type LogEntry, type Operation } from "./history.ts";
import { checkLog } from "./log-rules.ts";
import { checkTokensEnd } from "./tokens-rules.ts";

/** One accepted job as its client saw it. */
export interface JobHistory {
  readonly job: string;
  readonly deliveries: readonly Delivery[];
  /** Of a `tokens` job whose end can be foretold; null for any other. */
  readonly input: TokensInput | null;
}

/** What remains of a job once it was judged: enough to notice that it changed later. */
export interface Settled {
  readonly job: string;
  readonly head: number;
  readonly digest: string;
}

export interface JobVerdict {
  readonly flaws: readonly Flaw[];
  readonly settled: Settled;
  /** Its terminal entry is in the log and reached the client. */
  readonly answered: boolean;
  /** Entries that were compared with what arrived. */
  readonly events: number;
  readonly budgetSpent: boolean;
}

/** Judges one ended job: its log, what arrived of it, and how it ended. `log`: whole, from seq 1; empty when unknown. */
export function judgeJob(
  { job, deliveries, input }: JobHistory,
  log: readonly LogEntry[],
  maxLostLeases: number,
): JobVerdict {
  const named = (flaw: Flaw): Flaw => ({ kind: flaw.kind, text: `job ${job}: ${flaw.text}` });
  const flaws = [...checkLog(log), ...checkDeliveries(log, deliveries)];
  const ended = !flaws.some(({ kind }) => kind === "lost");
  const arrived = deliveries.some(({ events }) => events.some(({ terminal }) => terminal));
  if (ended && !arrived) flaws.push({ kind: "lost", text: "its end never reached the client" });
  const end = ended && input !== null ? checkTokensEnd(log, input, maxLostLeases) : null;
  return {
    flaws: [...flaws, ...(end?.flaws ?? [])].map(named),
    settled: { job, head: log.length, digest: digestOf(log) },
    answered: ended && arrived,
    events: deliveries.reduce((sum, { events }) => sum + events.length, 0),
    budgetSpent: end?.budgetSpent ?? false,
  };
}

/** What is wrong with a job that was judged before and is read again. `log` null: it is not there. */
export function judgeAgain({ job, head, digest }: Settled, log: readonly LogEntry[] | null): Flaw[] {
  if (log === null) return [{ kind: "lost", text: `job ${job}: it was there and is gone` }];
  if (digestOf(log) === digest) return [];
  const text = `job ${job}: its log of ${head} entries is another one of ${log.length} now`;
  return [{ kind: log.length < head ? "lost" : "contradicted", text }];
}

/** What one client handed in, beside what the server has of its user. */
export interface Books {
  readonly client: string;
  readonly operations: readonly Operation[];
  /** Ids of all jobs that the server lists for this client's user. */
  readonly listed: readonly string[];
}

/** Judges submits: every 202 is a job that is there, one key is one job, and nothing is there that nobody handed in. */
export function judgeBooks({ client, operations, listed }: Books): Flaw[] {
  const flaws: Flaw[] = [];
  const byKey = new Map<string, string>();
  /** Keys that were handed in and never answered: those jobs may be there or not. */
  const open = new Set<string>();
  const submits = operations.filter(({ name }) => name === "submit");
  for (const { key, outcome } of submits) if (outcome !== "failed") open.add(key ?? "");
  for (const { key, job, outcome } of submits) {
    if (outcome !== "ok" || job === null || key === null) continue;
    open.delete(key);
    const before = byKey.get(key);
    if (before !== undefined && before !== job) {
      flaws.push({ kind: "duplicated", text: `${client}: key ${key} made the jobs ${before} and ${job}` });
    }
    byKey.set(key, job);
  }
  const accepted = new Set(acceptedJobs(operations));
  const there = new Set(listed);
  for (const job of accepted) {
    if (!there.has(job))
      flaws.push({ kind: "lost", text: `${client}: job ${job} was accepted and is not listed` });
  }
  const strangers = [...there].filter((job) => !accepted.has(job));
  if (strangers.length > open.size) {
    const text = `${client}: ${strangers.length} jobs that no answer accounts for (${strangers.join(", ")}), with ${open.size} unanswered submits`;
    flaws.push({ kind: "duplicated", text });
  }
  if (listed.length !== there.size)
    flaws.push({ kind: "duplicated", text: `${client}: a job is listed twice` });
  return flaws;
}

/** Jobs that were accepted, each once. */
export function acceptedJobs(operations: readonly Operation[]): string[] {
  const jobs = operations.flatMap(({ name, outcome, job }) =>
    name === "submit" && outcome === "ok" && job !== null ? [job] : [],
  );
  return [...new Set(jobs)];
}
