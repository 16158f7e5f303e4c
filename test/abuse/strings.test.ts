/** Strings that hope to be something else than strings: SQL, pattern bombs, characters at the edge (docs/security.md, S52, S53). */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { type Api, call, newSession, tokensBody } from "../support/http.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { sharedServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";
import { QUICK_MS, quickestMs } from "./timing.ts";

const server = sharedServer();
let api: Api;
let job: JobBody;
beforeAll(async () => {
  api = await newSession(server());
  job = await api.submit(tokensBody({ audioBytes: 64 }));
  await api.finished(job.id);
});

const STRINGS: [name: string, text: string][] = [
  ["a quote", "'"],
  ["SQL that is always true", "' OR '1'='1"],
  ["SQL that drops a table", "'; DROP TABLE jobs; --"],
  [
    "SQL that sleeps",
    "' || (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT max(x) FROM c) || '",
  ],
  ["wildcards", "%_*?[a-z]"],
  ["a parameter of a statement", "?1 :a @b $c"],
  ["a template", "${7*7} {{7*7}} <%= 7*7 %>"],
  ["markup", "<script>alert(1)</script><svg onload=alert(1)>"],
  ["a path", "../../../../etc/passwd"],
  ["a command", "$(touch /tmp/pwned) `id` | id; id"],
  ["line ends", "a\r\nSet-Cookie: b=c\r\n\r\nd"],
  ["control characters", "\u0001\u001b[2J\u007f\u009b"],
  ["astral characters", "\u{1f5dd}\u{10ffff}\u{1f468}\u200d\u{1f469}\u200d\u{1f467}"],
  ["right to left, zero width, combining", `\u202e\u200b\ufeffa${"\u0301".repeat(50)}`],
  ["noncharacters", "\uffff\ufdd0\u2028\u2029"],
  ["a formatting directive", "%s%n%x%00"],
  ["a number that is none", "-0x1e400"],
];

/** Everything a body may hold a text in. */
const FIELDS: [name: string, bodyOf: (text: string) => unknown][] = [
  ["type", (text) => ({ ...tokensBody(), type: text })],
  ["lane", (text) => tokensBody({}, { lane: text })],
  ["a metadata value", (text) => tokensBody({}, { metadata: { a: text } })],
  ["a metadata name", (text) => tokensBody({}, { metadata: { [text]: "a" } })],
  ["an unknown field", (text) => ({ ...tokensBody(), [text]: 1 })],
  ["a number's place", (text) => tokensBody({ tokens: text as never })],
  ["a choice's place", (text) => tokensBody({}, { onDisconnect: text })],
  ["a chat's content", (text) => ({ type: "chat", input: { messages: [{ role: "user", content: text }] } })],
  [
    "a chat's model",
    (text) => ({ type: "chat", input: { messages: [{ role: "user", content: "hi" }], model: text } }),
  ],
  [
    "previousJobId",
    (text) => ({ type: "chat", input: { messages: [{ role: "user", content: "hi" }], previousJobId: text } }),
  ],
  ["a speech's voice", (text) => ({ type: "speech", input: { text: "Hi.", voice: text } })],
  ["the whole body's place", (text) => text],
];

const sound = (status: number): boolean => status >= 200 && status < 500;

async function expectUnhurt(): Promise<void> {
  expect(await api.job(job.id)).toMatchObject({ status: "succeeded", metadata: {} });
  expect(
    server()
      .logs()
      .filter(({ level }) => level === "error"),
  ).toEqual([]);
}

describe("S52 in a body", () => {
  test.each(STRINGS)("S52 %s in every field → taken as it is or refused, never 500", async (_name, text) => {
    for (const [field, bodyOf] of FIELDS) {
      const answer = await api.post(bodyOf(text));
      expect({ field, sound: sound(answer.status), status: answer.status }).toMatchObject({ sound: true });
      if (answer.status !== 202) continue;
      const read = await api.job(answer.body.id);
      expect(read.metadata).toEqual((bodyOf(text) as { metadata?: Record<string, string> }).metadata ?? {});
      await api.cancel(answer.body.id);
    }
    await expectUnhurt();
  });

  test("S52 a string of 1 MB in every field → 413, of 50,000 characters → never 500", async () => {
    for (const [field, bodyOf] of FIELDS) {
      for (const char of ["a", "\u{1f5dd}", '"', "\\"]) {
        const large = await api.post(bodyOf(char.repeat(1_000_000)));
        expect({ field, status: large.status }).toEqual({ field, status: 413 });
        const smaller = await api.post(bodyOf(char.repeat(50_000)));
        expect({ field, sound: sound(smaller.status) }).toEqual({ field, sound: true });
        if (smaller.status === 202) await api.cancel(smaller.body.id);
      }
    }
    await expectUnhurt();
  });
});

