/** The settings as people read them: rows for help and documentation, the README's table, a configuration printed. */
import { availabilityOf } from "./checks.ts";
import { displayed, type Displayed } from "./display.ts";
import type { SettingFacts } from "./kinds.ts";
import { fileKeyOf, flagOf, variableOf } from "./names.ts";
import { SETTING_GROUPS, type SettingKey, settingsSchema } from "./settings.ts";
import { factsOfKey } from "./sources.ts";

export interface SettingRow {
  readonly key: SettingKey;
  /** Heading it stands under. */
  readonly group: string;
  readonly variable: string;
  /** With its dashes. */
  readonly flag: string;
  /** Spelling in holdline.toml. */
  readonly fileKey: string;
  /** In words; "–" when there is none. */
  readonly defaultText: string;
  readonly description: string;
  readonly allowed: string;
  readonly kind: SettingFacts["kind"];
  readonly unit: SettingFacts["unit"];
  readonly secret: boolean;
  /** A sentence where this version has less than `allowed` says, else null. */
  readonly availability: string | null;
}

function defaultTextOf(key: SettingKey, facts: SettingFacts): string {
  if (facts.defaultText !== null) return facts.defaultText;
  const preset = settingsSchema.shape[key].parse(undefined);
  // A list is empty by default, and nothing else is an object.
  return preset === null || typeof preset === "object" ? "–" : String(preset);
}

/** One row a setting, in the order of the groups. */
export function describeConfig(): readonly SettingRow[] {
  return SETTING_GROUPS.flatMap(({ title, settings }) =>
    (Object.keys(settings) as SettingKey[]).map((key) => {
      const facts = factsOfKey(key);
      return {
        key,
        group: title,
        variable: variableOf(key),
        flag: `--${flagOf(key)}`,
        fileKey: fileKeyOf(key),
        defaultText: defaultTextOf(key, facts),
        description: facts.description,
        allowed: facts.allowed,
        kind: facts.kind,
        unit: facts.unit,
        secret: facts.secret,
        availability: availabilityOf(key),
      };
    }),
  );
}

export const TABLE_BEGIN = "<!-- settings -->";
export const TABLE_END = "<!-- /settings -->";

/** A literal value stands as code, words stand as words. */
const defaultCell = (text: string): string => (/^[^\s`–]+$/.test(text) ? `\`${text}\`` : text);

/** The table of all settings in Markdown, with the markers between which the README carries it. */
export function settingsTable(): string {
  const rows = describeConfig().map(
    ({ variable, defaultText, description, allowed, secret, availability }) => {
      const notes = [secret ? " Secret." : "", availability === null ? "" : ` ${availability}`];
      const meaning = `${description}${notes.join("")} *${allowed}*`;
      return `| \`${variable}\` | ${defaultCell(defaultText)} | ${meaning} |`;
    },
  );
  const heading = ["| variable | default | meaning, *what is allowed* |", "|---|---|---|"];
  return [TABLE_BEGIN, "", ...heading, ...rows, "", TABLE_END].join("\n");
}

/** One value of a configuration as it may be shown. */
export function displayedSetting(key: SettingKey, value: unknown): Displayed {
  return displayed(factsOfKey(key), value);
}
