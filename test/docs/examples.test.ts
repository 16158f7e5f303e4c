/** Every example in docs/protocol.md is what the code would take or send: checked with the schemas of the code itself. */
import { describe, expect, test } from "bun:test";
import type { z } from "zod";
import { chatInputSchema } from "../../src/handlers/chat/chat.ts";
import { speechInputSchema } from "../../src/handlers/speech/speech.ts";
import { tokensInputSchema } from "../../src/handlers/tokens.ts";
import { voiceInputSchema } from "../../src/handlers/voice.ts";
import { presenceListSchema, serverFrameSchemas } from "../../src/http/documents/server-frames.ts";
import { pushSchema, revocationSchema } from "../../src/protocol/admin.ts";
import { decodeBinaryFrame } from "../../src/protocol/binary.ts";
import {
  CLOSE_CODES,
  ERROR_CODES,
  mayReconnect,
  type CloseName,
  type ErrorCode,
} from "../../src/protocol/codes.ts";
import { isTerminalKind } from "../../src/protocol/events.ts";
import { clientFrameSchema } from "../../src/protocol/frames.ts";
import { isTerminalStatus, submitSchema, type JobStatus } from "../../src/protocol/jobs.ts";
import * as objects from "../../src/protocol/objects.ts";
import { roomMessageSchema } from "../../src/protocol/rooms.ts";
import * as workers from "../../src/protocol/workers.ts";
import { blocksOf, framesOf, messagesOf, parseJson, readDocument, type Block } from "./document.ts";

type Members = Record<string, unknown>;

const document = await readDocument();
const messages = messagesOf(document);

/** The value has every member that the schema wants, and none that it does not know. */
function expectExactly(schema: z.ZodType, value: unknown, where: string): void {
  const parsed = schema.safeParse(value);
  expect(parsed.error?.issues, where).toBeUndefined();
  expect(parsed.data, where).toEqual(value);
}

const whereOf = ({ line }: Block): string => `line ${line}`;

function expectEvent(schema: z.ZodType, event: Members, where: string): void {
  expectExactly(schema, event, where);
  const kind = event["kind"] as keyof typeof objects.eventDataSchemas;
  expectExactly(objects.eventDataSchemas[kind], event["data"], where);
  expect(event["terminal"], where).toBe(isTerminalKind(kind) ? true : undefined);
}

function expectJob(schema: z.ZodType, job: Members, where: string): void {
  expectExactly(schema, job, where);
  expect(job["terminal"], where).toBe(isTerminalStatus(job["status"] as JobStatus));
  const self = `/v1/jobs/${String(job["id"])}`;
  const urls = { self, events: `${self}/events`, output: `${self}/output`, cancel: `${self}/cancel` };
  expect(job["urls"], where).toEqual(urls);
}

function expectProblem(problem: Members, status: number | null, where: string): void {
  expect(objects.problemSchema.safeParse(problem).error?.issues, where).toBeUndefined();
  const code = problem["code"] as ErrorCode;
  expect(problem).toMatchObject({ ...ERROR_CODES[code], type: `urn:holdline:problem:${code}` });
  expect(status ?? problem["status"], where).toBe(ERROR_CODES[code].status);
}

const INPUTS: Readonly<Record<string, z.ZodType>> = {
  chat: chatInputSchema,
  speech: speechInputSchema,
  tokens: tokensInputSchema,
  voice: voiceInputSchema,
};

function expectSubmit(body: Members, where: string): void {
  expectExactly(submitSchema, body, where);
  const input = INPUTS[body["type"] as string];
  if (input === undefined) throw new Error(`${where} submits a type that is not built in`);
  expectExactly(input, body["input"], where);
}

const job = (body: Members, where: string): void => expectJob(objects.jobSchema, body, where);
const as =
  (schema: z.ZodType) =>
  (body: Members, where: string): void =>
    expectExactly(schema, body, where);

