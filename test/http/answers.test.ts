/** What the server really answers is what /openapi.json says it answers: statuses, headers, bodies, streams. */
import { beforeAll, describe, expect, test } from "bun:test";
import { readContract, streamedEvents, type CheckedAnswer, type Contract } from "./contract.ts";
import { faultsOf } from "./json-schema.ts";
import { sharedApp } from "./real-app.ts";

const app = sharedApp({ "body-bytes": "4096" });
let contract: Contract;
let token = "";
beforeAll(async () => {
  contract = await readContract(app());
  const { body } = await contract.call("POST /v1/sessions", "/v1/sessions");
  ({ token } = body as { token: string });
});

function post(body: unknown, headers: Record<string, string> = {}): RequestInit & { token: string } {
  return {
    token,
    headers: { "content-type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  };
}

const idOf = ({ body }: CheckedAnswer): string => (body as { id: string }).id;

async function submitted(
  input: Record<string, unknown> = {},
  options: Record<string, unknown> = {},
): Promise<string> {
  return idOf(
    await contract.call("POST /v1/jobs", "/v1/jobs", post({ type: "everything", input, ...options })),
  );
}

/** A job that has ended. */
async function ended(input: Record<string, unknown> = {}): Promise<string> {
  const id = await submitted(input, { metadata: { page: "front" } });
  const { body } = await contract.call("GET /v1/jobs/{id}", `/v1/jobs/${id}?waitMs=10000`, { token });
  expect(body).toMatchObject({ terminal: true });
  return id;
}

describe("jobs are answered as described", () => {
  test("when they are submitted, read and listed", async () => {
    const id = await submitted({}, { metadata: { page: "front" }, priority: 9 });
    const read = await contract.call("GET /v1/jobs/{id}", `/v1/jobs/${id}?waitMs=10000`, { token });
    expect(read.body).toMatchObject({ id, status: "succeeded", attempt: 2, result: { text: "Hello!" } });
    const etag = read.headers.get("etag") ?? "";
    const again = { token, headers: { "if-none-match": etag } };
    expect((await contract.call("GET /v1/jobs/{id}", `/v1/jobs/${id}`, again)).status).toBe(304);
    const list = await contract.call("GET /v1/jobs", "/v1/jobs?limit=1", { token });
    expect(list.body).toMatchObject({ items: [{ id }] });
  });

  test("when they are waited for, repeated under a key, and fail", async () => {
    const waited = post(
      { type: "everything", input: { fail: true } },
      { prefer: "wait=10", "idempotency-key": "k1" },
    );
    const first = await contract.call("POST /v1/jobs", "/v1/jobs", waited);
    expect({ status: first.status, body: first.body }).toMatchObject({
      status: 200,
      body: { status: "failed", error: { code: "no_paper" } },
    });
    const second = await contract.call("POST /v1/jobs", "/v1/jobs", waited);
    expect(second.headers.get("idempotent-replayed")).toBe("true");
  });

  test("when they are canceled, retried and deleted", async () => {
    const running = idOf(
      await contract.call("POST /v1/jobs", "/v1/jobs", post({ type: "patient", input: {} })),
    );
    await contract.call("POST /v1/jobs/{id}/cancel", `/v1/jobs/${running}/cancel`, { token });
    await contract.call("GET /v1/jobs/{id}", `/v1/jobs/${running}?waitMs=10000`, { token });
    const canceled = await contract.call("POST /v1/jobs/{id}/cancel", `/v1/jobs/${running}/cancel`, {
      token,
    });
    expect({ status: canceled.status, body: canceled.body }).toMatchObject({
      status: 200,
      body: { status: "canceled" },
    });
    const retried = await contract.call("POST /v1/jobs/{id}/retry", `/v1/jobs/${running}/retry`, { token });
    expect(retried.body).toMatchObject({ retryOf: running });
    const { status } = await contract.call("DELETE /v1/jobs/{id}", `/v1/jobs/${running}`, { token });
    expect(status).toBe(204);
    const gone = await contract.call("GET /v1/jobs/{id}", `/v1/jobs/${running}`, { token });
    expect(gone.body).toMatchObject({ code: "job_purged" });
  });
});

describe("output is answered as described", () => {
  test("as a page, with entries of every kind that a run writes", async () => {
    const id = await ended();
    const { body } = await contract.call("GET /v1/jobs/{id}/events", `/v1/jobs/${id}/events`, { token });
    const { events } = body as { events: { kind: string }[] };
    expect(new Set(events.map(({ kind }) => kind))).toEqual(
      new Set([
        "job.queued",
        "job.started",
        "job.progress",
        "output.text",
        "output.audio.format",
        "output.audio",
        "output.data",
        "job.retrying",
        "output.reset",
        "job.succeeded",
      ]),
    );
  });

  test.each(["text/event-stream", "application/x-ndjson"])("as %s", async (accept) => {
    const id = await ended({ fail: true });
    const page = await contract.call("GET /v1/jobs/{id}/events", `/v1/jobs/${id}/events`, { token });
    const stream = await contract.call("GET /v1/jobs/{id}/events", `/v1/jobs/${id}/events`, {
      token,
      headers: { accept },
    });
    const events = streamedEvents(accept, stream.text);
    expect(events).toEqual((page.body as { events: unknown[] }).events);
    const root = contract.document;
    const faults = events.map((event) =>
      faultsOf({ $ref: "#/components/schemas/Event" }, event, { root, strict: true }),
    );
    expect(faults.flat()).toEqual([]);
  });

  test("put together, and as a file", async () => {
    const id = await ended();
    const output = await contract.call("GET /v1/jobs/{id}/output", `/v1/jobs/${id}/output`, { token });
    expect(output.body).toMatchObject({
      text: "Hello!",
      texts: [{ index: 0 }, { index: 1 }],
      audio: { bytes: 640 },
    });
    const path = `/v1/jobs/${id}/audio`;
    expect((await contract.call("GET /v1/jobs/{id}/audio", path, { token })).status).toBe(200);
    const ranged = { token, headers: { range: "bytes=0-9" } };
    expect((await contract.call("GET /v1/jobs/{id}/audio", path, ranged)).status).toBe(206);
    const beyond = { token, headers: { range: "bytes=9999-" } };
    const refused = await contract.call("GET /v1/jobs/{id}/audio", path, beyond);
    expect(refused.body).toMatchObject({ code: "range_not_satisfiable" });
  });
});

describe("sessions are answered as described", () => {
  test("from their opening to their end", async () => {
    const { body } = await contract.call("POST /v1/sessions", "/v1/sessions");
    const own = { token: (body as { token: string }).token };
    await contract.call("GET /v1/sessions", "/v1/sessions", own);
    await contract.call("GET /v1/sessions/{id}", "/v1/sessions/current", own);
    await contract.call("POST /v1/sessions/current/token", "/v1/sessions/current/token", own);
    expect((await contract.call("DELETE /v1/sessions/{id}", "/v1/sessions/current", own)).status).toBe(204);
    const over = await contract.call("GET /v1/sessions", "/v1/sessions", own);
    expect(over.body).toMatchObject({ code: "token_revoked" });
  });
});

describe("what the server says about itself is answered as described", () => {
  test.each([
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/docs/reference.css",
  ])("%s, without a credential", async (path) => {
    const { status } = await contract.call(`GET ${path}`, path);
    expect(status).toBe(200);
  });

  test("types", async () => {
    const { body } = await contract.call("GET /v1/types", "/v1/types", { token });
    const { items } = body as { items: { type: string }[] };
    expect(items.map(({ type }) => type)).toContain("everything");
  });

  test.each(["/openapi.json", "/docs", "/docs/reference.css"])(
    "%s is not sent again unchanged",
    async (path) => {
      const first = await contract.call(`GET ${path}`, path);
      const etag = first.headers.get("etag") ?? "";
      const again = await contract.call(`GET ${path}`, path, {
        headers: { "if-none-match": `"other", W/${etag}` },
      });
      expect({ status: again.status, text: again.text }).toEqual({ status: 304, text: "" });
      const any = await contract.call(`GET ${path}`, path, { headers: { "if-none-match": "*" } });
      const other = await contract.call(`GET ${path}`, path, { headers: { "if-none-match": '"other"' } });
      expect([any.status, other.status]).toEqual([304, 200]);
    },
  );
});

describe("refusals are answered as described", () => {
  const job = `/v1/jobs/${Bun.randomUUIDv7()}`;
  const cases: [code: string, operation: string, path: string, init: RequestInit & { token?: string }][] = [
    ["unauthenticated", "GET /v1/jobs", "/v1/jobs", { token: "none" }],
    ["token_in_url", "GET /v1/jobs", "/v1/jobs?token=x", {}],
    ["forbidden", "GET /healthz", "/healthz", { headers: { host: "example.test" } }],
    ["forbidden_origin", "GET /v1/types", "/v1/types", { headers: { origin: "https://example.test" } }],
    ["not_found", "GET /v1/jobs/{id}", job, {}],
    ["not_found", "GET /v1/jobs/{id}/output", `${job}/output`, {}],
    ["not_found", "POST /v1/jobs/{id}/retry", `${job}/retry`, {}],
    ["not_found", "GET /v1/sessions/{id}", `/v1/sessions/${Bun.randomUUIDv7()}`, {}],
    ["invalid_cursor", "GET /v1/jobs", "/v1/jobs?cursor=x", {}],
    ["invalid_request", "GET /v1/jobs", "/v1/jobs?limit=0", {}],
    ["upgrade_required", "GET /v1/connect", "/v1/connect", {}],
    ["unauthenticated", "GET /v1/admin/nodes", "/v1/admin/nodes", { token: "none" }],
  ];
  test.each(cases)("%s by %s", async (code, operation, path, init) => {
    const { body } = await contract.call(operation, path, { token, ...init });
    expect(body).toMatchObject({ code });
  });

  const bodies: [code: string, body: unknown, headers: Record<string, string>][] = [
    ["invalid_request", { type: "everything", input: {}, priority: 10, other: 1 }, {}],
    ["invalid_request", "{", {}],
    ["unknown_type", { type: "nothing", input: {} }, {}],
    ["payload_too_large", "x".repeat(5000), {}],
    ["unsupported_media_type", {}, { "content-type": "text/plain" }],
    ["invalid_idempotency_key", { type: "everything", input: {} }, { "idempotency-key": "x".repeat(256) }],
  ];
  test.each(bodies)("%s of a body like %j", async (code, body, headers) => {
    const answer = await contract.call("POST /v1/jobs", "/v1/jobs", post(body, headers));
    expect(answer.body).toMatchObject({ code });
  });

  test("of a job that has not ended, and of what it does not have", async () => {
    const id = idOf(await contract.call("POST /v1/jobs", "/v1/jobs", post({ type: "patient", input: {} })));
    const early = await contract.call("DELETE /v1/jobs/{id}", `/v1/jobs/${id}`, { token });
    expect(early.body).toMatchObject({ code: "job_not_terminal" });
    const silent = await contract.call("GET /v1/jobs/{id}/audio", `/v1/jobs/${id}/audio`, { token });
    expect(silent.body).toMatchObject({ code: "no_audio" });
    const ahead = await contract.call("GET /v1/jobs/{id}/events", `/v1/jobs/${id}/events?after=99`, {
      token,
    });
    expect(ahead.body).toMatchObject({ code: "cursor_expired", reason: "ahead" });
    const form = { token, headers: { accept: "image/png" } };
    const picture = await contract.call("GET /v1/jobs/{id}/events", `/v1/jobs/${id}/events`, form);
    expect(picture.body).toMatchObject({ code: "not_acceptable" });
  });
});
