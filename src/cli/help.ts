/** `holdline help`: the overview of all commands, and the page of one. Both are made from what the commands declare. */
import { nearestOf } from "../config/names.ts";
import { type Command, type Flag, UsageError } from "./command.ts";
import { COMMANDS, findCommand } from "./commands.ts";
import { VERSION } from "./version.ts";

const INDENT = "  ";
const GAP = 2;
const WIDTH_CHARS = 100;

/** Breaks text at spaces into lines of at most `width` characters; a longer word stands alone. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Two columns, the second one wrapped and aligned. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const left = Math.max(...rows.map(([name]) => name.length)) + GAP;
  const room = WIDTH_CHARS - INDENT.length - left;
  return rows
    .flatMap(([name, text]) =>
      wrapped(text, room).map((line, at) => `${INDENT}${(at === 0 ? name : "").padEnd(left)}${line}`),
    )
    .join("\n");
}

/** What `holdline --help` prints. */
export function overview(): string {
  const commands = columns(Object.entries(COMMANDS).map(([name, { summary }]) => [name, summary] as const));
  return `Holdline ${VERSION}: HTTP accepts, WebSocket delivers.

Usage: holdline COMMAND [OPTIONS]

Commands:
${commands}

Options of every command:
${columns([
  ["--help", "Explain the command and its options"],
  ["--json", "Answer in JSON, for scripts"],
])}

Settings come from flags (--port 8080), then variables (HOLDLINE_PORT=8080), then holdline.toml
(port = 8080). "holdline serve --help" lists them, "holdline config print" shows which ones apply.

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
`;
}

function flagColumns(flags: readonly Flag[]): string {
  return columns(
    flags.map(({ name, value, description }) => [`--${name}${value === "" ? "" : ` ${value}`}`, description]),
  );
}

/** What `holdline COMMAND --help` prints: the command's own flags first, then the settings under their headings. */
export function commandHelp(command: Command): string {
  const own = [
    ...command.flags.filter(({ group }) => group === undefined),
    { name: "json", value: "", description: "Answer in JSON, for scripts" },
    { name: "help", value: "", description: "Print this" },
  ];
  const groups = Map.groupBy(
    command.flags.filter(({ group }) => group !== undefined),
    ({ group }) => group,
  );
  const sections = [...groups].map(([title, flags]) => `\n${title}:\n${flagColumns(flags)}\n`);
  const usage = `Usage: holdline ${command.usage} [OPTIONS]`;
  return `${usage}\n\n${command.about}\n\nOptions:\n${flagColumns(own)}\n${sections.join("")}`;
}

export const help: Command = {
  usage: "help [COMMAND]",
  about: "Explains a command and its options; without one, lists the commands.",
  words: Object.keys(COMMANDS),
  flags: [],
  async run({ words: [name, ...more], json }, host) {
    if (more.length > 0) throw new UsageError("help explains one command at a time.");
    if (name === undefined) {
      const commands = Object.entries(COMMANDS).map(([known, { summary }]) => ({ name: known, summary }));
      host.out(json ? `${JSON.stringify({ version: VERSION, commands })}\n` : overview());
      return 0;
    }
    const listed = findCommand(name);
    if (listed === null) {
      throw new UsageError(
        `There is no command ${name}. Did you mean ${nearestOf(name, Object.keys(COMMANDS))}?`,
      );
    }
    const command = await listed.load();
    const { usage, about, flags } = command;
    host.out(json ? `${JSON.stringify({ name, usage, about, flags })}\n` : commandHelp(command));
    return 0;
  },
};
