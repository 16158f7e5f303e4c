/** The two documents hold together: every route, code and frame is described once, references lead somewhere, examples are valid. */
import { describe, expect, test } from "bun:test";
import { createAsyncApi } from "../../src/http/documents/asyncapi.ts";
import { createOpenApi, ELSEWHERE } from "../../src/http/documents/openapi.ts";
import { publishSchemas } from "../../src/http/documents/schemas.ts";
import { serverFrameSchemas } from "../../src/http/documents/server-frames.ts";
import type { Answer, Example, MediaType, Operation } from "../../src/http/documents/shape.ts";
import { ROUTES } from "../../src/http/http.ts";
import { encodeBinaryFrame } from "../../src/protocol/binary.ts";
import { CLOSE_CODES, ERROR_CODES } from "../../src/protocol/codes.ts";
import { clientFrameSchema } from "../../src/protocol/frames.ts";
import { faultsOf, resolveRef } from "./json-schema.ts";

const options = { version: "1.2.3", publicUrl: null, authCookie: "__Host-holdline" };
const openApi = createOpenApi(options, publishSchemas());
const asyncApi = createAsyncApi(options, publishSchemas());

const operations: readonly (readonly [name: string, path: string, operation: Operation])[] = Object.entries(
  openApi.paths,
).flatMap(([path, methods]) =>
  Object.entries(methods).map(
    ([method, operation]) => [`${method.toUpperCase()} ${path}`, path, operation] as const,
  ),
);

/** All values of a member called `name`, wherever it stands. */
function membersCalled(name: string, value: unknown): unknown[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => {
    const inside = membersCalled(name, member);
    return key === name ? [member].concat(inside) : inside;
  });
}

function exampleValues(document: unknown, { examples = {} }: MediaType): unknown[] {
  return Object.values(examples).map((one) =>
    "$ref" in one ? (resolveRef(document, one.$ref) as Example).value : one.value,
  );
}

describe("both documents", () => {
  test.each([
    ["OpenAPI", openApi],
    ["AsyncAPI", asyncApi],
  ])("%s has no reference that leads nowhere", (_name, document) => {
    const refs = membersCalled("$ref", document).map(String);
    expect(refs.length).toBeGreaterThan(50);
    for (const ref of refs) expect(() => resolveRef(document, ref)).not.toThrow();
  });

  test.each([
    ["OpenAPI", openApi],
    ["AsyncAPI", asyncApi],
  ])("%s holds no component that nothing refers to", (_name, document) => {
    const refs = new Set(membersCalled("$ref", document));
    // OpenAPI refers to its security schemes by name.
    const { securitySchemes: _, ...rest } = document.components;
    const components = document === openApi ? rest : document.components;
    const unused = Object.entries(components).flatMap(([group, members]) =>
      Object.keys(members)
        .map((name) => `#/components/${group}/${name}`)
        .filter((ref) => !refs.has(ref)),
    );
    // Codes that no operation gives have their example for the list of codes.
    expect(unused.toSorted()).toEqual(
      document === openApi
        ? Object.keys(ELSEWHERE)
            .map((code) => `#/components/examples/${code}`)
            .toSorted()
        : [],
    );
  });

  test("say no word about zod, and no bound that every number keeps", () => {
    for (const document of [openApi, asyncApi]) {
      const words = new Set(JSON.stringify(document).match(/\$schema|\$defs|__\w+|zod|\d{16}/gi));
      expect([...words]).toEqual(document === openApi ? ["__Host"] : []);
    }
  });
});

