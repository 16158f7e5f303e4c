/** Bodies and frames that no honest client would write, against a real server (docs/security.md, S06, S07, S32). */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { type Api, apiOf, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { maskedFrame, openRawWebSocket } from "../support/raw-websocket.ts";
import { adminOf } from "../support/operator.ts";
import { sharedServer } from "../support/server.ts";
import { within } from "../support/wait.ts";
import type { JobBody } from "../support/wire.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

const JSON_TYPE = { "content-type": "application/json" };
const VALID = JSON.stringify(tokensBody());
const submit = (body: string | Uint8Array<ArrayBuffer>) =>
  api.call("POST", "/v1/jobs", { body, headers: JSON_TYPE });
const withMetadata = (members: string): string => VALID.replace(/}$/, `,"metadata":{${members}}}`);
const nested = (depth: number, open: string, close: string): string =>
  VALID.replace(/}$/, `,"metadata":${open.repeat(depth)}1${close.repeat(depth)}}`);
const utf16 = (text: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array([0xff, 0xfe, ...Buffer.from(text, "utf16le")]);

const BROKEN: [name: string, body: string | Uint8Array<ArrayBuffer>][] = [
  ["nothing", ""],
  ["half of it", VALID.slice(0, -1)],
  ["two of them", VALID + VALID],
  ["a comment", `${VALID} // really`],
  ["a trailing comma", VALID.replace(/}$/, ",}")],
  ["NaN", VALID.replace("3", "NaN")],
  ["Infinity", VALID.replace("3", "-Infinity")],
  ["hexadecimal", VALID.replace("3", "0x3")],
  ["a raw control character", withMetadata('"a":"\n"')],
  ["UTF-16", utf16(VALID)],
  ["overlong UTF-8", new Uint8Array([0x7b, 0x22, 0xc0, 0xaf, 0x22, 0x3a, 0x31, 0x7d])],
  ["a surrogate in UTF-8", new Uint8Array([0x7b, 0x22, 0xed, 0xa0, 0x80, 0x22, 0x3a, 0x31, 0x7d])],
  ["arrays 100,000 deep", nested(100_000, "[", "]")],
  ["objects 40,000 deep", nested(40_000, '{"a":', "}")],
  ["brackets that never close", "[".repeat(250_000)],
  ["1e400", VALID.replace("3", "1e400")],
  ["-1e400", withMetadata('"a":-1e400')],
  ["a number of 200,000 digits", VALID.replace("3", "9".repeat(200_000))],
  ["a lone surrogate in a value", withMetadata(String.raw`"a":"\udc00"`)],
  ["a lone surrogate in a name", withMetadata(String.raw`"\ud800":"a"`)],
  ["NUL in a value", withMetadata(String.raw`"a":"b\u0000c"`)],
  ["NUL in a name", withMetadata(String.raw`"a\u0000":"b"`)],
  ["a name twice", withMetadata('"a":"1","a":"2"')],
  ["a name twice, once in escapes", withMetadata(String.raw`"a":"1","\u0061":"2"`)],
  ["type twice", VALID.replace("{", '{"type":"chat",')],
  ["__proto__ as a name", withMetadata('"__proto__":"polluted"')],
  ["__proto__ as an object", withMetadata('"__proto__":{"polluted":"yes"}')],
  ["__proto__ at the top", VALID.replace(/}$/, ',"__proto__":{"polluted":"yes"}}')],
  ["constructor.prototype", VALID.replace(/}$/, ',"constructor":{"prototype":{"polluted":"yes"}}}')],
];

describe("S06 JSON that is none, or more than JSON should be", () => {
  test.each(BROKEN)("S06 %s → 400, and no job", async (_name, body) => {
    expectProblem(await submit(body), 400, "invalid_request");
  });

  test("S06 what is odd and allowed comes back as it was sent", async () => {
    const metadata = { constructor: "a", toString: "b", hasOwnProperty: "c", "": "d", "\u2028": "\u{1f5dd}" };
    const { body } = await api.post(tokensBody({}, { metadata }));
    expect({ ...body.metadata }).toEqual(metadata);
  });

  test("S06 the process is the same, and no object has what was sent", async () => {
    const { id } = await api.submit(tokensBody());
    const job = await api.finished(id);
    expect(JSON.stringify(job)).not.toContain("polluted");
    expect(job.metadata).toEqual({});
    expect(server().exit()).toBeNull();
    expect(
      server()
        .logs()
        .filter(({ level }) => level === "error"),
    ).toEqual([]);
    const list = await api.call<{ items: JobBody[] }>("GET", "/v1/jobs");
    // The odd one and this one: nothing that was refused is among them.
    expect(list.body.items).toHaveLength(2);
  });
});

