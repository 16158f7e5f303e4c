/** Log lines: their form, their levels, and that a credential does not get into one even when somebody logs it. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { LOG_LINE_CHARS, LOG_VALUE_CHARS } from "../../src/lib/log-bounds.ts";
import { createLogger, type LogLevel, type RootLogger } from "../../src/lib/logger.ts";
import { within } from "../support/wait.ts";
import { temporaryFolder } from "./holdline.ts";

function recorder(level: LogLevel): {
  logger: RootLogger;
  lines: () => Record<string, unknown>[];
  text: () => string;
} {
  let written = "";
  const logger = createLogger({ level, pretty: false, write: (line) => void (written += line) });
  return {
    logger,
    text: () => written,
    lines: () =>
      written
        .split("\n")
        .filter((line) => line !== "")
        .map((line) => JSON.parse(line) as Record<string, unknown>),
  };
}

const JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhbm9uIn0.c2lnbmF0dXJl";

describe("a log line", () => {
  test("is one JSON object with level, time, message and fields", () => {
    const { logger, lines, text } = recorder("info");
    logger.info({ url: "http://x", text: "two\nlines" }, "something");
    expect(text()).toEndWith("}\n");
    expect(lines()).toEqual([
      {
        level: "info",
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        url: "http://x",
        text: "two\nlines",
        msg: "something",
      },
    ]);
  });

  const levels: [level: LogLevel, seen: string[]][] = [
    ["debug", ["debug", "info", "warn", "error", "always"]],
    ["info", ["info", "warn", "error", "always"]],
    ["warn", ["warn", "error", "always"]],
    ["error", ["error", "always"]],
    ["silent", ["always"]],
  ];
  test.each(levels)("at level %s is written for %j", (level, seen) => {
    const { logger, lines } = recorder(level);
    for (const one of ["debug", "info", "warn", "error"] as const) logger[one]({}, one);
    logger.announce({}, "always");
    expect(lines().map(({ msg }) => msg)).toEqual(seen);
  });

  test("of a child bears the fields of all its parents", () => {
    const { logger, lines } = recorder("info");
    logger.child({ node: "n" }).child({ job: "j" }).warn({ at: 1 }, "late");
    expect(lines()).toMatchObject([{ level: "warn", node: "n", job: "j", at: 1, msg: "late" }]);
  });

  test("keeps of an error what tells the cause, and none of its other properties", () => {
    const { logger, lines } = recorder("info");
    const inner = Object.assign(new TypeError("inner"), { code: "ECONNREFUSED", request: { key: "canary" } });
    logger.error({ error: new Error("outer", { cause: inner }) }, "failed");
    const [{ error } = {}] = lines();
    expect(error).toEqual({
      name: "Error",
      message: "outer",
      stack: expect.stringContaining("outer"),
      cause: {
        name: "TypeError",
        message: "inner",
        code: "ECONNREFUSED",
        stack: expect.stringContaining("inner"),
      },
    });
  });

  test("ends a chain of causes that never ends", () => {
    const { logger, lines } = recorder("info");
    const loop = new Error("again");
    loop.cause = loop;
    logger.error({ error: loop }, "failed");
    expect(JSON.stringify(lines()).split('"again"').length).toBeLessThan(10);
  });
});

describe("no log line holds", () => {
  test("a field that is named like a credential", () => {
    const { logger, text, lines } = recorder("info");
    const fields = { token: "canary", leaseToken: "canary", cookie: "canary", job: 1 };
    logger.info({ ...fields, request: { authorization: "canary", headers: { any: "canary" } } }, "x");
    logger.child({ secret: "canary", user: { password: "canary" } }).warn({ token: "canary" }, "y");
    expect(text()).not.toContain("canary");
    expect(lines()).toMatchObject([
      { token: "***", job: 1, request: { headers: "***" } },
      { secret: "***", user: { password: "***" }, token: "***" },
    ]);
    expect(fields.token).toBe("canary");
  });

  test("a JWT, wherever it stands", () => {
    const { logger, text } = recorder("info");
    logger.child({ where: [`bearer.${JWT}`] }).info({ url: `/v1/connect?x=${JWT}` }, `got ${JWT}`);
    logger.error({ error: new Error(JWT, { cause: new Error(JWT) }) }, "failed");
    logger.announce({ url: JWT }, "listening");
    expect(text()).not.toContain("eyJ");
    expect(text()).toContain("got ***");
    expect(text()).toContain("bearer.***");
  });
});

const MEGABYTE = 2 ** 20;

/** Strings that look as if a token began in them, again and again. */
const HOSTILE = [
  "-eyJ",
  "eyJ",
  "eyJaaaaaaaa.",
  "-eyJaaaaaaaaaaaa",
  "eyJ.eyJ.",
  "eyJaaaaaaaa.a ",
  "a",
  '"',
  "\u0000",
];

