/** Errors: one shape for all of them, and a trace id on every answer (PROTOCOL section 3, Errors and Tracing). */
import { beforeAll, describe, expect, test } from "bun:test";
import { type Api, call, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { rawRequest } from "../support/raw.ts";
import { sharedServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

const server = sharedServer({ env: { HOLDLINE_LOG: "debug" } });
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

describe("an error", () => {
  // Each row is complete: bun would pass its `done` for a value that is missing.
  const cases: [
    status: number,
    code: string,
    method: string,
    path: string,
    headers: Record<string, string>,
  ][] = [
    [404, "not_found", "GET", "/v1/nothing", {}],
    [404, "not_found", "GET", "/v2/jobs", {}],
    [404, "not_found", "GET", "/v1/jobs/", {}],
    [404, "not_found", "GET", `/v1/jobs/${Bun.randomUUIDv7()}`, {}],
    [404, "not_found", "GET", `/v1/jobs/${Bun.randomUUIDv7()}/nothing`, {}],
    [405, "method_not_allowed", "PUT", "/v1/jobs", {}],
    [405, "method_not_allowed", "PATCH", `/v1/jobs/${Bun.randomUUIDv7()}`, {}],
    [405, "method_not_allowed", "GET", `/v1/jobs/${Bun.randomUUIDv7()}/cancel`, {}],
    [405, "method_not_allowed", "DELETE", "/v1/types", {}],
    [405, "method_not_allowed", "POST", "/v1/connect", {}],
    [405, "method_not_allowed", "POST", "/healthz", {}],
    [426, "upgrade_required", "GET", "/v1/connect", {}],
    [415, "unsupported_media_type", "POST", "/v1/jobs", { "content-type": "text/plain" }],
    [400, "token_in_url", "GET", "/v1/jobs?token=x", {}],
  ];
  test.each(cases)(
    "%d %s to %s %s is a whole problem document",
    async (status, code, method, path, headers) => {
      const body = method === "POST" ? { body: "{}" } : {};
      const answer = await api.call(method, path, { ...body, headers });
      expectProblem(answer, status, code);
      expect(answer.body.instance).not.toContain("token=x");
      expect(answer.text).not.toMatch(/node_modules|\.ts:\d|\bat \w+ \(/);
      if (status === 405) expect(answer.headers.get("allow")).toMatch(/^[A-Z]+(, [A-Z]+)*$/);
      if (status === 405) expect(answer.headers.get("allow")).not.toContain(method);
    },
  );

  test.each(["TRACE", "BREW", "CONNECT"])("to the method %s is 4xx and never an echo", async (method) => {
    const secret = ["Cookie", "secret=1234"] as const;
    const answer = await rawRequest(server().port, { method, path: "/v1/jobs", headers: [secret] });
    // The runtime may close the connection or answer bare where it cannot parse the method.
    expect(answer === null || (answer.status >= 400 && answer.status < 500)).toBe(true);
    expect(answer?.body ?? "").not.toContain("1234");
  });

  test.each([
    "../etc",
    "%2e%2e",
    "%00",
    "a%0d%0ab",
    "x".repeat(3000),
    "__proto__",
    "'",
    "%F0%9F%97%9D",
    "%ff",
  ])("about a job called %s is 404 (FAULTS S48)", async (id) => {
    const authorization = ["Authorization", `Bearer ${api.token}`] as const;
    const answer = await rawRequest(server().port, {
      path: `/v1/jobs/${id}/output`,
      headers: [authorization],
    });
    expect(answer?.status).toBe(404);
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({ code: "not_found" });
  });
});

describe("every answer", () => {
  test("bears X-Trace-Id, good ones too", async () => {
    const paths = ["/v1/jobs", "/v1/types", "/v1/sessions/current", "/healthz", "/readyz", "/v1/nothing"];
    const ids = await Promise.all(
      paths.map(async (path) => (await api.call("GET", path)).headers.get("x-trace-id")),
    );
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(ids).size).toBe(paths.length);
  });

  test("takes the trace id of a good traceparent, which the job keeps", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const answer = await api.post(tokensBody(), { traceparent: `00-${traceId}-00f067aa0ba902b7-01` });
    expect(answer.headers.get("x-trace-id")).toBe(traceId);
    expect(answer.body.traceId).toBe(traceId);
    expect((await api.job(answer.body.id)).traceId).toBe(traceId);
  });

  const badParents = [
    "nonsense",
    "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
    "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    `00-${"a".repeat(9000)}-00f067aa0ba902b7-01`,
  ];
  test.each(badParents)("starts a new trace instead of %s", async (traceparent) => {
    const answer = await api.post(tokensBody(), { traceparent });
    expect(answer.status).toBe(202);
    expect(answer.body.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(traceparent).not.toContain(answer.body.traceId);
  });

  test("echoes X-Correlation-Id", async () => {
    const answer = await api.post(tokensBody(), { "x-correlation-id": "order-17/b" });
    expect(answer.headers.get("x-correlation-id")).toBe("order-17/b");
  });

  test.each(["a".repeat(129), "caf\u00e9", "a\tb", "a".repeat(10_000)])(
    "replaces an X-Correlation-Id like %s",
    async (id) => {
      const answer = await api.call("GET", "/v1/jobs", { headers: { "x-correlation-id": id } });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("x-correlation-id")).not.toBe(id);
    },
  );

  test("forbids sniffing", async () => {
    for (const path of ["/v1/jobs", "/v1/nothing"]) {
      expect((await api.call("GET", path)).headers.get("x-content-type-options")).toBe("nosniff");
    }
  });
});

test("health and readiness answer without a credential", async () => {
  for (const path of ["/healthz", "/readyz"])
    expect((await call("GET", server().url + path)).status).toBe(200);
});

test("the log bears trace and correlation ids: a run's error, hidden from the user, is found by either (section 3, Tracing)", async () => {
  const correlationId = `needle-${Bun.randomUUIDv7()}`;
  const body = tokensBody({ failAt: 1 }, { maxAttempts: 1 });
  const { id, traceId } = await api.submit(body, { "x-correlation-id": correlationId });
  await api.finished(id);
  const line = await until("a line about the run that failed", () =>
    server()
      .logs()
      .find((fields) => JSON.stringify(fields).includes(traceId)),
  );
  expect(JSON.stringify(line)).toContain(correlationId);
});
