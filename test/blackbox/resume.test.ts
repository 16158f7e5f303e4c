/** A session outlives its sockets: resuming, taking over, expiring, and living through a restart (PROTOCOL section 4). */
import { describe, expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, lastingBody, newSession } from "../support/http.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { letTimePass, until } from "../support/wait.ts";
import type { SessionBody } from "../support/wire.ts";

const server = sharedServer();

describe("a session token (section 4)", () => {
  test("resumes its session", async () => {
    const first = await connect(server());
    const opened = first.welcome.session;
    await first.close();
    await using second = await connect(server(), { token: first.token });
    expect(opened?.resumed).toBe(false);
    expect(second.welcome).toHaveProperty("session", { ...opened, resumed: true });
  });

  test("resumes a session that never had a socket (section 3, POST /v1/sessions)", async () => {
    const session = await newSession(server());
    await using client = await connect(server(), { token: session.token });
    expect(client.welcome.session).toMatchObject({
      id: session.sessionId,
      userId: session.userId,
      resumed: true,
    });
  });

  test("takes the session over from its older connection, which is told goodbye and closed 4503", async () => {
    await using first = await connect(server());
    await using second = await connect(server(), { token: first.token });
    expect(await first.waitForClose()).toEqual({ code: 4503, reason: "replaced" });
    expect(first.frames().at(-1)).toMatchObject({
      type: "goodbye",
      code: 4503,
      reason: "replaced",
      reconnect: false,
    });
    await second.settle();
    expect(second.closed).toBeNull();
  });

  test("still serves HTTP calls after the take-over, as does the newer one", async () => {
    await using first = await connect(server());
    await using second = await connect(server(), { token: first.token });
    for (const token of [first.token, second.token]) {
      const answer = await apiOf(server(), token).call("GET", "/v1/sessions/current");
      expect(answer).toMatchObject({ status: 200, body: { id: first.sessionId } });
    }
  });
});

describe("a session without a socket (section 4)", () => {
  test("is away, and online again once it is resumed", async () => {
    const client = await connect(server());
    const api = apiOf(server(), client.token);
    const presence = async () => (await api.call<SessionBody>("GET", "/v1/sessions/current")).body.presence;
    expect(await presence()).toBe("online");
    await client.close();
    await until("presence away", async () => (await presence()) === "away");
    await using again = await connect(server(), { token: client.token });
    expect(again.sessionId).toBe(client.sessionId);
    expect(await presence()).toBe("online");
  });

  test("expires after resumeMs without use: socket 4501, HTTP 401 session_gone", async () => {
    await using brief = await startServer({ env: { HOLDLINE_RESUME_MS: "400" } });
    const client = await connect(brief);
    expect(client.welcome.limits?.resumeMs).toBe(400);
    await client.close();
    // Any question would count as use and put the expiry off.
    await letTimePass(1500);
    const late = dial(brief, { token: client.token });
    expect(await late.waitForClose()).toEqual({ code: 4501, reason: "session_gone" });
    expect(late.frames().map((frame) => frame.type)).toEqual(["goodbye"]);
    const answer = await call("GET", `${brief.url}/v1/jobs`, {
      headers: { authorization: `Bearer ${client.token}` },
    });
    expectProblem(answer, 401, "session_gone");
  });

  test("does not expire while its socket is open, nor while HTTP calls use it", async () => {
    await using brief = await startServer({ env: { HOLDLINE_RESUME_MS: "800" } });
    await using connected = await connect(brief);
    const used = await newSession(brief);
    const started = performance.now();
    await until("three times resumeMs to go by", async () => {
      const { status } = await used.call("GET", "/v1/sessions/current");
      expect(status).toBe(200);
      return performance.now() - started > 2400;
    });
    await connected.settle();
    expect(connected.closed).toBeNull();
  });
});

describe("a restart of the server (sections 1 and 4)", () => {
  test("leaves sessions, users and jobs as they were", async () => {
    await using mortal = await startServer();
    const client = await connect(mortal);
    const job = await apiOf(mortal, client.token).submit(lastingBody());
    await mortal.restart();
    await using again = await connect(mortal, { token: client.token });
    expect(again.welcome.session).toMatchObject({ id: client.sessionId, resumed: true });
    expect(again.welcome.jobs?.map(({ id }) => id)).toEqual([job.id]);
  });

  test("does not count the time while it was down against resumeMs", async () => {
    await using mortal = await startServer({ env: { HOLDLINE_RESUME_MS: "1500" } });
    const client = await connect(mortal);
    await mortal.kill("SIGKILL");
    await letTimePass(2500);
    await mortal.restart();
    await using again = await connect(mortal, { token: client.token });
    expect(again.welcome.session).toMatchObject({ id: client.sessionId, resumed: true });
  });
});
