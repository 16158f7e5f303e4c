/** docs/protocol.md taken apart: its headings, its fenced blocks, and the HTTP messages and socket lines inside them. */
import { resolve } from "node:path";

export const DOCUMENT_FILE = resolve(import.meta.dir, "../../docs/protocol.md");

/** What stands under everything that the contract has and the server has not. */
export const NOT_YET = "**Not in this version yet.**";

export interface Block {
  /** The word after the fence (`json`), and the one after that (`client`), which says what is in it. */
  readonly language: string;
  readonly tag: string;
  readonly content: string;
  /** Text of the nearest heading above. */
  readonly section: string;
  /** Line of the opening fence, to be named when something is wrong with it. */
  readonly line: number;
}

export interface Section {
  readonly heading: string;
  /** Everything up to the next heading of any level, fenced blocks included. */
  readonly text: string;
}

export interface Document {
  readonly text: string;
  readonly sections: readonly Section[];
  readonly blocks: readonly Block[];
}

/** One HTTP message of an `http` block. */
export interface Message {
  readonly block: Block;
  /** null for an answer. */
  readonly request: { readonly method: string; readonly path: string } | null;
  /** null for a request. */
  readonly status: number | null;
  readonly headers: ReadonlyMap<string, string>;
  /** "" without one. */
  readonly body: string;
}

export function parseDocument(text: string): Document {
  const sections: { heading: string; text: string }[] = [{ heading: "", text: "" }];
  const blocks: Block[] = [];
  let open: { info: string[]; lines: string[]; line: number } | null = null;
  for (const [index, line] of text.split("\n").entries()) {
    const heading = open === null ? /^#{1,6} (.+)$/.exec(line)?.[1] : undefined;
    if (heading !== undefined) sections.push({ heading, text: "" });
    const section = sections.at(-1);
    if (section !== undefined) section.text += `${line}\n`;
    if (open === null) {
      if (line.startsWith("```")) open = { info: line.slice(3).split(" "), lines: [], line: index + 1 };
    } else if (line === "```") {
      const [language = "", tag = ""] = open.info;
      const { lines, line: opened } = open;
      const content = lines.join("\n");
      blocks.push({ language, tag, content, section: section?.heading ?? "", line: opened });
      open = null;
    } else open.lines.push(line);
  }
  if (open !== null) throw new Error(`the block of line ${open.line} is not closed`);
  return { text, sections, blocks };
}

export async function readDocument(): Promise<Document> {
  return parseDocument(await Bun.file(DOCUMENT_FILE).text());
}

/** The name by which a link reaches a heading, as GitHub makes it. */
export function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}

/** First cells and the cells after them, of every table row of a text. */
export function rowsOf(text: string): string[][] {
  return text
    .split("\n")
    .filter((line) => line.startsWith("|") && !/^\|[-| ]+\|$/.test(line))
    .map((line) =>
      line
        .slice(1, -1)
        .split(/(?<!\\)\|/)
        .map((cell) => cell.trim()),
    );
}

/** The words in backticks of a text, in order. */
export function codesOf(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, code = ""]) => code);
}

export function messagesOf(document: Document): Message[] {
  return document.blocks
    .filter(({ language }) => language === "http")
    .map((block) => {
      const end = block.content.indexOf("\n\n");
      const [first = "", ...lines] = block.content.slice(0, end === -1 ? undefined : end).split("\n");
      const request = /^([A-Z]+) (\S+) HTTP\/1\.1$/.exec(first);
      const status = /^HTTP\/1\.1 (\d{3}) \S/.exec(first)?.[1];
      if (request === null && status === undefined) throw new Error(`line ${block.line} begins no message`);
      const headers = lines.map((line): [string, string] => {
        const [name = "", ...value] = line.split(": ");
        return [name.toLowerCase(), value.join(": ")];
      });
      return {
        block,
        request: request === null ? null : { method: request[1] ?? "", path: request[2] ?? "" },
        status: status === undefined ? null : Number(status),
        headers: new Map(headers),
        body: end === -1 ? "" : block.content.slice(end + 2),
      };
    });
}

/** JSON frames of the socket transcripts: what the client (`→`) or the server (`←`) sends. */
export function framesOf(document: Document, arrow: "→" | "←"): { frame: string; block: Block }[] {
  const tag = arrow === "→" ? "client" : "server";
  const single = document.blocks.filter((block) => block.language === "json" && block.tag === tag);
  const transcripts = document.blocks.filter((block) => block.tag === "socket");
  return [
    ...single.map((block) => ({ frame: block.content, block })),
    ...transcripts.flatMap((block) =>
      block.content
        .split("\n")
        .filter((line) => line.startsWith(`${arrow} {`))
        .map((line) => ({ frame: line.slice(2), block })),
    ),
  ];
}

/** The blocks of a kind; there have to be some. */
export function blocksOf(document: Document, tag: string): readonly Block[] {
  const found = document.blocks.filter((block) => block.tag === tag);
  if (found.length === 0) throw new Error(`no block is marked ${tag}`);
  return found;
}

/** JSON of a block. What does not parse is named by its line, so that nobody has to search. */
export function parseJson(text: string, { line }: Block): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new Error(`the JSON of line ${line} does not parse`, { cause });
  }
}