/** Ways for a text to get into a line. */
const PLACES: [name: string, log: (logger: RootLogger, text: string) => void][] = [
  ["the message", (logger, text) => logger.info({}, text)],
  ["an announcement", (logger, text) => logger.announce({}, text)],
  ["a field", (logger, text) => logger.info({ text }, "x")],
  [
    "an error and its cause",
    (logger, text) => logger.error({ error: new Error(text, { cause: { text } }) }, "x"),
  ],
  ["a field of a field of a list", (logger, text) => logger.info({ list: [{ deep: { text } }] }, "x")],
  ["what gives itself as JSON", (logger, text) => logger.info({ it: { toJSON: () => text } }, "x")],
  ["the name of a field", (logger, text) => logger.info({ [text]: 1 }, "x")],
  [
    "a thousand fields",
    (logger, text) => logger.info({ list: Array.from({ length: 1000 }, () => text) }, "x"),
  ],
  ["a child", (logger, text) => logger.child({ text }).info({}, "x")],
];

describe("S53 a megabyte in a line", () => {
  test.each(PLACES)("S53 as %s is cut before anything looks at it, in less than 10 ms", (_name, log) => {
    for (const hostile of HOSTILE) {
      const long = hostile.repeat(MEGABYTE / hostile.length);
      const tookMs: number[] = [];
      let line = "";
      for (let n = 0; n < 5; n += 1) {
        const { logger, text, lines } = recorder("info");
        const begunMs = performance.now();
        log(logger, long);
        tookMs.push(performance.now() - begunMs);
        line = text();
        expect(lines()).toHaveLength(1);
      }
      // The quickest of five: what else the machine does is no cost of the line.
      expect(Math.min(...tookMs)).toBeLessThan(10);
      // JSON may make six characters of one.
      expect(line.length).toBeLessThan(6 * (LOG_LINE_CHARS + LOG_VALUE_CHARS) + 1000);
      expect(line).toContain(`… (${long.length} characters)`);
    }
  });

  test("S53 its beginning is kept, and what is as long as allowed is kept whole", () => {
    const { logger, lines } = recorder("info");
    const most = "a ".repeat(LOG_VALUE_CHARS / 2);
    logger.info({ most, more: `${most}b` }, most);
    expect(lines()[0]).toMatchObject({
      most,
      more: `${most}… (${LOG_VALUE_CHARS + 1} characters)`,
      msg: most,
    });
  });

  test("S53 a token that the cut goes through shows nothing, wherever the cut is", () => {
    for (let kept = 0; kept <= JWT.length; kept += 1) {
      const { logger, lines } = recorder("info");
      const before = "a ".repeat(LOG_VALUE_CHARS).slice(0, LOG_VALUE_CHARS - kept - 1);
      logger.info({ url: `${before}?${JWT}` }, `${before}?${JWT}`);
      const [{ url, msg } = {}] = lines();
      expect(url).toStartWith(before);
      expect(url).toBe(msg);
      expect(url).not.toContain("eyJ");
    }
  });

  test("S53 an object that holds itself is cut off too", () => {
    const { logger, lines } = recorder("info");
    const loop: Record<string, unknown> = { at: 1 };
    loop["self"] = loop;
    logger.info({ loop }, "x");
    expect(lines()[0]).toMatchObject({ loop: { at: 1, self: { at: 1 } }, msg: "x" });
  });

  test("S53 bytes are told by their number", () => {
    const { logger, lines } = recorder("info");
    logger.info({ audio: new Uint8Array(MEGABYTE), chunk: Buffer.alloc(MEGABYTE) }, "x");
    expect(lines()[0]).toMatchObject({ audio: `… (${MEGABYTE} bytes)`, chunk: `… (${MEGABYTE} bytes)` });
  });
});