describe("S52 outside of bodies", () => {
  const printable = STRINGS.filter(([, text]) => /^[\x20-\x7e]*$/.test(text));
  test.each(printable)("S52 %s in headers → never 500", async (_name, text) => {
    for (const name of [
      "idempotency-key",
      "prefer",
      "traceparent",
      "x-correlation-id",
      "accept",
      "last-event-id",
    ]) {
      const answer = await api.post(tokensBody(), { [name]: text });
      expect({ name, sound: sound(answer.status) }).toEqual({ name, sound: true });
      const read = await api.call("GET", `/v1/jobs/${job.id}/events`, { headers: { [name]: text } });
      expect({ name, sound: sound(read.status) }).toEqual({ name, sound: true });
    }
    await expectUnhurt();
  });

  test.each(STRINGS)("S52 %s in paths, parameters and frames → never 500", async (_name, text) => {
    const encoded = encodeURIComponent(text);
    const paths = [
      `/v1/jobs/${encoded}`,
      `/v1/jobs/${encoded}/events`,
      `/v1/sessions/${encoded}`,
      `/v1/${encoded}`,
      ...["limit", "cursor", "status", "type", "after", "waitMs", encoded].flatMap((name) => [
        `/v1/jobs?${name}=${encoded}`,
        `/v1/jobs/${job.id}/events?${name}=${encoded}`,
        `/v1/jobs/${job.id}?${name}=${encoded}`,
      ]),
    ];
    for (const path of paths) {
      const { status } = await api.call("GET", path);
      expect({ path, sound: sound(status) }).toEqual({ path, sound: true });
    }
    // A list by a type that nobody has is empty: the text was not read as anything else.
    const list = await api.call<{ items: JobBody[] }>("GET", `/v1/jobs?type=${encoded}`);
    expect(list.body.items).toEqual([]);
    await using client: Client = await connect(server());
    for (const frame of [
      { type: "attach", job: text },
      { type: "ack", job: text, seq: 1 },
      { type: "refresh", token: text },
      { type: "join", room: text },
    ]) {
      expect(await client.ask(frame)).toMatchObject({
        type: "error",
        code: expect.not.stringMatching("internal") as string,
      });
    }
    await expectUnhurt();
  });
});

const LONG = 12_000;
const fill = (text: string): string => text.repeat(Math.ceil(LONG / text.length)).slice(0, LONG);

/** What makes a pattern try everything: repetition, and an end that does not fit. */
const BOMBS: [name: string, text: string][] = [
  ["letters", `${fill("a")}!`],
  ["spaces", `a${fill(" ")}b`],
  ["tabs and spaces", `a${fill(" \t")}!`],
  ["commas", `${fill(",")}!`],
  ["semicolons", `${fill(";")}!`],
  ["parameters", `a${fill(";q=0.")}!`],
  ["quotes", `"${fill('\\"')}`],
  ["backslashes", `"${fill("\\\\")}`],
  ["equal signs", `wait${fill("=")}!`],
  ["waits", `${fill("wait ")}=!`],
  ["dots", `${fill("a.")}!`],
  ["dashes", `bytes=${fill("-1")}!`],
  ["hexadecimal digits", `00-${fill("0")}-!`],
  ["slashes", `${fill("a/")}!`],
  ["beginnings of tokens", `${fill("eyJ-")}!`],
  ["beginnings of tokens with dots", `${fill("eyJhbGciOi.J-")}!`],
];

const HEADERS: [name: string, path: () => string, prefix: string][] = [
  ["authorization", () => "/v1/jobs", ""],
  ["authorization", () => "/v1/jobs", "Bearer "],
  ["idempotency-key", () => "/v1/jobs", ""],
  ["prefer", () => "/v1/jobs", ""],
  ["traceparent", () => "/v1/jobs", ""],
  ["tracestate", () => "/v1/jobs", ""],
  ["x-correlation-id", () => "/v1/jobs", ""],
  ["content-type", () => "/v1/jobs", ""],
  ["accept", () => `/v1/jobs/${job.id}/events`, ""],
  ["range", () => `/v1/jobs/${job.id}/audio`, ""],
  ["if-none-match", () => `/v1/jobs/${job.id}`, ""],
  ["last-event-id", () => `/v1/jobs/${job.id}/events`, ""],
  ["cookie", () => "/v1/jobs", ""],
  ["origin", () => "/v1/jobs", ""],
  ["x-forwarded-for", () => "/v1/jobs", ""],
];

