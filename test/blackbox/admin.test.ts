/** `/v1/admin` as an operator uses it: nodes, sessions, jobs, pushes, drain (PROTOCOL section 3). */
import { hostname } from "node:os";
import packageJson from "../../package.json" with { type: "json" };
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { call, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { adminOf } from "../support/operator.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { expectShape } from "../support/shape.ts";
import type { Frame, JobBody, SessionBody } from "../support/wire.ts";

const server = sharedServer();

type AdminJob = JobBody & { userId: string; sessionId?: string };
interface Page<Item> {
  items: Item[];
  next: string | null;
}

describe("GET /v1/admin/nodes", () => {
  test("tells of this node who it is, since when, and how much it holds", async () => {
    const admin = await adminOf(server());
    await using client = await connect(server());
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    await api.inStatus(id, "running");
    const { status, body } = await admin.call<{ items: object[] }>("GET", "/v1/admin/nodes");
    expect(status).toBe(200);
    expectShape(body.items, [
      {
        id: client.welcome.node,
        boot: expect.stringMatching(/^[0-9a-f-]{36}$/),
        role: "all",
        state: "up",
        version: packageJson.version,
        host: hostname(),
        url: server().url,
        startedAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        lastSeenAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
        connections: 1,
        running: 1,
      },
    ]);
    await api.cancel(id);
  });
});

describe("GET /v1/admin/sessions", () => {
  test("lists the sessions of all users in pages, newest first, and of one user", async () => {
    await using own = await startServer();
    const admin = await adminOf(own);
    const made = [await newSession(own), await newSession(own), await newSession(own)];
    const ids = made.map(({ sessionId }) => sessionId).toReversed();
    const list = (query: string) => admin.call<Page<SessionBody>>("GET", `/v1/admin/sessions?${query}`);
    const first = (await list("limit=2")).body;
    expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    const rest = (await list(`limit=2&cursor=${first.next}`)).body;
    expect(rest).toMatchObject({ items: [{ id: ids[2] }], next: null });
    const mine = (await list(`userId=${made[1]?.userId}`)).body;
    expect(mine.items.map(({ id }) => id)).toEqual([made[1]?.sessionId ?? ""]);
    expectProblem(await admin.call("GET", "/v1/admin/sessions?cursor=x"), 400, "invalid_cursor");
    expectProblem(await admin.call("GET", "/v1/admin/sessions?limit=201"), 400, "invalid_request");
  });
});

describe("/v1/admin/jobs", () => {
  test("lists everybody's jobs, with whose they are", async () => {
    await using own = await startServer();
    const admin = await adminOf(own);
    const [alice, bob] = [await newSession(own), await newSession(own)];
    const done = await alice.submit(tokensBody());
    await alice.finished(done.id);
    const runs = await bob.submit(lastingBody());
    await bob.inStatus(runs.id, "running");
    const list = async (query: string) =>
      (await admin.call<Page<AdminJob>>("GET", `/v1/admin/jobs?${query}`)).body;
    const all = await list("");
    expect(all.items.map(({ id, userId, sessionId }) => ({ id, userId, sessionId }))).toEqual([
      { id: runs.id, userId: bob.userId, sessionId: bob.sessionId },
      { id: done.id, userId: alice.userId, sessionId: alice.sessionId },
    ]);
    expect(all.next).toBeNull();
    const first = await list("limit=1");
    expect(first.items.map(({ id }) => id)).toEqual([runs.id]);
    expect((await list(`limit=1&cursor=${first.next}`)).items.map(({ id }) => id)).toEqual([done.id]);
    expect((await list("status=succeeded")).items.map(({ id }) => id)).toEqual([done.id]);
    expect((await list(`userId=${bob.userId}`)).items.map(({ id }) => id)).toEqual([runs.id]);
    const one = await admin.call<AdminJob>("GET", `/v1/admin/jobs/${done.id}`);
    expect(one.body).toMatchObject({ id: done.id, userId: alice.userId, result: { tokens: 3 } });
  });

  test("cancels anybody's job, for the reason admin, and again without harm", async () => {
    const admin = await adminOf(server());
    await using client = await connect(server());
    const api = await newSession(server());
    const { id } = await api.submit(lastingBody());
    await api.inStatus(id, "running");
    const asked = await admin.call<AdminJob>("POST", `/v1/admin/jobs/${id}/cancel`);
    expect(asked).toMatchObject({ status: 202, body: { id, status: "canceling", userId: api.userId } });
    expect((await api.finished(id)).status).toBe("canceled");
    expect((await api.log(id)).at(-1)?.data).toEqual({ reason: "admin" });
    expect((await admin.call("POST", `/v1/admin/jobs/${id}/cancel`)).status).toBe(200);
    expect(client.closed).toBeNull();
  });

  test("retries a job that has ended: a new one of the same user, in no session", async () => {
    const admin = await adminOf(server());
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody());
    await api.finished(id);
    const answer = await admin.call<AdminJob>("POST", `/v1/admin/jobs/${id}/retry`);
    expect(answer).toMatchObject({ status: 202, body: { retryOf: id, userId: api.userId } });
    expect(answer.body.sessionId).toBeUndefined();
    expect(answer.headers.get("location")).toBe(`/v1/admin/jobs/${answer.body.id}`);
    expect((await api.finished(answer.body.id)).status).toBe("succeeded");

    const running = await api.submit(lastingBody());
    expectProblem(await admin.call("POST", `/v1/admin/jobs/${running.id}/retry`), 409, "job_not_terminal");
    await api.cancel(running.id);
  });

  test("answers 404 to what is no job, and 410 to one that was deleted", async () => {
    const admin = await adminOf(server());
    const api = await newSession(server());
    const { id } = await api.submit(tokensBody());
    await api.finished(id);
    await api.call("DELETE", `/v1/jobs/${id}`);
    for (const [method, rest] of [
      ["GET", ""],
      ["POST", "/cancel"],
      ["POST", "/retry"],
    ] as const) {
      expectProblem(await admin.call(method, `/v1/admin/jobs/${id}${rest}`), 410, "job_purged");
      for (const unknown of [Bun.randomUUIDv7(), "nonsense"]) {
        expectProblem(await admin.call(method, `/v1/admin/jobs/${unknown}${rest}`), 404, "not_found");
      }
    }
  });
});

