/** The report of a selftest: for people, and as an object for scripts. */
import type { Spread } from "../../lib/percentile.ts";
import { spreadText } from "../child/spread-text.ts";
import type { FlawKind } from "./flaw.ts";
import type { MemoryTrend } from "./memory.ts";
import type { Progress, Report } from "./scene.ts";

/** Flaws that are shown in full; the rest is in the kept folder. */
const SHOWN = 20;

const PHASES = { load: "loading and killing", settling: "waiting for the rest", checking: "checking" };

/** One line that tells how far it is. */
export function progressLine(progress: Progress, seconds: number): string {
  const { elapsedMs, kills, accepted, answered, events, flaws, phase } = progress;
  const wrong = flaws === 0 ? "" : ` · ${flaws} WRONG`;
  const second = Math.min(Math.floor(elapsedMs / 1000), seconds);
  return `${PHASES[phase]} ${second}/${seconds} s · ${kills} kills · ${accepted} accepted · ${answered} answered · ${events} events${wrong}`;
}

const times = (spread: Spread): { p50: number | null; p99: number | null; most: number | null } => {
  const rounded = (value: number | null): number | null =>
    value === null ? null : Math.round(value * 100) / 100;
  return { p50: rounded(spread.p50), p99: rounded(spread.p99), most: rounded(spread.most) };
};

/** The figures, each flaw counted by its kind, and the first flaws in words. */
export function summaryOf(report: Report): object {
  const of = (kind: FlawKind): number => report.flaws.filter((flaw) => flaw.kind === kind).length;
  const { flaws, acceptMs, recoveryMs, resumedMs, reconnectMs, integrityFaults, ...figures } = report;
  return {
    ok: flaws.length === 0,
    ...figures,
    lost: of("lost"),
    duplicated: of("duplicated"),
    gaps: of("gap"),
    contradicted: of("contradicted"),
    afterTerminal: of("after_terminal"),
    wrongResults: of("wrong_result"),
    failedByRestart: of("failed_by_restart"),
    malformed: of("malformed"),
    damaged: of("damaged"),
    integrity: integrityFaults === null ? null : integrityFaults.length === 0 ? "ok" : integrityFaults,
    acceptMs: times(acceptMs),
    recoveryMs: times(recoveryMs),
    resumedMs: times(resumedMs),
    reconnectMs: times(reconnectMs),
    flaws: flaws.slice(0, SHOWN),
  };
}

function databaseText({ integrityFaults }: Report): string {
  if (integrityFaults === null) return "PostgreSQL, logs read again";
  return integrityFaults.length === 0 ? "integrity_check ok" : "DAMAGED";
}

function memoryText({ earlyBytes, lateBytes, mostBytes }: MemoryTrend): string {
  if (earlyBytes === null || lateBytes === null || mostBytes === null) return "not known";
  const mebibytes = (bytes: number): string => `${Math.round(bytes / 1024 / 1024)} MiB`;
  return `${mebibytes(earlyBytes)} early, ${mebibytes(lateBytes)} late, ${mebibytes(mostBytes)} at most   (resident)`;
}

/** What a person reads at the end; `kept`: where the files of a failed test are. */
export function reportText(report: Report, kept: string | null): string {
  const of = (...kinds: readonly FlawKind[]): string =>
    String(report.flaws.filter(({ kind }) => kinds.includes(kind)).length);
  const rows: readonly (readonly [string, string])[] = [
    ["kills", `${report.kills} in ${report.seconds} s, ${report.clients} clients`],
    ["jobs accepted", String(report.accepted)],
    ["jobs answered", String(report.answered)],
    ["lost", of("lost")],
    ["duplicated", of("duplicated")],
    ["gaps in logs", of("gap")],
    ["contradicted", of("contradicted", "after_terminal", "malformed")],
    ["wrong results", of("wrong_result", "failed_by_restart")],
    ["lost leases spent", `${report.budgetSpent} (failed as promised: killed too often)`],
    ["events compared", String(report.events)],
    ["database", databaseText(report)],
    ["memory", memoryText(report.memory)],
    [
      "accepting a job",
      `${spreadText(report.acceptMs)}   (${report.durability === "power" ? "with fsync" : "without fsync"})`,
    ],
    ["server back", `${spreadText(report.recoveryMs)}   (from the kill until it listens)`],
    ["client resumed", `${spreadText(report.resumedMs)}   (from the loss until it is welcome again)`],
    ["… after it is back", spreadText(report.reconnectMs)],
  ];
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  const table = rows.map(([name, text]) => `  ${name.padEnd(width)}${text}\n`).join("");
  const shown = report.flaws.slice(0, SHOWN).map(({ kind, text }) => `  ${kind}: ${text}\n`);
  const more = report.flaws.length > SHOWN ? `  … and ${report.flaws.length - SHOWN} more\n` : "";
  const verdict =
    report.flaws.length === 0
      ? "PASSED: nothing was lost, doubled or contradicted.\n"
      : `FAILED:\n${shown.join("")}${more}The database and its log are kept in ${kept}.\n`;
  return `\n${table}\n${verdict}`;
}