describe("S53 strings that make a pattern try everything", () => {
  test.each(BOMBS)("S53 %s in every header that is parsed → quickly", async (_name, bomb) => {
    for (const [name, path, prefix] of HEADERS) {
      const isPost = ["idempotency-key", "prefer", "content-type"].includes(name);
      const headers = {
        authorization: `Bearer ${api.token}`,
        accept: "application/json",
        ...(name === "last-event-id" ? { accept: "text/event-stream" } : {}),
        [name]: prefix + bomb,
      };
      const ask = () =>
        isPost
          ? call("POST", server().url + path(), { headers, json: tokensBody({ tokens: 1 }) })
          : call("GET", server().url + path(), { headers });
      const { status } = await ask();
      expect({ name, sound: sound(status) }).toEqual({ name, sound: true });
      const tookMs = await quickestMs(ask);
      expect({ name, quick: tookMs < QUICK_MS, tookMs }).toMatchObject({ quick: true });
    }
  });

  test.each(BOMBS)(
    "S53 %s in Sec-WebSocket-Protocol, parameters and the path → quickly",
    async (_name, bomb) => {
      const connecting = () =>
        rawRequest(server().port, { path: "/v1/connect", headers: upgradeHeaders(bomb) });
      expect((await connecting())?.status).toBe(400);
      expect(await quickestMs(connecting)).toBeLessThan(QUICK_MS);
      const text = encodeURIComponent(bomb).slice(0, LONG);
      for (const path of [
        `/v1/jobs?a=${text}`,
        `/v1/jobs?${text}`,
        `/v1/jobs?cursor=${text}`,
        `/v1/${text}`,
      ]) {
        const ask = () => api.call("GET", path);
        expect(sound((await ask()).status)).toBe(true);
        expect(await quickestMs(ask)).toBeLessThan(QUICK_MS);
      }
    },
  );
});

describe("S53 a prompt that makes a pattern try everything", () => {
  test.each(BOMBS.slice(0, 6))(
    "S53 %s → the built-in engine answers, and nobody waits for it",
    async (_name, bomb) => {
      const content = `I am ${bomb.repeat(4)}`;
      const { id } = await api.submit({ type: "chat", input: { messages: [{ role: "user", content }] } });
      const healthMs: number[] = [];
      do {
        const startedMs = performance.now();
        await call("GET", `${server().url}/healthz`);
        healthMs.push(performance.now() - startedMs);
      } while ((await api.job(id)).status === "queued" || healthMs.length < 20);
      // A pattern that tries everything stops the server for seconds, not for the time of a slow turn.
      expect(Math.max(...healthMs)).toBeLessThan(500);
      await api.cancel(id);
      await api.finished(id);
    },
  );
});

describe("S53 frames that are full of work", () => {
  const frames: [name: string, frame: string][] = [
    ["60,000 characters of nothing", JSON.stringify({ type: "attach", job: " ".repeat(60_000) })],
    ["20,000 small objects", `{"type":"say","room":"a","data":[${"{},".repeat(20_000)}{}]}`],
    ["30,000 numbers", `{"type":"say","room":"a","data":[${"0,".repeat(30_000)}0]}`],
    ["60,000 backslashes", `{"type":"dance","id":"${"\\\\".repeat(30_000)}"}`],
    ["60,000 colons", `{"type":"dance","id":"${":".repeat(60_000)}"}`],
  ];
  test.each(frames)("S53 %s → answered quickly", async (_name, frame) => {
    // Ten malformed ones end a connection, so each one has its own.
    const ask = async (): Promise<number> => {
      await using client = await connect(server());
      const startedMs = performance.now();
      client.sendRaw(frame);
      await client.waitFor("an error", ({ type }) => type === "error");
      return performance.now() - startedMs;
    };
    const tookMs: number[] = [];
    for (let n = 0; n < 15; n += 1) tookMs.push(await ask());
    expect(tookMs.toSorted((a, b) => a - b)[7]).toBeLessThan(2 * QUICK_MS);
  });
});
