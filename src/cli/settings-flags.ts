/** The flags that every setting has, for the commands that load a configuration. */
import { CONFIG_FILE, describeConfig, type SettingRow } from "../config.ts";
import type { Flag } from "./command.ts";

/** What stands for a value. A few names are worth showing; the rest is told by the message that refuses a wrong value. */
function placeholder({ kind, unit, allowed, flag }: SettingRow): string {
  if (unit !== null) return unit === "ms" ? "MS" : "BYTES";
  if (kind !== "text") return kind === "integer" ? "NUMBER" : "LIST";
  const names = /^one of (.*)$/.exec(allowed)?.[1]?.replaceAll(", ", "|");
  return names ?? (flag.endsWith("-url") ? "URL" : "TEXT");
}

/** `--config` and one flag a setting, in the order of the documentation. */
export function settingsFlags(): readonly Flag[] {
  const file: Flag = {
    name: "config",
    value: "FILE",
    description: `Read this file in place of ${CONFIG_FILE} in the working folder`,
  };
  const settings = describeConfig().map((row) => {
    const preset = row.defaultText === "–" ? "" : ` [${row.defaultText.replaceAll("`", "")}]`;
    const only = row.availability === null ? "" : ` ${row.availability}`;
    return {
      name: row.flag.slice(2),
      value: placeholder(row),
      description: `${row.description}${only}${preset}`,
      group: row.group,
    };
  });
  return [file, ...settings];
}
