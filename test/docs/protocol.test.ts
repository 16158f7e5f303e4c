/** Holds docs/protocol.md to the code: every name of the wire stands in it, every route, and nothing that is not there. */
import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { COMMANDS } from "../../src/cli/commands.ts";
import { availabilityOf } from "../../src/config/checks.ts";
import { variableOf } from "../../src/config/names.ts";
import { SETTING_KEYS } from "../../src/config/settings.ts";
import { CLOSE_CODES, ERROR_CODES, JOB_ERROR_CODES } from "../../src/protocol/codes.ts";
import { EVENT_KINDS } from "../../src/protocol/events.ts";
import { clientFrameSchema } from "../../src/protocol/frames.ts";
import { JOB_STATUSES, submitSchema } from "../../src/protocol/jobs.ts";
import {
  blocksOf,
  codesOf,
  DOCUMENT_FILE,
  framesOf,
  messagesOf,
  NOT_YET,
  parseJson,
  readDocument,
  rowsOf,
  slugOf,
} from "./document.ts";

const ROOT = resolve(import.meta.dir, "../..");
const document = await readDocument();
const httpSource = await Bun.file(resolve(ROOT, "src/http/http.ts")).text();
const messages = messagesOf(document);

function sectionOf(heading: string): string {
  const found = document.sections.find((section) => section.heading === heading);
  if (found === undefined) throw new Error(`there is no section ${heading}`);
  return found.text;
}

describe("the lists are whole and hold nothing else", () => {
  test("commands", () => {
    const listed =
      /`holdline help` lists the commands \(([^)]+)\)/.exec(sectionOf("7. Running it"))?.[1] ?? "";
    const names = [...listed.matchAll(/`([\w-]+)`/g)].map(([, name = ""]) => name);
    expect(names.toSorted()).toEqual(
      Object.keys(COMMANDS)
        .filter((name) => name !== "help")
        .toSorted(),
    );
  });

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
    const shown = new Set(
      blocksOf(document, "event").map((block) => parseJson(block.content, block)["kind"]),
    );
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
      framesOf(document, "→").map(({ frame, block }) => parseJson(frame, block)["type"] as string),
    );
    expect(types.filter((type) => !shown.has(type))).toEqual([]);
  });

  test("frames of the server, each with an example", async () => {
    const source = await Bun.file(resolve(ROOT, "src/protocol/frames.ts")).text();
    const types = [...source.matchAll(/readonly type: "(\w+)"/g)].map(([, type = ""]) => type);
    expect(types).toContain("welcome");
    const rows = rowsOf(sectionOf("Frames from the server")).flatMap(([cell = ""]) => codesOf(cell));
    expect(rows.toSorted()).toEqual(types.toSorted());
    const shown = new Set(framesOf(document, "←").map(({ frame, block }) => parseJson(frame, block)["type"]));
    expect(types.filter((type) => !shown.has(type))).toEqual([]);
  });
});

describe("the routes", () => {
  const table = /\bROUTES\b[^=]*= \[\n([\s\S]*?)\n\];/.exec(httpSource)?.[1] ?? "";
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

  test("of users stand in the table of the API", () => {
    const listed = rowsOf(sectionOf("3. HTTP API")).map(([cell = ""]) => codesOf(cell)[0]);
    const own = routes.filter(({ path }) => /^\/v1\/(?!admin|worker)/.test(path));
    expect(listed).toEqual(expect.arrayContaining(own.map(({ method, path }) => `${method} ${path}`)));
  });

  test("allow browsers the headers that the document says", () => {
    const [, headers = ""] = /\bALLOWED_HEADERS =\s+"([^"]+)"/.exec(httpSource) ?? [];
    expect(sectionOf("Origins and CORS")).toContain(`\nAccess-Control-Allow-Headers: ${headers}\n`);
  });

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

test("what is not there yet are the settings that are read and have no effect", () => {
  const rows = rowsOf(sectionOf("11. Not in this version yet")).slice(1);
  const lacking = SETTING_KEYS.filter((key) => availabilityOf(key) !== null).map(variableOf);
  expect(rows.map(([what = ""]) => codesOf(what))).toEqual(lacking.map((name) => [name]));
});

test("every link leads somewhere", () => {
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
