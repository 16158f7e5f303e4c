/** Sessions over HTTP: opening, looking, renewing the token, logging out (PROTOCOL sections 2 and 3). */
import { describe, expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, lastingBody, newSession } from "../support/http.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { readToken } from "../support/tokens.ts";
import { until } from "../support/wait.ts";
import type { SessionBody, SessionCreatedBody } from "../support/wire.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown;

interface Renewed {
  token: string;
  tokenExpiresAt: number | string;
}

describe("POST /v1/sessions (section 3)", () => {
  test("answers 201 with session, token, its end, and limits", async () => {
    const { status, body } = await call<SessionCreatedBody>("POST", `${server().url}/v1/sessions`);
    expect(status).toBe(201);
    expectShape(body.session, {
      id: expect.any(String),
      userId: expect.stringMatching(/^anon_/),
      nodeId: expect.any(String),
      createdAt: TIME,
      lastSeenAt: TIME,
      rooms: [],
    });
    expect(body.session.connectedAt).toBeUndefined();
    expect(readToken(body.token).claims).toMatchObject({ sid: body.session.id, sub: body.session.userId });
    expect(body.tokenExpiresAt).toBeDefined();
    expect(body.limits).toMatchObject({ frameBytes: 65_536, resumeMs: 300_000 });
  });
});

describe("GET /v1/sessions (section 3)", () => {
  test("lists the user's own sessions; current and the id show the same one", async () => {
    const session = await newSession(server());
    await newSession(server());
    const list = await session.call<{ items: SessionBody[] }>("GET", "/v1/sessions");
    expect(list.body.items.map(({ id }) => id)).toEqual([session.sessionId]);
    const current = await session.call<SessionBody>("GET", "/v1/sessions/current");
    const byId = await session.call<SessionBody>("GET", `/v1/sessions/${session.sessionId}`);
    expect(current.body.id).toBe(session.sessionId);
    expect(byId.body.id).toBe(session.sessionId);
  });

  test("shows since when a socket is open", async () => {
    await using client = await connect(server());
    const { body } = await apiOf(server(), client.token).call<SessionBody>("GET", "/v1/sessions/current");
    expectShape(body, { id: client.sessionId, presence: "online", connectedAt: TIME });
  });

  test("answers 404 not_found for a foreign session as for an unknown one, to GET and DELETE", async () => {
    const [mine, other] = [await newSession(server()), await newSession(server())];
    for (const id of [other.sessionId, Bun.randomUUIDv7(), "nonsense"]) {
      expectProblem(await mine.call("GET", `/v1/sessions/${id}`), 404, "not_found");
      expectProblem(await mine.call("DELETE", `/v1/sessions/${id}`), 404, "not_found");
    }
    expect((await other.call("GET", "/v1/sessions/current")).status).toBe(200);
  });
});

describe("renewing the session token (sections 2 and 3)", () => {
  test("by POST /v1/sessions/current/token gives another one; the older stays good", async () => {
    const session = await newSession(server());
    const { status, body } = await session.call<Renewed>("POST", "/v1/sessions/current/token");
    expect(status).toBe(200);
    expect(readToken(body.token).claims["sid"]).toBe(session.sessionId);
    expect(readToken(body.token).claims["jti"]).not.toBe(readToken(session.token).claims["jti"]);
    for (const token of [session.token, body.token]) {
      expect((await apiOf(server(), token).call("GET", "/v1/sessions/current")).status).toBe(200);
    }
  });

  test("happens by a token frame at two thirds of its life", async () => {
    await using brief = await startServer({ env: { HOLDLINE_SESSION_TOKEN_MS: "3000" } });
    await using client = await connect(brief);
    const startedMs = performance.now();
    const first = client.welcome.token ?? "";
    const frame = await client.waitFor("a token frame", ({ type }) => type === "token");
    const afterMs = performance.now() - startedMs;
    expect(afterMs).toBeGreaterThan(1000);
    expect(afterMs).toBeLessThan(3000);
    expect(frame.tokenExpiresAt).toBeNumber();
    for (const token of [first, frame.token ?? ""]) {
      expect((await apiOf(brief, token).call("GET", "/v1/sessions/current")).status).toBe(200);
    }
  });
});

describe("DELETE /v1/sessions/current logs out (section 3)", () => {
  test("204; the socket is closed 4502, the token is dead everywhere", async () => {
    const client = await connect(server());
    const api = apiOf(server(), client.token);
    const answer = await api.call("DELETE", "/v1/sessions/current");
    expect(answer.status).toBe(204);
    expect(answer.text).toBe("");
    expect(await client.waitForClose()).toEqual({ code: 4502, reason: "revoked" });
    expect(client.frames().at(-1)).toMatchObject({ type: "goodbye", code: 4502, reconnect: false });
    expectProblem(await api.call("GET", "/v1/jobs"), 401, "token_revoked");
    const late = dial(server(), { token: client.token });
    expect(await late.waitForClose()).toEqual({ code: 4502, reason: "revoked" });
  });

  test("by its id does the same", async () => {
    const session = await newSession(server());
    expect((await session.call("DELETE", `/v1/sessions/${session.sessionId}`)).status).toBe(204);
    expectProblem(await session.call("GET", "/v1/jobs"), 401, "token_revoked");
  });

  test("kills tokens issued before as well, and the death lasts through a restart", async () => {
    await using mortal = await startServer();
    const session = await newSession(mortal);
    const { body } = await session.call<Renewed>("POST", "/v1/sessions/current/token");
    await session.call("DELETE", "/v1/sessions/current");
    await mortal.restart();
    for (const token of [session.token, body.token]) {
      expectProblem(await apiOf(mortal, token).call("GET", "/v1/jobs"), 401, "token_revoked");
    }
  });

  test("cancels the session's jobs with onDisconnect cancel, for the reason logged_out, and no other", async () => {
    // Only a user with a token of his own can look at them afterwards; the server's own log tells it here.
    await using mortal = await startServer({ env: { HOLDLINE_CONCURRENCY: "1" } });
    const session = await newSession(mortal);
    const blocker = await session.submit(lastingBody({ onDisconnect: "cancel", orphanMs: 3_600_000 }));
    await session.inStatus(blocker.id, "running");
    const other = await newSession(mortal);
    const waiting = await other.submit(lastingBody());
    expect(waiting.status).toBe("queued");
    await session.call("DELETE", "/v1/sessions/current");
    // The only slot came free, so the job that held it was stopped.
    const running = await until("the other user's job to run", async () => {
      const job = await other.job(waiting.id);
      return job.status === "running" && job;
    });
    expect(running.attempt).toBe(1);
  });
});
