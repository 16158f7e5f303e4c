/** POST /v1/jobs: everything that is refused before anything is stored (PROTOCOL section 3, Submit; errors table). */
import { beforeAll, describe, expect, test } from "bun:test";
import { gzipSync } from "node:zlib";
import { type Api, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { sharedServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

function expectPointers(answer: Awaited<ReturnType<Api["post"]>>, pointers: readonly string[]): void {
  expectProblem(answer, 400, "invalid_request");
  const errors = answer.body.errors ?? [];
  expect(errors.map(({ pointer }) => pointer).toSorted()).toEqual(pointers.toSorted());
  for (const { detail } of errors) expect(detail).not.toBe("");
}

const input = tokensBody().input;
const pairs = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, "v"]));

describe("a bad field is named by its JSON Pointer (section 3)", () => {
  const fields: [pointer: string, body: Record<string, unknown>][] = [
    ["/type", { input }],
    ["/type", { type: 5, input }],
    ["/type", { type: null, input }],
    ["/priority", tokensBody({}, { priority: 10 })],
    ["/priority", tokensBody({}, { priority: -1 })],
    ["/priority", tokensBody({}, { priority: 1.5 })],
    ["/priority", tokensBody({}, { priority: "9" })],
    ["/startWithinMs", tokensBody({}, { startWithinMs: -1 })],
    ["/startWithinMs", tokensBody({}, { startWithinMs: "soon" })],
    ["/delayMs", tokensBody({}, { delayMs: -1 })],
    ["/delayMs", tokensBody({}, { delayMs: 31_622_400_001 })],
    ["/delayMs", tokensBody({}, { delayMs: 5, runAt: "2026-01-01T00:00:00Z" })],
    ["/runAt", tokensBody({}, { runAt: 1_800_000_000_000 })],
    ["/runAt", tokensBody({}, { runAt: "2026-01-01 00:00" })],
    ["/runAt", tokensBody({}, { runAt: "tomorrow" })],
    ["/runAt", tokensBody({}, { runAt: "9999-12-31T23:59:59Z" })],
    ["/timeoutMs", tokensBody({}, { timeoutMs: 86_400_001 })],
    ["/timeoutMs", tokensBody({}, { timeoutMs: -1 })],
    ["/firstOutputMs", tokensBody({}, { firstOutputMs: "1" })],
    ["/idleMs", tokensBody({}, { idleMs: 0.5 })],
    ["/maxAttempts", tokensBody({}, { maxAttempts: 0 })],
    ["/maxAttempts", tokensBody({}, { maxAttempts: 26 })],
    ["/retryAfterOutput", tokensBody({}, { retryAfterOutput: "yes" })],
    ["/onDisconnect", tokensBody({}, { onDisconnect: "stop" })],
    ["/orphanMs", tokensBody({}, { orphanMs: -1 })],
    ["/lane", tokensBody({}, { lane: "l".repeat(65) })],
    ["/lane", tokensBody({}, { lane: 7 })],
    ["/metadata", tokensBody({}, { metadata: [] })],
    ["/metadata", tokensBody({}, { metadata: "text" })],
    ["/metadata", tokensBody({}, { metadata: pairs(17) })],
    ["/metadata/a", tokensBody({}, { metadata: { a: 1 } })],
    ["/metadata/a~1b~0c", tokensBody({}, { metadata: { "a/b~c": {} } })],
    ["/metadata/a", tokensBody({}, { metadata: { a: "v".repeat(513) } })],
    [`/metadata/${"k".repeat(65)}`, tokensBody({}, { metadata: { ["k".repeat(65)]: "v" } })],
    ["/input", { type: "tokens", input: null }],
    ["/input", { type: "tokens", input: [] }],
    ["/input/tokens", { type: "tokens", input: { size: 1, intervalMs: 0 } }],
    ["/input/tokens", tokensBody({ tokens: 0 })],
    ["/input/tokens", tokensBody({ tokens: 100_001 })],
    ["/input/size", tokensBody({ size: 4097 })],
    ["/input/intervalMs", tokensBody({ intervalMs: -1 })],
    ["/input/audioBytes", tokensBody({ audioBytes: 3 })],
    ["/input/audioBytes", tokensBody({ audioBytes: 65_538 })],
    ["/input/messages", { type: "chat", input: {} }],
    ["/input/messages/0/role", { type: "chat", input: { messages: [{ role: "robot", content: "x" }] } }],
    ["/input/text", { type: "speech", input: { text: 5 } }],
    ["/input/crashAt", tokensBody({ crashAt: 1 })],
  ];
  test.each(fields)("%s in %j", async (pointer, body) => {
    expectPointers(await api.post(body), [pointer]);
  });

  test("every one of several", async () => {
    expectPointers(await api.post(tokensBody({}, { priority: 99, lane: 1 })), ["/priority", "/lane"]);
    expectPointers(await api.post(tokensBody({ tokens: 0, size: 0 })), ["/input/tokens", "/input/size"]);
  });
});

