/** What a check of the doctor says: how bad it is, what was found, and what to do about it. */

export type Level = "ok" | "warn" | "fail";

export interface Finding {
  /** What was looked at, in a word or two. */
  readonly name: string;
  readonly level: Level;
  readonly text: string;
  /** What to do, in words; null when nothing has to be done. */
  readonly fix: string | null;
}

export function ok(name: string, text: string): Finding {
  return { name, level: "ok", text, fix: null };
}

export function warn(name: string, text: string, fix: string): Finding {
  return { name, level: "warn", text, fix };
}

export function fail(name: string, text: string, fix: string): Finding {
  return { name, level: "fail", text, fix };
}

/** The worst of all. */
export function worstOf(findings: readonly Finding[]): Level {
  const has = (level: Level): boolean => findings.some((finding) => finding.level === level);
  return has("fail") ? "fail" : has("warn") ? "warn" : "ok";
}