const JOB = "01890a5d-ac96-774b-bcce-b302099a8057";
const MALFORMED: [name: string, frame: string | Uint8Array<ArrayBuffer>][] = [
  ["an unknown type", '{"type":"dance"}'],
  ["a frame of the server's", '{"type":"event","job":"x","seq":1}'],
  ["a type of another kind", '{"type":["attach"]}'],
  ["a type from the prototype", '{"type":"toString"}'],
  ["a job of another kind", '{"type":"attach","job":{"$ne":null}}'],
  ["after 2^53", `{"type":"attach","job":"${JOB}","after":9007199254740993}`],
  ["after 1e308", `{"type":"attach","job":"${JOB}","after":1e308}`],
  ["after -0.5", `{"type":"attach","job":"${JOB}","after":-0.5}`],
  ["an unknown field", `{"type":"attach","job":"${JOB}","userId":"admin"}`],
  [
    "5,000 unknown fields",
    `{"type":"pong",${Array.from({ length: 5000 }, (_, n) => `"k${n}":0`).join(",")}}`,
  ],
  ["an id of 60,000 characters", `{"type":"attach","job":5,"id":"${"i".repeat(60_000)}"}`],
  ["a job of 60,000 characters", `{"type":"attach","job":"${"j".repeat(60_000)}"}`],
  ["a name twice", `{"type":"detach","job":"${JOB}","job":"${JOB}"}`],
  ["60,000 brackets", "[".repeat(60_000)],
  ["1e400 where any JSON may stand", '{"type":"say","room":"a","data":1e400}'],
  ["null", "null"],
  ["a binary frame", new Uint8Array(24)],
  ["text in a binary frame", new TextEncoder().encode(`{"type":"detach","job":"${JOB}"}`)],
];

