/** Holds docs/protocol.md to the code: every name stands in it, and every example is what the code would take or send. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { chatInputSchema } from "../../src/handlers/chat/chat.ts";
import { speechInputSchema } from "../../src/handlers/speech/speech.ts";
import { tokensInputSchema } from "../../src/handlers/tokens.ts";
import { voiceInputSchema } from "../../src/handlers/voice.ts";
import { decodeBinaryFrame } from "../../src/protocol/binary.ts";
import {
  CLOSE_CODES,
  ERROR_CODES,
  JOB_ERROR_CODES,
  mayReconnect,
  type CloseName,
  type ErrorCode,
} from "../../src/protocol/codes.ts";
import { EVENT_KINDS, isTerminalKind } from "../../src/protocol/events.ts";
import { clientFrameSchema } from "../../src/protocol/frames.ts";
import { isTerminalStatus, JOB_STATUSES, submitSchema, type JobStatus } from "../../src/protocol/jobs.ts";
import {
  codesOf,
  DOCUMENT_FILE,
  framesOf,
  messagesOf,
  NOT_YET,
  readDocument,
  rowsOf,
  slugOf,
  type Block,
} from "./document.ts";

const ROOT = resolve(import.meta.dir, "../..");
const document = await readDocument();
const messages = messagesOf(document);

function sectionOf(heading: string): string {
  const found = document.sections.find((section) => section.heading === heading);
  if (found === undefined) throw new Error(`there is no section ${heading}`);
  return found.text;
}

function blocksOf(tag: string): readonly Block[] {
  const found = document.blocks.filter((block) => block.tag === tag);
  expect(found.length).toBeGreaterThan(0);
  return found;
}

/** What fails is named by its line, so that nobody has to search. */
function parse(text: string, { line }: Block): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new Error(`the JSON of line ${line} does not parse`, { cause });
  }
}

describe("the lists are whole and hold nothing else", () => {
  test("problem codes, with status and retryable", () => {
    const rows = rowsOf(sectionOf("Problems")).filter(([status = ""]) => /^\d{3}$/.test(status));
    const listed = rows.map(([status, code, , retryable]) => [code, Number(status), retryable]);
    const known = Object.entries(ERROR_CODES).map(([code, facts]) => [
      `\`${code}\``,
      facts.status,
      facts.retryable ? "yes" : "no",
    ]);
    expect(listed).toEqual(known);
  });

  test("close codes with their names, beside the 1009 of the runtime", () => {
    const rows = rowsOf(sectionOf("Close codes")).filter(([code = ""]) => /^\d{4}$/.test(code));
    const known = Object.entries(CLOSE_CODES).map(([name, code]) => [String(code), `\`${name}\``]);
    expect(rows.map(([code, name]) => [code, name])).toEqual([
      ...known,
      ["1009", "(of the WebSocket protocol)"],
    ]);
  });

  test("event kinds, each with an example", () => {
    const rows = rowsOf(sectionOf("Event kinds")).flatMap(([cell = ""]) => codesOf(cell));
    expect(rows.toSorted()).toEqual([...EVENT_KINDS].toSorted());
    const shown = new Set(blocksOf("event").map((block) => parse(block.content, block)["kind"]));
    expect([...EVENT_KINDS].filter((kind) => !shown.has(kind))).toEqual([]);
  });

  test("codes of a job's error", () => {
    const rows = rowsOf(sectionOf("Errors of a job")).flatMap(([cell = ""]) => codesOf(cell));
    expect(rows).toEqual([...JOB_ERROR_CODES]);
  });

  test("fields of a submit", () => {
    const rows = rowsOf(sectionOf("`POST /v1/jobs`")).flatMap(([cell = ""]) => codesOf(cell));
    expect(rows.toSorted()).toEqual(Object.keys(submitSchema.shape).toSorted());
  });

  test("statuses of a job", () => {
    const row = rowsOf(sectionOf("The job object")).find(([cell]) => cell === "`status`")?.[1] ?? "";
    expect(codesOf(row).toSorted()).toEqual([...JOB_STATUSES].toSorted());
  });

  test("frames of the client, each with an example", () => {
    const types = clientFrameSchema.options.map((option) => option.shape.type.value as string);
    const rows = rowsOf(sectionOf("Frames from the client")).flatMap(([cell = ""]) => codesOf(cell));
    expect(rows.map((row) => row.split(" ")[0] ?? "").toSorted()).toEqual(types.toSorted());
    const shown = new Set(
      framesOf(document, "→").map(({ frame, block }) => parse(frame, block)["type"] as string),
    );
    expect(types.filter((type) => !shown.has(type))).toEqual([]);
  });

  test("frames of the server, each with an example", async () => {
    const source = await Bun.file(resolve(ROOT, "src/protocol/frames.ts")).text();
    const types = [...source.matchAll(/readonly type: "(\w+)"/g)].map(([, type = ""]) => type);
    expect(types).toContain("welcome");
    const rows = rowsOf(sectionOf("Frames from the server")).flatMap(([cell = ""]) => codesOf(cell));
    expect(rows.toSorted()).toEqual(types.toSorted());
    const shown = new Set(framesOf(document, "←").map(({ frame, block }) => parse(frame, block)["type"]));
    expect(types.filter((type) => !shown.has(type))).toEqual([]);
  });
});