describe("POST /v1/admin/push", () => {
  interface Pushed {
    id: string;
    delivered: number;
  }
  /** The fields of a `message` frame, which no other frame has. */
  type Message = Frame & { id?: string; to?: string; from?: unknown; room?: string };

  test("reaches a session, a user or everybody, and nobody else", async () => {
    await using own = await startServer();
    const admin = await adminOf(own);
    await using alice = await connect(own);
    await using bob = await connect(own);
    await newSession(own);
    const push = async (to: object, data: unknown) => {
      const answer = await admin.call<Pushed>("POST", "/v1/admin/push", { json: { to, data } });
      expect(answer.status).toBe(202);
      return answer.body;
    };
    const bySession = await push({ session: alice.sessionId }, { text: "one" });
    const byUser = await push({ user: alice.welcome.session?.userId }, ["two"]);
    const toAll = await push({ all: true }, null);
    const toNobody = await push({ user: "nobody" }, 1);
    expect([bySession, byUser, toAll, toNobody].map(({ delivered }) => delivered)).toEqual([1, 1, 2, 0]);
    await alice.settle();
    await bob.settle();
    expectShape(alice.frames("message"), [
      {
        type: "message",
        to: "session",
        id: bySession.id,
        from: null,
        data: { text: "one" },
        at: expect.any(Number),
      },
      { type: "message", to: "user", id: byUser.id, from: null, data: ["two"] },
      { type: "message", to: "all", id: toAll.id, from: null, data: null },
    ]);
    expect((bob.frames("message") as Message[]).map(({ id, room }) => ({ id, room }))).toEqual([
      { id: toAll.id, room: undefined },
    ]);
  });

  test("is refused when it is too large for a frame, or for what is no room", async () => {
    await using own = await startServer({ env: { HOLDLINE_EVENT_BYTES: "2000" } });
    const admin = await adminOf(own);
    await using client = await connect(own);
    const push = (json: object) => admin.call("POST", "/v1/admin/push", { json });
    expectProblem(await push({ to: { room: "no room" }, data: 1 }), 400, "invalid_request");
    const large = await push({ to: { all: true }, data: "x".repeat(2000) });
    expectProblem(large, 413, "payload_too_large");
    expect(large.body).toMatchObject({ limit: "eventBytes" });
    await client.settle();
    expect(client.frames("message")).toEqual([]);
    expect((await push({ to: { all: true }, data: "x".repeat(1998) })).status).toBe(202);
  });
});

describe("POST /v1/admin/drain", () => {
  test("ends the server as SIGTERM does: sockets are told, nothing new is taken, exit 0", async () => {
    await using own = await startServer();
    const admin = await adminOf(own);
    const client = await connect(own);
    const api = await newSession(own);
    // A run that outlasts the test keeps the drain open, so that it can be looked at.
    const { id } = await api.submit(tokensBody({ tokens: 8, intervalMs: 200 }));
    await api.inStatus(id, "running");
    expect((await admin.call("POST", "/v1/admin/drain")).status).toBe(202);
    expect((await call("GET", `${own.url}/readyz`)).status).toBe(503);
    expectProblem(await api.post(tokensBody()), 503, "draining");
    expect((await admin.call("POST", "/v1/admin/drain")).status).toBe(202);
    expect(await client.waitForClose()).toEqual({ code: 4000, reason: "draining" });
    expect(await own.exited()).toEqual({ code: 0, signal: null });
    await own.restart();
    expect((await api.finished(id)).status).toBe("succeeded");
    expect((await api.job(id)).attempt).toBe(1);
  });
});
