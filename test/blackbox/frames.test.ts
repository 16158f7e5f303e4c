/** Frames that are none: how each is answered, and when the server has had enough (PROTOCOL section 5). */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();
const JOB = "01890a5d-ac96-774b-bcce-b302099a8057";

const MALFORMED: [name: string, frame: string | Uint8Array<ArrayBuffer>][] = [
  ["no JSON", "hello"],
  ["nothing", ""],
  ["half a frame", '{"type":"attach"'],
  ["an array", "[]"],
  ["null", "null"],
  ["no type", "{}"],
  ["an unknown type", '{"type":"dance"}'],
  ["a type that is a number", '{"type":5}'],
  ["a type from the prototype", '{"type":"constructor"}'],
  ["a frame of the server's", '{"type":"welcome"}'],
  ["attach without a job", '{"type":"attach"}'],
  ["a job that is a number", '{"type":"attach","job":5}'],
  ["after as text", `{"type":"attach","job":"${JOB}","after":"1"}`],
  ["after below zero", `{"type":"attach","job":"${JOB}","after":-1}`],
  ["after with a fraction", `{"type":"attach","job":"${JOB}","after":1.5}`],
  ["after beyond integers", `{"type":"attach","job":"${JOB}","after":9223372036854775808}`],
  ["ack without seq", `{"type":"ack","job":"${JOB}"}`],
  ["an unknown field", `{"type":"detach","job":"${JOB}","force":true}`],
  ["__proto__ as a field", `{"type":"detach","job":"${JOB}","__proto__":{"a":1}}`],
  ["an id that is no string", `{"type":"detach","job":"${JOB}","id":5}`],
  ["a presence of no such name", '{"type":"presence","status":"offline"}'],
  [
    "arrays nested 10,000 deep",
    `{"type":"say","room":"a","data":${"[".repeat(10_000)}${"]".repeat(10_000)}}`,
  ],
  ["a lone surrogate", '{"type":"attach","job":"\\ud800"}'],
  ["a binary frame", new Uint8Array(30)],
  ["an empty binary frame", new Uint8Array(0)],
];

describe("a malformed frame", () => {
  test.each(MALFORMED)("(%s) gets error invalid_request, and the socket goes on", async (_name, frame) => {
    await using client = await connect(server());
    client.sendRaw(frame);
    const error = await client.waitFor("an error", ({ type }) => type === "error");
    expectShape(error, {
      code: "invalid_request",
      detail: expect.stringMatching(/./),
      retryable: false,
    });
    await client.settle();
    expect(client.closed).toBeNull();
  });

  test("has its id given back as re where it could be read", async () => {
    await using client = await connect(server());
    client.send({ type: "attach", id: "mine", job: 5 });
    expect(await client.waitFor("an error", ({ type }) => type === "error")).toMatchObject({ re: "mine" });
  });

  test("does not leak a value of another frame into Object.prototype", async () => {
    await using client = await connect(server());
    client.sendRaw('{"type":"detach","__proto__":{"job":"x","id":"polluted"}}');
    await client.waitFor("an error", ({ type }) => type === "error");
    client.send({ type: "detach" });
    const errors = await client.waitFor("a second error", () => client.frames("error").length === 2);
    expect(errors).not.toHaveProperty("re");
  });
});

describe("the tenth malformed frame within a minute", () => {
  test("gets goodbye and 4504", async () => {
    const client = await connect(server());
    for (let n = 1; n <= 9; n += 1) client.sendRaw("nonsense");
    await client.settle();
    expect(client.closed).toBeNull();
    expect(client.frames("error").filter(({ code }) => code === "invalid_request")).toHaveLength(9);
    client.sendRaw("nonsense");
    expect(await client.waitForClose()).toEqual({ code: 4504, reason: "protocol_error" });
    expect(client.frames().at(-1)).toMatchObject({
      type: "goodbye",
      code: 4504,
      reason: "protocol_error",
      reconnect: false,
    });
  });

  test("may not be reached by requests that were refused", async () => {
    await using client = await connect(server());
    for (let n = 0; n < 30; n += 1) expect(await client.attach(JOB)).toMatchObject({ code: "not_found" });
    expect(client.closed).toBeNull();
  });
});

describe("a frame over frameBytes", () => {
  test("closes the socket 1009, one of the limit does not", async () => {
    await using small = await startServer({ env: { HOLDLINE_FRAME_BYTES: "2048" } });
    await using client = await connect(small);
    expect(client.welcome.limits?.frameBytes).toBe(2048);
    client.sendRaw(JSON.stringify({ type: "attach", job: JOB, id: "fits" }).padEnd(2048, " "));
    await client.waitFor("an answer", ({ re }) => re === "fits");
    client.sendRaw(JSON.stringify({ type: "attach", job: JOB }).padEnd(2049, " "));
    expect((await client.waitForClose()).code).toBe(1009);
  });

  test("closes it at the default limit too, however large it is", async () => {
    for (const bytes of [65_537, 2_000_000]) {
      const client = await connect(server());
      client.sendRaw(" ".repeat(bytes));
      expect((await client.waitForClose()).code).toBe(1009);
    }
  });
});