describe("the routes", async () => {
  const source = await Bun.file(resolve(ROOT, "src/http/http.ts")).text();
  const table = /\bROUTES\b[^=]*= \[\n([\s\S]*?)\n\];/.exec(source)?.[1] ?? "";
  const routes = [...table.matchAll(/\["([A-Z]+)", "([^"]+)"/g)].map(([, method = "", path = ""]) => ({
    method,
    path: path.replaceAll(/:(\w+)/g, "{$1}"),
  }));

  test("can be read from the code", () => {
    expect(routes).toContainEqual({ method: "DELETE", path: "/v1/jobs/{id}" });
    expect(routes.length).toBeGreaterThan(15);
  });

  test.each(routes)("$method $path is described as something that works", ({ method, path }) => {
    const name = `${method} ${path}`;
    expect(document.text.includes(`\`${name}\``), name).toBe(true);
    const about = document.sections.filter(({ heading }) => heading === `\`${name}\``);
    expect(about.filter(({ text }) => text.includes(NOT_YET))).toEqual([]);
    const listed = document.sections.filter(({ text }) => text.includes(`\`${name}\``));
    expect(
      listed.every(({ text }) => text.includes(NOT_YET)),
      `${name} stands only where things are not in this version yet`,
    ).toBe(false);
  });

  const matches = (pattern: string, path: string): boolean =>
    new RegExp(`^${pattern.replaceAll(/\{\w+\}/g, "[^/?]+")}(\\?.*)?$`).test(path);

  test.each(routes.filter(({ path }) => path.startsWith("/v1/")))(
    "$method $path has a request",
    ({ method, path }) => {
      const requests = messages.flatMap(({ request }) => request ?? []);
      // The path of one session is a pattern that /current/token does not belong to.
      expect(requests.some((request) => request.method === method && matches(path, request.path))).toBe(true);
    },
  );

  test("are all that is requested in examples", () => {
    const requests = messages.flatMap(({ request, block }) => (request === null ? [] : [{ request, block }]));
    for (const { request, block } of requests) {
      const known = routes.some(
        ({ method, path }) =>
          (request.method === method || request.method === "OPTIONS") && matches(path, request.path),
      );
      expect(known, `line ${block.line}: ${request.method} ${request.path}`).toBe(true);
    }
  });
});

/** A problem body, wherever it stands. */
function expectProblemBody(body: Record<string, unknown>, status: number | null, where: string): void {
  const code = body["code"] as ErrorCode;
  const facts = ERROR_CODES[code];
  expect({ where, code, known: facts !== undefined }).toEqual({ where, code, known: true });
  expect(body).toMatchObject({ ...facts, type: `urn:holdline:problem:${code}` });
  expect(Object.keys(body).slice(0, 8)).toEqual(
    "type title status detail instance code traceId retryable".split(" "),
  );
  expect(status ?? facts.status).toBe(facts.status);
}

function expectJob(job: Record<string, unknown>, where: string): void {
  const status = job["status"] as JobStatus;
  expect(JOB_STATUSES, where).toContain(status);
  expect(job["terminal"], where).toBe(isTerminalStatus(status));
  const self = `/v1/jobs/${String(job["id"])}`;
  expect(job["urls"], where).toEqual({
    self,
    events: `${self}/events`,
    output: `${self}/output`,
    cancel: `${self}/cancel`,
  });
}

function expectEvent(event: Record<string, unknown>, where: string): void {
  const kind = event["kind"] as string;
  expect(EVENT_KINDS as readonly string[], where).toContain(kind);
  expect(event["terminal"], where).toBe(isTerminalKind(kind) ? true : undefined);
}

function expectSubmit(text: string, block: Block): void {
  const result = submitSchema.safeParse(parse(text, block));
  expect(result.error?.issues, `line ${block.line}`).toBeUndefined();
  const inputs = {
    chat: chatInputSchema,
    speech: speechInputSchema,
    tokens: tokensInputSchema,
    voice: voiceInputSchema,
  };
  const type = result.data?.type as keyof typeof inputs;
  expect(inputs[type]?.safeParse(result.data?.input).error?.issues, `line ${block.line}`).toBeUndefined();
  expect(Object.keys(inputs), `line ${block.line}`).toContain(type);
}

