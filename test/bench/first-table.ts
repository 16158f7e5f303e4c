/** The table of first tokens and first sounds: what each way takes over the upstream alone, and which part is the disk. */
import { measureFirst } from "./first.ts";

const NAME_CHARS = 24;
const CELL_CHARS = 20;

/** `more`: over what the upstream takes by itself. */
function cell(ms: number, directMs: number): string {
  return `${ms.toFixed(1)} (+${(ms - directMs).toFixed(1)})`.padStart(CELL_CHARS);
}

/** Measures for about a minute; resolves with the lines of the table. */
export async function firstTable(): Promise<string[]> {
  const { direct, ways, syncMs } = await measureFirst();
  const header = ["chat, first token", "voice, first token", "voice, first sound"];
  return [
    "An upstream of 20 ms a token, and (in brackets) what comes on top of asking it directly; p50, ms",
    " ".repeat(NAME_CHARS) + header.map((name) => name.padStart(CELL_CHARS)).join(""),
    "directly".padEnd(NAME_CHARS) +
      [direct.tokenMs, direct.tokenMs, direct.soundMs]
        .map((ms) => ms.toFixed(1).padStart(CELL_CHARS))
        .join(""),
    ...ways.map(
      ({ name, chat, voice }) =>
        name.padEnd(NAME_CHARS) +
        cell(chat.tokenMs, direct.tokenMs) +
        cell(voice.tokenMs, direct.tokenMs) +
        cell(voice.soundMs, direct.soundMs),
    ),
    `One fsync of this disk takes ${syncMs.toFixed(2)} ms; with power two of them lie before a first token.`,
  ];
}