describe("an unknown field is refused, one that the server owns as well (section 3)", () => {
  const owned =
    "id status userId sessionId attempt head createdAt result error traceId terminal retryOf user_id constructor __proto__";
  test.each(owned.split(" "))("%s beside the input", async (name) => {
    // Written as text: an object literal would take __proto__ for something else.
    const text = JSON.stringify(tokensBody()).replace(/}$/, `,${JSON.stringify(name)}:{"admin":true}}`);
    const answer = await api.call<never>("POST", "/v1/jobs", {
      body: text,
      headers: { "content-type": "application/json" },
    });
    expectPointers(answer, [`/${name}`]);
  });

  test.each(["extra", "__proto__", "constructor"])("%s within the input", async (name) => {
    const text = JSON.stringify(tokensBody()).replace(/}}$/, `,${JSON.stringify(name)}:1}}`);
    const answer = await api.call<never>("POST", "/v1/jobs", {
      body: text,
      headers: { "content-type": "application/json" },
    });
    expectPointers(answer, [`/input/${name}`]);
  });

  test("nothing of it reaches other objects: a later job is as plain as ever", async () => {
    const text =
      '{"type":"tokens","input":{"tokens":1,"size":1,"intervalMs":0},"metadata":{"__proto__":{"polluted":"yes"}}}';
    const answer = await api.call("POST", "/v1/jobs", {
      body: text,
      headers: { "content-type": "application/json" },
    });
    expectProblem(answer, 400, "invalid_request");
    const later = await api.submit(tokensBody());
    expect(later.metadata).toEqual({});
    expect(later).not.toHaveProperty("polluted");
  });
});

const deep = (depth: number) => `{"type":"tokens","input":${"[".repeat(depth)}${"]".repeat(depth)}}`;
const JSON_TYPE = { "content-type": "application/json" };
const valid = JSON.stringify(tokensBody());

describe("a body that is no good JSON is 400 invalid_request (section 3; FAULTS S06)", () => {
  const bodies: [name: string, body: string | Uint8Array<ArrayBuffer>][] = [
    ["nothing", ""],
    ["half of it", valid.slice(0, -2)],
    ["something after it", `${valid} x`],
    ["single quotes", "{'type':'tokens'}"],
    ["NaN", valid.replace('"tokens":3', '"tokens":NaN')],
    ["a number beyond all doubles", valid.replace('"tokens":3', '"tokens":1e400')],
    ["an array", "[]"],
    ["null", "null"],
    ["a string", '"tokens"'],
    ["a number", "5"],
    ["arrays nested 100,000 deep", deep(100_000)],
    [
      "objects nested 40,000 deep",
      `{"type":"tokens","input":${'{"a":'.repeat(40_000)}1${"}".repeat(40_000)}}`,
    ],
    ["a key twice", valid.replace('"type":', '"type":"chat","type":')],
    ["a key twice further down", valid.replace('"tokens":3', '"tokens":3,"tokens":4')],
    ["a lone surrogate", valid.replace("}}", '},"metadata":{"a":"\\ud800"}}')],
    ["NUL in a text", valid.replace("}}", '},"metadata":{"a":"\\u0000"}}')],
    [
      "bytes that are no UTF-8",
      new Uint8Array([...new TextEncoder().encode('{"type":"'), 0xff, 0xfe, 0x22, 0x7d]),
    ],
  ];
  test.each(bodies)("%s", async (_name, body) => {
    expectProblem(await api.call("POST", "/v1/jobs", { body, headers: JSON_TYPE }), 400, "invalid_request");
  });

  test("and the server is none the worse for it", async () => {
    expect((await api.post(tokensBody())).status).toBe(202);
  });
});

describe("the form of the body (section 3, errors table)", () => {
  const mediaTypes = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "json",
  ];
  test.each(mediaTypes)("as %s is 415 unsupported_media_type", async (type) => {
    const answer = await api.call("POST", "/v1/jobs", { body: valid, headers: { "content-type": type } });
    expectProblem(answer, 415, "unsupported_media_type");
  });

  test("without Content-Type is 415", async () => {
    const body = new TextEncoder().encode(valid);
    expectProblem(await api.call("POST", "/v1/jobs", { body }), 415, "unsupported_media_type");
  });

  test.each(["gzip", "identity", "br", "x-unheard-of"])(
    "with Content-Encoding %s is 415",
    async (encoding) => {
      const body = encoding === "gzip" ? gzipSync(valid) : valid;
      const answer = await api.call("POST", "/v1/jobs", {
        body,
        headers: { ...JSON_TYPE, "content-encoding": encoding },
      });
      expectProblem(answer, 415, "unsupported_media_type");
    },
  );

  test("over the limit is 413 payload_too_large and names the limit, with a length or in chunks", async () => {
    const large = JSON.stringify(tokensBody({}, { metadata: { a: "v".repeat(262_144) } }));
    const chunks = (): ReadableStream<Uint8Array> => new Blob([large]).stream();
    for (const body of [large, chunks()]) {
      const answer = await api.call("POST", "/v1/jobs", { body, headers: JSON_TYPE });
      expectProblem(answer, 413, "payload_too_large");
      expect(answer.text).toContain("262144");
    }
  });

  test("up to the limit is read", async () => {
    const body = valid.padEnd(262_144, " ");
    expect((await api.call("POST", "/v1/jobs", { body, headers: JSON_TYPE })).status).toBe(202);
  });
});

describe("the type (section 3)", () => {
  test.each(["nope", "Tokens", "tokens ", "constructor", "__proto__", "../tokens"])(
    "%s is 422 unknown_type",
    async (type) => {
      expectProblem(await api.post({ type, input }), 422, "unknown_type");
    },
  );
});

test("nothing that was refused left a job behind (section 3: validated before anything is stored)", async () => {
  const session = await newSession(server());
  for (const body of [
    {},
    { type: "nope", input },
    tokensBody({ tokens: 0 }),
    tokensBody({}, { status: "succeeded" }),
  ]) {
    expect((await session.post(body)).status).toBeGreaterThanOrEqual(400);
  }
  const list = await session.call<{ items: JobBody[] }>("GET", "/v1/jobs");
  expect(list.body.items).toEqual([]);
});
