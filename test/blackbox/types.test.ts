/** GET /v1/types: what may be submitted, with its schema (PROTOCOL sections 3 and 7). */
import { expect, test } from "bun:test";
import { newSession } from "../support/http.ts";
import { sharedServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();

interface TypeList {
  items: {
    type: string;
    input: Record<string, unknown>;
    output: string[];
    limits: Record<string, unknown>;
  }[];
}

test("lists the built-in types with a JSON Schema, their outputs and limits", async () => {
  const api = await newSession(server());
  const { status, body } = await api.call<TypeList>("GET", "/v1/types");
  expect(status).toBe(200);
  const outputs = Object.fromEntries(body.items.map(({ type, output }) => [type, output.toSorted()]));
  expectShape(outputs, {
    chat: ["text"],
    speech: ["audio"],
    voice: expect.arrayContaining(["audio", "text"]),
    tokens: ["audio", "text"],
  });
  for (const { input, limits } of body.items) {
    expectShape(input, { type: "object", properties: expect.any(Object) });
    expect(limits).toBeObject();
  }
});

test("the schema of tokens states the limits of the protocol", async () => {
  const api = await newSession(server());
  const { body } = await api.call<TypeList>("GET", "/v1/types");
  const input = body.items.find(({ type }) => type === "tokens")?.input;
  expectShape(input, {
    properties: {
      tokens: { minimum: 1, maximum: 100_000 },
      size: { minimum: 1, maximum: 4096 },
      intervalMs: { minimum: 0 },
    },
    required: expect.arrayContaining(["tokens", "size", "intervalMs"]),
    additionalProperties: false,
  });
});