/** What the good answer of each call is; a path is a pattern. */
const ANSWERS: readonly (readonly [method: string, path: RegExp, (body: Members, where: string) => void])[] =
  [
    ["POST", /^\/v1\/jobs$/, job],
    ["GET", /^\/v1\/jobs(\?|$)/, as(objects.jobsPageSchema)],
    ["GET", /^\/v1\/jobs\/[^/]+$/, job],
    ["GET", /^\/v1\/jobs\/[^/]+\/events/, as(objects.eventsPageSchema)],
    ["GET", /^\/v1\/jobs\/[^/]+\/output$/, as(objects.outputSchema)],
    ["GET", /^\/v1\/jobs\/[^/]+\/webhook$/, as(objects.webhookSchema)],
    ["POST", /^\/v1\/jobs\/[^/]+\/(cancel|retry)$/, job],
    ["GET", /^\/v1\/types$/, as(objects.jobTypesSchema)],
    ["POST", /^\/v1\/sessions$/, as(objects.sessionCreatedSchema)],
    ["GET", /^\/v1\/sessions$/, as(objects.sessionsSchema)],
    ["GET", /^\/v1\/sessions\/current$/, as(objects.sessionSchema)],
    ["POST", /^\/v1\/sessions\/current\/token$/, as(objects.tokenSchema)],
    ["GET", /^\/v1\/rooms\/[^/]+\/presence$/, as(presenceListSchema)],
    ["POST", /^\/v1\/rooms\/[^/]+\/messages$/, as(objects.saidSchema)],
    ["POST", /^\/v1\/worker\/lease$/, as(workers.leasedSchema)],
    ["POST", /^\/v1\/worker\/heartbeat$/, as(workers.heartbeatSchema)],
    ["POST", /^\/v1\/worker\/jobs\/[^/]+\/output$/, as(workers.itemsTakenSchema)],
    ["POST", /^\/v1\/worker\/jobs\/[^/]+\/complete$/, as(workers.runEndedSchema)],
    ["GET", /^\/v1\/admin\/workers$/, as(workers.workersSchema)],
    ["GET", /^\/v1\/admin\/nodes$/, as(objects.nodesSchema)],
    ["GET", /^\/v1\/admin\/schedules$/, as(objects.schedulesSchema)],
    ["GET", /^\/v1\/admin\/sessions/, as(objects.sessionsPageSchema)],
    ["GET", /^\/v1\/admin\/jobs\/[^/]+$/, (body, where) => expectJob(objects.adminJobSchema, body, where)],
    ["POST", /^\/v1\/admin\/push$/, as(objects.pushedSchema)],
    ["POST", /^\/v1\/admin\/drain$/, as(objects.drainingSchema)],
    ["GET", /^\/healthz$/, as(objects.liveSchema)],
    ["GET", /^\/readyz$/, as(objects.readySchema)],
  ];

/** What a worker calls about the job of the examples. */
const WORKED = (what: string): string => `/v1/worker/jobs/01a2066e-0437-75fa-a030-b82837260fbc/${what}`;

