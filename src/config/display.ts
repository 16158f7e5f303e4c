/** What of a value may be seen: on a screen, in a log, in the message that refuses it. */
import type { z } from "zod";
import type { SettingFacts } from "./kinds.ts";

/** Longer values are cut in messages, where they only have to be recognised. */
const QUOTED_CHARS = 80;

export const HIDDEN = "***";

/** What else TOML has, and no setting is. */
const NOT_PLAIN = "a table or a date";

/** User info and query of anything that looks like a URL, since that is where passwords are put. */
function withoutPasswords(value: string): string {
  if (!/^[a-z][a-z0-9+.-]*:|\/\//i.test(value)) return value;
  return value
    .replace(/^([a-z][a-z0-9+.-]*:)?(\/\/)?.*@/is, `$1$2${HIDDEN}@`)
    .replace(/\?.*$/s, `?${HIDDEN}`);
}

/** What is left of a value once it may be seen. */
export type Displayed = null | boolean | number | string | readonly Displayed[];

/** The value as it may be shown: secrets become `***`, and so do passwords inside URLs. */
export function displayed(facts: Pick<SettingFacts, "secret">, value: unknown): Displayed {
  if (value === null) return null;
  if (facts.secret) return HIDDEN;
  if (Array.isArray(value)) return value.map((entry: unknown) => displayed(facts, entry));
  if (typeof value === "number" || typeof value === "boolean") return value;
  if (typeof value !== "string") return NOT_PLAIN;
  return value.includes("PRIVATE KEY") ? HIDDEN : withoutPasswords(value);
}

/** The value as a message quotes it, so that text and number can be told apart. */
function quoted(facts: Pick<SettingFacts, "secret">, value: unknown): string {
  const shown = displayed(facts, value);
  if (shown === NOT_PLAIN) return NOT_PLAIN;
  const text = JSON.stringify(shown);
  return text.length > QUOTED_CHARS ? `${text.slice(0, QUOTED_CHARS)}…` : text;
}

/** What its schema found wrong with a value, each as the end of a sentence; of a list every entry that is wrong. */
export function valueProblems(
  facts: Pick<SettingFacts, "secret">,
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
): string[] {
  const own = issues.filter(({ code }) => code === "custom");
  if (own.length === 0) return [facts.secret ? "is not allowed" : `is ${quoted(facts, value)}`];
  return own.map(({ path: [index], message }) => {
    const culprit: unknown = Array.isArray(value) && typeof index === "number" ? value[index] : value;
    return facts.secret ? message : `${quoted(facts, culprit)} ${message}`;
  });
}
