/** What the server says back: ids it was given, failures of its own, and content that would like to be a page (docs/security.md, S39, S40, S47). */
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { type Api, call, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { rawRequest } from "../support/raw.ts";
import { sharedServer, startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import { serveUpstream } from "../handlers/chat-upstream-server.ts";

const server = sharedServer({ env: { HOLDLINE_LOG: "debug" } });
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

/** The lines about a run that failed, which bear what came with its submit. */
async function linesAbout(traceId: string): Promise<Record<string, unknown>[]> {
  return until("a line of the log", () => {
    const lines = server()
      .logs()
      .filter((line) => JSON.stringify(line).includes(traceId));
    return lines.length > 0 && lines;
  });
}

describe("S39 trace and correlation ids", () => {
  const ids: [name: string, id: string][] = [
    ["10 kB", "a".repeat(10_000)],
    ["129 characters", "a".repeat(129)],
    ["a tab", "a\tb"],
    ["a line of the log", 'x","level":"fatal","msg":"injected'],
    ["bytes beyond ASCII", "caf\u00e9"],
    ["an escape of the terminal", "\u001b[31mred"],
    ["spaces around", "  a b  "],
    ["a JWT", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl"],
  ];
  test.each(ids)(
    "S39 %s → kept if it is harmless, else replaced; one line of the log each",
    async (_name, id) => {
      const isKept = /^[\x21-\x7e]{1,128}$/.test(id);
      const body = tokensBody({ failAt: 1 }, { maxAttempts: 1 });
      const answer = await rawRequest(server().port, {
        method: "POST",
        path: "/v1/jobs",
        headers: [
          ["Authorization", `Bearer ${api.token}`],
          ["Content-Type", "application/json"],
          ["Content-Length", String(JSON.stringify(body).length)],
          ["X-Correlation-Id", id],
          // Both at 10 kB would be more than the runtime takes of headers.
          ["traceparent", id.slice(0, 3000)],
        ],
        body: JSON.stringify(body),
      });
      // Control characters in a header end with the runtime.
      if (id.includes("\u001b")) expect([202, 400]).toContain(answer?.status ?? 400);
      else expect(answer?.status).toBe(202);
      if (answer?.status !== 202) return;
      expect(answer.headers.get("x-correlation-id") === id).toBe(isKept);
      const traceId = answer.headers.get("x-trace-id") ?? "";
      expect(traceId).toMatch(/^[0-9a-f]{32}$/);
      const lines = await linesAbout(traceId);
      for (const line of lines) expect(line["level"]).not.toBe("fatal");
      for (const text of server().output().split("\n"))
        expect(() => JSON.parse(text) as unknown).not.toThrow();
    },
  );

  test("S39 lines ends in a header make another header or a 400, never an answer's header", async () => {
    for (const value of [
      "a\r\nX-Injected: yes",
      "a\nX-Injected: yes",
      "a\rX-Injected: yes",
      "a\r\n X-Injected: yes",
    ]) {
      const answer = await rawRequest(server().port, {
        path: "/healthz",
        headers: [["X-Correlation-Id", value]],
      });
      expect([200, 400]).toContain(answer?.status ?? 400);
      expect(answer?.headers.has("x-injected") ?? false).toBe(false);
    }
  });

  const parents: [name: string, traceparent: string][] = [
    ["of 10 kB", `00-${"a".repeat(10_000)}-00f067aa0ba902b7-01`],
    ["with more after its end", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra"],
    ["sent twice", Array(2).fill("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").join(", ")],
    ["that is a path", "../../etc/passwd"],
  ];
  test.each(parents)("S39 a traceparent %s → a trace of our own", async (_name, traceparent) => {
    const answer = await api.post(tokensBody(), { traceparent, tracestate: "t=".repeat(1500) });
    expect(answer.status).toBe(202);
    expect(answer.body.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(traceparent).not.toContain(answer.body.traceId);
  });
});

/** Nothing that only the log may know. */
function expectSilent(text: string, target: TestServer): void {
  expect(text).not.toMatch(/sql|table|column|no such|\bat \w+ \(|\.ts\b|node_modules|bunfs|error:/i);
  expect(text).not.toContain(target.dataFolder);
}

describe("S40 a failure inside", () => {
  test("S40 in every route → 500 with a trace id and no word more; the process goes on", async () => {
    await using broken = await startServer();
    const own = await newSession(broken);
    const { id } = await own.submit(tokensBody());
    await own.finished(id);
    await using client = await connect(broken, { token: own.token });
    // Behind the server's back: every statement on jobs fails from now on.
    using database = new Database(join(broken.dataFolder, "holdline.db"));
    database.run("PRAGMA busy_timeout = 5000");
    database.run("ALTER TABLE jobs RENAME TO jobs_elsewhere");

    const calls: [method: string, path: string][] = [
      ["GET", "/v1/jobs"],
      ["GET", `/v1/jobs/${id}`],
      ["GET", `/v1/jobs/${id}/events`],
      ["GET", `/v1/jobs/${id}/output`],
      ["GET", `/v1/jobs/${id}/audio`],
      ["POST", `/v1/jobs/${id}/cancel`],
      ["POST", `/v1/jobs/${id}/retry`],
      ["DELETE", `/v1/jobs/${id}`],
    ];
    for (const [method, path] of calls) {
      const answer = await own.call(method, path);
      expectProblem(answer, 500, "internal");
      expect(Object.keys(answer.body).toSorted()).toEqual([
        "code",
        "detail",
        "instance",
        "retryable",
        "status",
        "title",
        "traceId",
        "type",
      ]);
      expectSilent(answer.text, broken);
      const line = await until("the cause in the log", () =>
        broken.logs().find((fields) => fields["traceId"] === answer.body.traceId),
      );
      expect(JSON.stringify(line)).toContain("no such table");
    }
    const frame = await client.ask({ type: "attach", job: Bun.randomUUIDv7() });
    expect(frame).toMatchObject({ type: "error", code: "internal" });
    expectSilent(JSON.stringify(frame), broken);

    database.run("ALTER TABLE jobs_elsewhere RENAME TO jobs");
    expect(await own.job(id)).toMatchObject({ id });
    expect((await own.post(tokensBody())).status).toBe(202);
    expect(broken.exit()).toBeNull();
  });

  test("S40 in a run → the message stays in the log", async () => {
    const { id } = await api.submit(tokensBody({ failAt: 1 }, { maxAttempts: 1 }));
    const { error } = await api.finished(id);
    expect(error).toMatchObject({ code: "handler_error", origin: "handler" });
    expectSilent(JSON.stringify(error), server());
  });
});

const MARKUP = '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>';

/** No browser shows it as a page, whatever is in it. */
function expectInert(headers: Headers, types: RegExp): void {
  expect(headers.get("content-type")).toMatch(types);
  expect(headers.get("x-content-type-options")).toBe("nosniff");
  expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
  expect(headers.get("referrer-policy")).toBe("no-referrer");
}

describe("S47 content that would like to be a page", () => {
  test("S47 markup in prompts, metadata and output comes back as data, nosniff, under a policy that allows nothing", async () => {
    const metadata = { 'a"b\r\nSet-Cookie: c=d': MARKUP };
    const input = { messages: [{ role: "user", content: MARKUP }] };
    const { id } = await api.submit({ type: "chat", input, metadata });
    await api.finished(id);
    const answers: [path: string, accept: string, types: RegExp][] = [
      [`/v1/jobs/${id}`, "text/html", /^application\/json$/],
      ["/v1/jobs?limit=5", "text/html", /^application\/json$/],
      [`/v1/jobs/${id}/output`, "text/html", /^application\/json$/],
      [`/v1/jobs/${id}/events`, "*/*", /^application\/json$/],
      [`/v1/jobs/${id}/events`, "text/event-stream", /^text\/event-stream$/],
      [`/v1/jobs/${id}/events`, "application/x-ndjson", /^application\/x-ndjson$/],
      [`/v1/jobs/${id}/events`, "text/html", /^application\/problem\+json$/],
      [`/v1/${encodeURIComponent(MARKUP)}`, "text/html", /^application\/problem\+json$/],
    ];
    for (const [path, accept, types] of answers) {
      const answer = await api.call("GET", path, { headers: { accept } });
      expectInert(answer.headers, types);
      expect(answer.headers.get("set-cookie")).toBeNull();
    }
    const read = await api.job(id);
    expect(read.metadata).toEqual(metadata);
  });

  test("S47 an upstream's page that calls itself sound is served as sound", async () => {
    let type = "";
    using upstream = serveUpstream(
      () => new Response(new TextEncoder().encode(MARKUP.repeat(50)), { headers: { "content-type": type } }),
    );
    await using lying = await startServer({ env: { HOLDLINE_SPEECH_URL: upstream.url } });
    const own = await newSession(lying);
    for (type of ["audio/mpeg", "image/svg+xml", "application/xhtml+xml", "application/octet-stream"]) {
      const { id } = await own.submit({ type: "speech", input: { text: "Hi.", format: "mp3" } });
      expect(await own.finished(id)).toMatchObject({ status: "succeeded" });
      const answer = await own.call("GET", `/v1/jobs/${id}/audio`, { headers: { accept: "text/html" } });
      expect(answer.status).toBe(200);
      expectInert(answer.headers, /^audio\/mpeg$/);
    }
  });

  test("S47 the server's own pages run no script but their own, and stand in nobody's frame", async () => {
    for (const path of ["/", "/docs"]) {
      const { headers } = await call("GET", server().url + path);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toMatch(/unsafe|\*|https?:/);
      expect(headers.get("x-content-type-options")).toBe("nosniff");
    }
  });
});