describe("every example is sound", () => {
  test("as JSON", () => {
    const blocks = document.blocks.filter(({ language }) => language === "json");
    expect(blocks.length).toBeGreaterThan(60);
    for (const block of blocks) parse(block.content, block);
    const bodies = messages.filter(({ headers }) => /json$/.test(headers.get("content-type") ?? ""));
    expect(bodies.length).toBeGreaterThan(20);
    for (const { body, block } of bodies) parse(body, block);
  });

  test("frames of the client", () => {
    for (const { frame, block } of framesOf(document, "→")) {
      expect(
        clientFrameSchema.safeParse(parse(frame, block)).error?.issues,
        `line ${block.line}`,
      ).toBeUndefined();
    }
  });

  test("frames of the server", () => {
    for (const { frame, block } of framesOf(document, "←")) {
      const said = parse(frame, block);
      const where = `line ${block.line}`;
      const code = said["code"];
      if (said["type"] === "event") expectEvent(said, where);
      if (said["type"] === "error")
        expect(said["retryable"], where).toBe(ERROR_CODES[code as ErrorCode].retryable);
      if (said["type"] !== "goodbye") continue;
      expect(CLOSE_CODES[said["reason"] as CloseName] as number, where).toBe(code as number);
      expect(said["reconnect"], where).toBe(mayReconnect(code as number));
    }
  });

  test("submits, their input included", () => {
    for (const block of blocksOf("submit")) expectSubmit(block.content, block);
    const requests = messages.filter(
      ({ request }) => request?.method === "POST" && request.path === "/v1/jobs",
    );
    expect(requests.length).toBeGreaterThan(2);
    for (const { body, block } of requests) expectSubmit(body, block);
  });

  test("problems, by the code's status, title and retryable", () => {
    for (const block of blocksOf("problem"))
      expectProblemBody(parse(block.content, block), null, `line ${block.line}`);
    const answers = messages.filter(
      ({ headers }) => headers.get("content-type") === "application/problem+json",
    );
    expect(answers.length).toBeGreaterThan(3);
    for (const { body, block, status } of answers)
      expectProblemBody(parse(body, block), status, `line ${block.line}`);
  });

  test("jobs and events", () => {
    for (const block of blocksOf("job")) expectJob(parse(block.content, block), `line ${block.line}`);
    const answers = messages.filter(({ status, body }) => status !== null && body.includes('"urls"'));
    expect(answers.length).toBeGreaterThan(5);
    for (const { body, block } of answers) {
      const said = parse(body, block);
      const jobs = (said["items"] ?? [said]) as Record<string, unknown>[];
      for (const job of jobs) expectJob(job, `line ${block.line}`);
    }
    for (const block of blocksOf("event")) expectEvent(parse(block.content, block), `line ${block.line}`);
  });

  test("streams of events", () => {
    for (const block of blocksOf("sse")) {
      const messagesInIt = block.content.split("\n\n").filter((part) => part.startsWith("id: "));
      expect(messagesInIt.length).toBeGreaterThan(1);
      for (const part of messagesInIt) {
        const [, id, data = ""] = /^id: (\d+)\ndata: (.*)\n?$/.exec(part) ?? [];
        const event = parse(data, block);
        expect(event["seq"]).toBe(Number(id));
        expectEvent(event, `line ${block.line}`);
      }
    }
    for (const block of blocksOf("ndjson"))
      for (const line of block.content.split("\n")) expectEvent(parse(line, block), `line ${block.line}`);
  });

  test("binary frames, which are what the sentence above them says", () => {
    const shown = [
      ...document.text.matchAll(
        /`(output\.\w+)` of attempt (\d+) as `seq` (\d+) of the job `([^`]+)`, and the payload `([^`]+)`.*\n\n```text hex\n([\s\S]*?)```/g,
      ),
    ];
    expect(shown).toHaveLength(blocksOf("hex").length);
    for (const [, kind = "", attempt, seq, job = "", payload = "", dump = ""] of shown) {
      const hex = dump
        .split("\n")
        .map((line) => line.replace(/^\w\w {2}/, ""))
        .join("");
      const frame = decodeBinaryFrame(Uint8Array.fromHex(hex.replaceAll(/\s/g, "")));
      expect(frame).toEqual({
        kind: kind as "output.audio" | "output.data",
        attempt: Number(attempt),
        seq: Number(seq),
        job,
        payload: Uint8Array.fromHex(payload.replaceAll(" ", "")),
      });
    }
  });

  test("links, which lead somewhere", () => {
    const slugs = new Set(document.sections.map(({ heading }) => slugOf(heading)));
    const links = [...document.text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = ""]) => target);
    expect(links.length).toBeGreaterThan(60);
    const dead = links.filter((target) => {
      const [file = "", anchor = ""] = target.split("#");
      if (file === "") return !slugs.has(anchor);
      return !existsSync(resolve(dirname(DOCUMENT_FILE), file));
    });
    expect(dead).toEqual([]);
  });
});