describe("the OpenAPI document", () => {
  test("describes every route and nothing else", () => {
    const routes = ROUTES.map(([method, path]) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    expect(operations.map(([name]) => name).toSorted()).toEqual(routes.toSorted());
  });

  test("names every operation once, in a group that is introduced", () => {
    const ids = operations.map(([, , { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const tags = openApi.tags.map(({ name }) => name);
    expect(new Set(operations.flatMap(([, , operation]) => operation.tags))).toEqual(new Set(tags));
  });

  test.each(operations)(
    "%s declares the parameters of its path, and each parameter once",
    (_name, path, operation) => {
      const parameters = operation.parameters.map((one) =>
        "$ref" in one ? (resolveRef(openApi, one.$ref) as { name: string; in: string }) : one,
      );
      const names = parameters.map((one) => `${one.in} ${one.name}`);
      expect(new Set(names).size).toBe(names.length);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => `path ${name}`);
      expect(names.filter((name) => name.startsWith("path "))).toEqual(inPath);
    },
  );

  test.each(operations)("%s lists its problems under the status each code has", (_name, _path, operation) => {
    for (const [status, answer] of Object.entries(operation.responses)) {
      const [narrowed] = membersCalled("code", answer.content?.["application/problem+json"]?.schema ?? {});
      const codes = (narrowed as { enum?: (keyof typeof ERROR_CODES)[] } | undefined)?.enum ?? [];
      for (const code of codes) expect(`${code} ${status}`).toBe(`${code} ${ERROR_CODES[code].status}`);
      expect(Number(status) >= 400).toBe(codes.length > 0);
      expect(Object.keys(answer.headers ?? {})).toContain("X-Trace-Id");
    }
  });

  test("has every problem code in some operation, or says where it comes from", () => {
    const given = new Set(
      operations.flatMap(([, , { responses }]) =>
        Object.values(responses).flatMap((answer) =>
          Object.keys(answer.content?.["application/problem+json"]?.examples ?? {}),
        ),
      ),
    );
    const missing = Object.keys(ERROR_CODES).filter((code) => !given.has(code));
    expect(missing.toSorted()).toEqual(Object.keys(ELSEWHERE).toSorted());
    expect(openApi["x-problem-codes"]).toEqual(ERROR_CODES);
  });

  test.each(operations)("%s has examples that its schemas allow", (_name, _path, operation) => {
    const answers: readonly Answer[] = Object.values(operation.responses);
    const bodies = [operation.requestBody?.content ?? {}, ...answers.map(({ content = {} }) => content)];
    for (const media of bodies.flatMap((content) => Object.values(content))) {
      for (const value of exampleValues(openApi, media)) {
        expect(faultsOf({ ...media.schema }, value, { root: openApi, strict: true })).toEqual([]);
      }
    }
  });

  test("asks for a credential where one is needed", () => {
    const open = operations.filter(([, , { security }]) => security.length === 0).map(([name]) => name);
    expect(open.filter((name) => name.includes("/v1/"))).toEqual([]);
    const either = operations.filter(([, , { security }]) =>
      security.some((one) => Object.keys(one).length === 0),
    );
    expect(either.map(([name]) => name).toSorted()).toEqual(["GET /v1/connect", "POST /v1/sessions"]);
  });

  test("knows the public address of the server, and else refers to where it was read", () => {
    expect(openApi.servers[0]?.url).toBe("/");
    const published = createOpenApi({ ...options, publicUrl: "https://jobs.example.test" }, publishSchemas());
    expect(published.servers[0]?.url).toBe("https://jobs.example.test");
  });
});

describe("the AsyncAPI document", () => {
  const { messages } = asyncApi.components;

  test("has a message for every frame of both sides, and the binary one", () => {
    const client = clientFrameSchema.options.map(({ shape }) => `client.${shape.type.value}`);
    const server = Object.keys(serverFrameSchemas).map((type) => `server.${type}`);
    expect(Object.keys(messages).toSorted()).toEqual([...client, ...server, "server.binary"].toSorted());
    expect(Object.keys(asyncApi.channels.connect.messages).toSorted()).toEqual(
      Object.keys(messages).toSorted(),
    );
  });

  test("receives what clients send, sends what the server sends, and answers with frames of the other side", () => {
    const covered: string[] = [];
    for (const { action, messages: own, reply } of Object.values(asyncApi.operations)) {
      const [side, other] = action === "receive" ? ["client", "server"] : ["server", "client"];
      for (const { $ref } of own) expect($ref).toStartWith(`#/channels/connect/messages/${side}.`);
      for (const { $ref } of reply?.messages ?? [])
        expect($ref).toStartWith(`#/channels/connect/messages/${other}.`);
      covered.push(...own.map(({ $ref }) => $ref.slice("#/channels/connect/messages/".length)));
    }
    expect(covered.toSorted()).toEqual(Object.keys(messages).toSorted());
  });

  test.each(Object.entries(messages))("has for %s an example that the schema allows", (name, message) => {
    const examples = message.examples ?? [];
    expect(examples.length > 0).toBe(name !== "server.binary");
    for (const { payload } of examples) {
      expect(faultsOf({ ...message.payload }, payload, { root: asyncApi, strict: true })).toEqual([]);
      expect((payload as { type: string }).type).toBe(message.name);
      if (name.startsWith("client.")) expect(clientFrameSchema.safeParse(payload).success).toBe(true);
    }
  });

  test("lays out the binary frame as it is encoded", () => {
    const job = "0199e3f0-5a10-7c3e-9b1d-2f6a7c8e4d01";
    const payload = new Uint8Array([9, 8, 7]);
    const frame = encodeBinaryFrame({ kind: "output.data", attempt: 0x0102, seq: 0x03040506, job, payload });
    const fields = Object.fromEntries(
      (messages["server.binary"]?.["x-binary-layout"] ?? []).map(({ name, offset, bytes }) => [
        name,
        frame.subarray(offset, bytes === null ? frame.length : offset + bytes).toHex(),
      ]),
    );
    expect(fields).toEqual({
      version: "01",
      kind: "02",
      attempt: "0102",
      seq: "03040506",
      job: job.replaceAll("-", ""),
      payload: "090807",
    });
  });

  test("tells every close code, with what to do", () => {
    const closes = asyncApi.channels.connect["x-close-codes"];
    const named = Object.fromEntries(closes.map(({ name, code }) => [name, code]));
    expect(named).toEqual({ ...CLOSE_CODES, "message too big": 1009 });
    for (const { code, reconnect, advice } of closes) {
      expect(reconnect).toBe(code >= 4000 && code < 4500);
      expect(advice).not.toBe("");
    }
  });

  test("leads to the public address over the right scheme", () => {
    const published = createAsyncApi(
      { ...options, publicUrl: "https://jobs.example.test:8443" },
      publishSchemas(),
    );
    expect(published.servers).toMatchObject({ public: { host: "jobs.example.test:8443", protocol: "wss" } });
  });
});