test("what is taken for a token is what the pattern says, in every line", () => {
  const piece = fc.constantFrom("eyJ", "eyJaaaaaaaa", "a", "aaaaaaaaaa", ".", "-", "_", " ", "..", "é");
  fc.assert(
    fc.property(fc.array(piece, { minLength: 1, maxLength: 14 }), (pieces) => {
      const line = pieces.join("");
      const { logger, lines } = recorder("info");
      logger.info({}, line);
      expect(lines()[0]?.["msg"]).toBe(line.replace(/\beyJ[\w-]{8,}\.[\w-]{2,}\.[\w-]*/g, "***"));
    }),
    { numRuns: 500 },
  );
});

/** A child process with these lines of code and a logger on its real stdout. */
function child<Stdout extends "pipe" | number>(
  code: string,
  stdout: Stdout,
): Bun.Subprocess<"ignore", Stdout, "inherit"> {
  const file = new URL("../../src/lib/logger.ts", import.meta.url).pathname;
  const program = `import { createLogger } from ${JSON.stringify(file)};\n${code}`;
  return Bun.spawn([process.execPath, "--no-env-file", "-e", program], {
    stdin: "ignore",
    stdout,
    stderr: "inherit",
  });
}

describe("on stdout", () => {
  test("everything is written once flush resolves, in order", async () => {
    const run = child(
      `
      const logger = createLogger({ level: "info", pretty: false });
      for (let at = 0; at < 5000; at += 1) logger.info({ at }, "line");
      await logger.flush();
      process.exit(7);`,
      "pipe",
    );
    const lines = (await new Response(run.stdout).text()).trimEnd().split("\n");
    expect(lines.map((line) => (JSON.parse(line) as { at: number }).at)).toEqual(
      Array.from({ length: 5000 }, (_, at) => at),
    );
    expect(await run.exited).toBe(7);
  });

  test("a flush with nothing to write resolves too", async () => {
    const run = child(
      `
      await createLogger({ level: "info", pretty: false }).flush();
      await createLogger({ level: "info", pretty: true }).flush();
      process.exit(7);`,
      "pipe",
    );
    expect(await run.exited).toBe(7);
  });

  test("lines for people are text", async () => {
    const run = child(
      `createLogger({ level: "silent", pretty: true }).announce({ url: "u" }, "listening");`,
      "pipe",
    );
    const out = await new Response(run.stdout).text();
    expect(out).toMatch(/^\[\d\d:\d\d:\d\d\.\d{3}\] INFO: listening\n {4}url: "u"\n$/);
  });

  test("a reader that does not read does not keep the process from ending", async () => {
    await using folder = await temporaryFolder();
    const pipe = join(folder.path, "pipe");
    Bun.spawnSync(["mkfifo", pipe]);
    // Open for both, so that the pipe has a reader, which never reads.
    const held = await open(pipe, "r+");
    const run = child(
      `const logger = createLogger({ level: "info", pretty: false });
      for (let at = 0; at < 20000; at += 1) logger.info({ at, filler: "x".repeat(100) }, "line");
      const flushed = await Promise.race([logger.flush().then(() => true), Bun.sleep(100)]);
      process.exit(flushed ? 1 : 7);`,
      held.fd,
    );
    try {
      expect(await within("the process to end", run.exited)).toBe(7);
    } finally {
      run.kill("SIGKILL");
      await held.close();
    }
  });

  test("a reader that went away is no error", async () => {
    const run = child(
      `
      const logger = createLogger({ level: "info", pretty: false });
      for (let at = 0; at < 100; at += 1) {
        logger.info({ at, filler: "x".repeat(1000) }, "line");
        await Promise.race([logger.flush(), Bun.sleep(100)]);
      }
      process.exit(7);`,
      "pipe",
    );
    await run.stdout.cancel();
    expect(await within("the process to end", run.exited)).toBe(7);
  });
});