describe("http", () => {
  test("every good answer is one of its call", () => {
    const met = new Set<RegExp>();
    for (const [index, { status, headers, body, block }] of messages.entries()) {
      if (status === null || status >= 300 || headers.get("content-type") !== "application/json") continue;
      // The answer to the request above it; what stands by itself shows what all answers bear.
      const before = messages[index - 1];
      if (before === undefined || before.request === null || before.block.section !== block.section) {
        expect(block.section).toBe("Every answer");
        continue;
      }
      const { method, path } = before.request;
      const known = ANSWERS.find(([ofMethod, pattern]) => ofMethod === method && pattern.test(path));
      if (known === undefined) throw new Error(`${whereOf(block)} answers ${method} ${path}`);
      met.add(known[1]);
      known[2](parseJson(body, block), whereOf(block));
    }
    expect(ANSWERS.filter(([, pattern]) => !met.has(pattern))).toEqual([]);
  });

  test("every submit would be accepted, its input included", () => {
    for (const block of blocksOf(document, "submit"))
      expectSubmit(parseJson(block.content, block), whereOf(block));
    const bodies = messages.filter(
      ({ request }) => request?.method === "POST" && request.path === "/v1/jobs",
    );
    expect(bodies.length).toBeGreaterThan(2);
    for (const { body, block } of bodies) expectSubmit(parseJson(body, block), whereOf(block));
  });

  test.each([
    ["/v1/worker/lease", workers.leaseBodySchema],
    ["/v1/worker/heartbeat", workers.heartbeatBodySchema],
    [WORKED("complete"), workers.completeBodySchema],
    [WORKED("fail"), workers.failBodySchema],
    [WORKED("release"), workers.releaseBodySchema],
    ["/v1/admin/push", pushSchema],
    ["/v1/admin/revocations", revocationSchema],
    ["/v1/rooms/lobby/messages", roomMessageSchema],
  ] as const)("the body for %s would be taken", (path, schema) => {
    const bodies = messages.filter(({ request }) => request?.path === path);
    expect(bodies).not.toEqual([]);
    for (const { body, block } of bodies) expectExactly(schema, parseJson(body, block), whereOf(block));
  });

  test("every line of a worker's output would be taken", () => {
    const bodies = messages.filter(({ request }) => request?.path === WORKED("output"));
    const lines = bodies.flatMap(({ body, block }) => body.split("\n").map((line) => ({ line, block })));
    const kinds = lines.map(({ line, block }) => {
      const item = parseJson(line, block);
      expectExactly(workers.itemSchema, item, whereOf(block));
      return item["kind"] as string;
    });
    const known = workers.itemSchema.options.map(({ shape }) => shape.kind.value);
    expect(new Set(kinds)).toEqual(new Set<string>(known));
  });

  test("every problem has its code's status, title and retryable", () => {
    for (const block of blocksOf(document, "problem"))
      expectProblem(parseJson(block.content, block), null, whereOf(block));
    const answers = messages.filter(({ status }) => status !== null && status >= 400);
    expect(answers.length).toBeGreaterThan(5);
    for (const { body, block, status, headers } of answers) {
      expect(headers.get("content-type"), whereOf(block)).toBe("application/problem+json");
      expectProblem(parseJson(body, block), status, whereOf(block));
      if (status === 429 || status === 503) expect(headers.get("retry-after")).toMatch(/^\d+$/);
    }
  });

  test("jobs, events, streams", () => {
    for (const block of blocksOf(document, "job")) job(parseJson(block.content, block), whereOf(block));
    for (const block of blocksOf(document, "event"))
      expectEvent(objects.eventSchema, parseJson(block.content, block), whereOf(block));
    for (const block of blocksOf(document, "ndjson")) {
      for (const line of block.content.split("\n"))
        expectEvent(objects.eventSchema, parseJson(line, block), whereOf(block));
    }
    for (const block of blocksOf(document, "sse")) {
      const parts = [...block.content.matchAll(/^id: (\d+)\ndata: (.*)$/gm)];
      expect(parts.length).toBeGreaterThan(1);
      for (const [, id, data = ""] of parts) {
        const event = parseJson(data, block);
        expect(event["seq"]).toBe(Number(id));
        expectEvent(objects.eventSchema, event, whereOf(block));
      }
    }
  });

  test("whatever is marked as JSON is JSON", () => {
    const blocks = document.blocks.filter(({ language }) => language === "json");
    expect(blocks.length).toBeGreaterThan(60);
    for (const block of blocks) parseJson(block.content, block);
  });
});

describe("the socket", () => {
  test("every frame of the client would be taken", () => {
    for (const { frame, block } of framesOf(document, "→"))
      expectExactly(clientFrameSchema, parseJson(frame, block), whereOf(block));
  });

  test("every frame of the server is one", () => {
    for (const { frame, block } of framesOf(document, "←")) {
      const said = parseJson(frame, block);
      const where = whereOf(block);
      const type = said["type"] as keyof typeof serverFrameSchemas;
      if (type === "event") expectEvent(serverFrameSchemas.event, said, where);
      else expectExactly(serverFrameSchemas[type], said, where);
      const code = said["code"];
      if (type === "error") expect(said["retryable"], where).toBe(ERROR_CODES[code as ErrorCode].retryable);
      if (type !== "goodbye") continue;
      expect(CLOSE_CODES[said["reason"] as CloseName] as number, where).toBe(code as number);
      expect(said["reconnect"], where).toBe(mayReconnect(code as number));
    }
  });

  test("every binary frame is what the sentence above it says", () => {
    const shown = [
      ...document.text.matchAll(
        /`(output\.\w+)` of attempt (\d+) as `seq` (\d+) of the job `([^`]+)`, and (?:the payload `([^`]+)`|no payload).*\n\n```text hex\n([\s\S]*?)```/g,
      ),
    ];
    expect(shown).toHaveLength(blocksOf(document, "hex").length);
    for (const [, kind, attempt, seq, ofJob, payload = "", dump = ""] of shown) {
      const hex = dump.replaceAll(/^\w\w {2}/gm, "").replaceAll(/\s/g, "");
      const frame: unknown = decodeBinaryFrame(Uint8Array.fromHex(hex));
      const said = { kind, attempt: Number(attempt), seq: Number(seq), job: ofJob };
      expect(frame).toEqual({ ...said, payload: Uint8Array.fromHex(payload.replaceAll(" ", "")) });
    }
  });
});