describe("S07 frames that are none", () => {
  test.each(MALFORMED)("S07 %s → a short error, and the socket goes on", async (_name, frame) => {
    await using client = await connect(server());
    client.sendRaw(frame);
    const error = await client.waitFor("an error", ({ type }) => type === "error");
    expect(error).toMatchObject({ code: "invalid_request", retryable: false });
    expect(JSON.stringify(error).length).toBeLessThan(1000);
    await client.settle();
    expect(client.closed).toBeNull();
  });

  test("S07 the tenth within a minute → 4504, and none of them is answered twice", async () => {
    const client = await connect(server());
    for (const [, frame] of MALFORMED.slice(0, 10)) client.sendRaw(frame);
    expect(await client.waitForClose()).toEqual({ code: 4504, reason: "protocol_error" });
    expect(client.frames("error")).toHaveLength(10);
    expect(client.frames().at(-1)).toMatchObject({ type: "goodbye", reconnect: false });
  });

  test.each([
    ["text that is no UTF-8", maskedFrame(1, new Uint8Array([0xff, 0xfe, 0xfd])), 1007],
    ["a reserved opcode", maskedFrame(3, new Uint8Array(2)), 1002],
    ["a frame without a mask", Buffer.from([0x81, 0x02, 0x7b, 0x7d]), 1002],
    ["a continuation of nothing", maskedFrame(0, new Uint8Array(2)), 1002],
    ["a ping that is too long", maskedFrame(9, new Uint8Array(126)), 1002],
    [
      "a reserved bit",
      Buffer.concat([Buffer.from([0xc1]), maskedFrame(1, new Uint8Array(2)).subarray(1)]),
      1002,
    ],
    ["a length of 2^63", Buffer.from([0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), 1009],
  ])("S07 below JSON: %s → the connection ends, and no other one does", async (_name, bytes, code) => {
    await using witness = await connect(server());
    const client = await openRawWebSocket(server().port);
    await client.waitFor("welcome", ({ type }) => type === "welcome");
    const ended = Promise.withResolvers<void>();
    client.tcp.once("close", () => ended.resolve());
    client.tcp.write(bytes);
    await within("the connection to end", ended.promise);
    expect(client.closeCode()).toBe(code);
    await witness.settle();
    expect(witness.closed).toBeNull();
  });
});

describe("S32 a body that is more than it may be", () => {
  const owned =
    "id status userId sessionId attempt head createdAt startedAt finishedAt result error traceId terminal retryOf deliveredAt urls queue progress admin user_id";
  test.each(owned.split(" "))("S32 %s is not the client's to set → 400 with its pointer", async (name) => {
    for (const value of [true, "admin", { $set: 1 }]) {
      const answer = await api.post({ ...tokensBody(), [name]: value });
      expectProblem(answer, 400, "invalid_request");
      expect(answer.body.errors).toEqual([
        { pointer: `/${name}`, detail: expect.stringMatching(/./) as string },
      ]);
    }
  });

  test("S32 the same in the input, the metadata and the messages of a chat", async () => {
    const message = { role: "user", content: "hi" };
    const bodies: [body: unknown, pointer: string][] = [
      [tokensBody({ userId: "admin" } as object), "/input/userId"],
      [tokensBody({}, { metadata: { status: { $ne: 1 } } }), "/metadata/status"],
      [{ type: "chat", input: { messages: [{ ...message, name: "admin" }] } }, "/input/messages/0/name"],
      [{ type: "chat", input: { messages: [{ ...message, role: "root" }] } }, "/input/messages/0/role"],
      [{ type: "chat", input: { messages: [message], url: "http://127.0.0.1/" } }, "/input/url"],
      [{ type: "chat", input: { messages: [message], key: "mine" } }, "/input/key"],
    ];
    for (const [body, pointer] of bodies) {
      const answer = await api.post(body);
      expectProblem(answer, 400, "invalid_request");
      expect(answer.body.errors?.map((error) => error.pointer)).toEqual([pointer]);
    }
  });

  test("S32 a field where a call has none → 400 with its pointer, and nothing happens", async () => {
    const { id } = await api.submit(tokensBody());
    const ended = JSON.stringify(await api.finished(id));
    const other = await newSession(server());
    const admin = await adminOf(server());
    const calls: [by: Api, path: string][] = [
      [apiOf(server(), ""), "/v1/sessions"],
      [api, "/v1/sessions/current/token"],
      [api, `/v1/jobs/${id}/cancel`],
      [api, `/v1/jobs/${id}/retry`],
      [admin, `/v1/admin/jobs/${id}/cancel`],
      [admin, `/v1/admin/jobs/${id}/retry`],
      [admin, "/v1/admin/drain"],
    ];
    for (const [by, path] of calls) {
      const problem = await by.call("POST", path, { json: { userId: other.userId } });
      expectProblem(problem, 400, "invalid_request");
      expect(problem.body.errors).toEqual([{ pointer: "/userId", detail: "is not a known field" }]);
      expectProblem(await by.call("POST", path, { body: "userId=x" }), 415, "unsupported_media_type");
      const long = "x".repeat(300_000);
      expectProblem(await by.call("POST", path, { json: { long } }), 413, "payload_too_large");
    }
    expect(JSON.stringify(await api.job(id))).toBe(ended);
    const retries = await api.call<{ items: JobBody[] }>("GET", "/v1/jobs?limit=200");
    expect(retries.body.items.filter(({ retryOf }) => retryOf === id)).toEqual([]);
  });

  test("S32 nothing and {} are both nothing", async () => {
    const { id } = await api.submit(tokensBody());
    await api.finished(id);
    for (const options of [{}, { body: "" }, { json: {} }]) {
      expect((await apiOf(server(), "").call("POST", "/v1/sessions", options)).status).toBe(201);
      expect((await api.call("POST", `/v1/jobs/${id}/cancel`, options)).status).toBe(200);
      const retried = await api.call<JobBody>("POST", `/v1/jobs/${id}/retry`, options);
      expect(retried.status).toBe(202);
      expect(retried.body).toMatchObject({ type: "tokens", retryOf: id });
    }
  });

  const many = (count: number, member: (n: number) => string): string =>
    Array.from({ length: count }, (_, n) => member(n)).join(",");
  const floods: [name: string, body: string][] = [
    ["20,000 unknown fields", VALID.replace(/}$/, `,${many(20_000, (n) => `"k${n}":0`)}}`)],
    ["20,000 unknown fields in the input", VALID.replace("}}", `,${many(20_000, (n) => `"k${n}":0`)}}}`)],
    ["20,000 bad pairs", withMetadata(many(20_000, (n) => `"k${n}":0`))],
    ["100,000 bad messages", `{"type":"chat","input":{"messages":[${many(100_000, () => "0")}]}}`],
  ];
  test.each(floods)("S32 %s → 400 that is shorter than the question", async (_name, body) => {
    const answer = await submit(body);
    expectProblem(answer, 400, "invalid_request");
    expect(answer.body.errors?.length).toBeWithin(1, 101);
    expect(answer.text.length).toBeLessThan(20_000);
  });
});
