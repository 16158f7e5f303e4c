/** With a user-token key configured: user tokens, session tokens, both together, and the cookie (PROTOCOL sections 2 and 4). */
import { describe, expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { readToken, unsigned, userToken } from "../support/tokens.ts";

const SECRET = "a secret of more than thirty-two characters";
const now = (): number => Math.floor(Date.now() / 1000);
const alice = (claims: Record<string, unknown> = {}): string =>
  userToken(SECRET, { sub: "alice", ...claims });
const bob = (): string => userToken(SECRET, { sub: "bob" });

const server = sharedServer({ env: { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on" } });

describe("a user token", () => {
  test("opens a new session of its sub; the session token is bound to it by uth", async () => {
    const token = alice();
    await using client = await connect(server(), { token });
    expect(client.welcome.session).toMatchObject({ userId: "alice", resumed: false });
    const uth = new Bun.CryptoHasher("sha256").update(token).digest("base64url");
    expect(readToken(client.token).claims).toMatchObject({ sub: "alice", sid: client.sessionId, uth });
  });

  test("opens another session each time; all of them are the same user's", async () => {
    await using first = await connect(server(), { token: alice() });
    await using second = await connect(server(), { token: alice() });
    expect(second.sessionId).not.toBe(first.sessionId);
    const { id } = await apiOf(server(), first.token).submit(tokensBody());
    await first.waitForEnd(id);
    await second.attach(id);
    await second.waitForEnd(id);
    expectWhole(await apiOf(server(), second.token).log(id), [{ after: 0, events: second.events(id) }]);
  });

  test("alone serves HTTP calls: its jobs belong to the user and to no session", async () => {
    await using client = await connect(server(), { token: alice() });
    const api = apiOf(server(), alice());
    const { id } = await api.submit(tokensBody());
    await api.finished(id);
    await client.settle();
    expect(client.events(id)).toEqual([]);
    await client.attach(id);
    await client.waitForEnd(id);
    await using again = await connect(server(), { token: client.token });
    expect(again.welcome.jobs?.map((job) => job.id)).not.toContain(id);
  });

  test("alone cannot ask for onDisconnect cancel, which needs a session", async () => {
    const answer = await apiOf(server(), alice()).post(lastingBody({ onDisconnect: "cancel" }));
    expectProblem(answer, 400, "invalid_request");
    expect(answer.body.errors?.map(({ pointer }) => pointer)).toEqual(["/onDisconnect"]);
  });

  test("limits the life of its session token to its own", async () => {
    const exp = now() + 60;
    await using client = await connect(server(), { token: alice({ exp }) });
    expect(Number(readToken(client.token).claims["exp"])).toBeLessThanOrEqual(exp);
  });

  test("narrows by holdline.types what may be submitted", async () => {
    const api = apiOf(server(), alice({ holdline: { types: ["tok*"] } }));
    expect((await api.post(tokensBody())).status).toBe(202);
    expectProblem(await api.post({ type: "speech", input: { text: "Hi." } }), 403, "forbidden");
    await using client = await connect(server(), { token: alice({ holdline: { types: ["speech"] } }) });
    expectProblem(await apiOf(server(), client.token).post(tokensBody()), 403, "forbidden");
  });
});

describe("a bad user token", () => {
  const bad: [name: string, make: () => string, code: string, close: number][] = [
    [
      "signed with another secret",
      () => userToken("another secret of thirty-two chars", { sub: "alice" }),
      "unauthenticated",
      4500,
    ],
    ["unsigned", () => unsigned({ sub: "alice", exp: now() + 60 }), "unauthenticated", 4500],
    ["without exp", () => alice({ exp: undefined }), "unauthenticated", 4500],
    ["with exp as text", () => alice({ exp: String(now() + 60) }), "unauthenticated", 4500],
    ["without sub", () => alice({ sub: undefined }), "unauthenticated", 4500],
    ["with an empty sub", () => alice({ sub: "" }), "unauthenticated", 4500],
    [
      "that says alg RS256",
      () => userToken(SECRET, { sub: "alice" }, { alg: "RS256" }),
      "unauthenticated",
      4500,
    ],
    ["that is not valid yet", () => alice({ nbf: now() + 600 }), "unauthenticated", 4500],
    [
      "that calls itself a session token",
      () => userToken(SECRET, { sub: "alice", sid: "x" }, { typ: "holdline-session+jwt" }),
      "unauthenticated",
      4500,
    ],
    ["that is over", () => alice({ exp: now() - 20 }), "token_expired", 4005],
  ];
  test.each(bad)("%s", async (_name, make, code, close) => {
    expectProblem(await apiOf(server(), make()).call("GET", "/v1/jobs"), 401, code);
    const client = dial(server(), { token: make() });
    expect((await client.waitForClose()).code).toBe(close);
  });

  test("over by less than the leeway of 10 s is still good", async () => {
    expect((await apiOf(server(), alice({ exp: now() - 5 })).call("GET", "/v1/jobs")).status).toBe(200);
  });

  test("none at all: 401 unauthenticated and 4500, to POST /v1/sessions as well", async () => {
    expectProblem(await call("POST", `${server().url}/v1/sessions`), 401, "unauthenticated");
    expect((await dial(server()).waitForClose()).code).toBe(4500);
  });
});

describe("both tokens", () => {
  test("resume the session under the fresh user token", async () => {
    await using first = await connect(server(), { token: alice() });
    const fresh = alice({ jti: "fresh" });
    await using second = await connect(server(), { token: fresh, session: first.token });
    expect(second.welcome.session).toMatchObject({ id: first.sessionId, resumed: true });
    const uth = new Bun.CryptoHasher("sha256").update(fresh).digest("base64url");
    expect(readToken(second.token).claims).toMatchObject({ uth });
  });

  test("of different users do not go together", async () => {
    await using first = await connect(server(), { token: alice() });
    const client = dial(server(), { token: bob(), session: first.token });
    expect((await client.waitForClose()).code).toBeGreaterThanOrEqual(4500);
    await first.settle();
    expect(first.closed).toBeNull();
  });
});

describe("refresh", () => {
  test("takes a fresh token of the same user, and closes 4502 for another's", async () => {
    const client = await connect(server(), { token: alice() });
    expect(await client.ask({ type: "refresh", token: alice({ jti: "next" }) })).toMatchObject({
      type: "ok",
    });
    client.send({ type: "refresh", token: bob() });
    expect(await client.waitForClose()).toEqual({ code: 4502, reason: "revoked" });
  });
});

describe("the cookie", () => {
  const origin = () => `http://127.0.0.1:${server().port}`;
  const cookie = () => `__Host-holdline=${alice()}`;

  test("counts only with an allowed Origin, or on a same-origin GET", async () => {
    await using own = await startServer({
      env: {
        HOLDLINE_AUTH_SECRET: SECRET,
        HOLDLINE_TOKENS: "on",
        HOLDLINE_ALLOWED_ORIGINS: "https://app.example",
      },
    });
    const ask = (method: string, headers: Record<string, string>) =>
      call(method, `${own.url}/v1/${method === "GET" ? "jobs" : "sessions"}`, {
        headers: { cookie: cookie(), ...headers },
      });
    expect((await ask("GET", { origin: "https://app.example" })).status).toBe(200);
    expect((await ask("POST", { origin: "https://app.example" })).status).toBe(201);
    expect((await ask("GET", { "sec-fetch-site": "same-origin" })).status).toBe(200);
    for (const [method, headers] of [
      ["GET", {}],
      ["POST", {}],
      ["POST", { "sec-fetch-site": "same-origin" }],
      ["GET", { "sec-fetch-site": "cross-site" }],
    ] as const) {
      expect((await ask(method, headers)).status).toBeOneOf([401, 403]);
    }
    expectProblem(await ask("POST", { origin: "https://evil.example" }), 403, "forbidden_origin");
  });

  test("stands behind the Authorization header", async () => {
    const headers = { cookie: cookie(), origin: origin(), authorization: "Bearer garbage" };
    expect((await call("GET", `${server().url}/v1/jobs`, { headers })).status).toBeOneOf([401, 403]);
  });
});

describe("too many sessions", () => {
  test("of one user: 429 too_many_sessions and 4505, and another user is free", async () => {
    await using strict = await startServer({
      env: { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on", HOLDLINE_USER_SESSIONS: "2" },
    });
    await newSession(strict, alice());
    await newSession(strict, alice());
    expectProblem(await apiOf(strict, alice()).call("POST", "/v1/sessions"), 429, "too_many_sessions");
    const client = dial(strict, { token: alice() });
    expect(await client.waitForClose()).toEqual({ code: 4505, reason: "too_many_sessions" });
    await newSession(strict, bob());
  });
});

describe("logging out", () => {
  test("cancels this session's jobs with onDisconnect cancel, for the reason logged_out, and leaves the user's others", async () => {
    const [leaving, staying] = [await newSession(server(), alice()), await newSession(server(), alice())];
    const bound = await leaving.submit(lastingBody({ onDisconnect: "cancel", orphanMs: 3_600_000 }));
    const free = await leaving.submit(lastingBody());
    await staying.inStatus(bound.id, "running");
    expect((await leaving.call("DELETE", "/v1/sessions/current")).status).toBe(204);
    expect(await staying.finished(bound.id)).toMatchObject({ status: "canceled" });
    expect((await staying.log(bound.id)).at(-1)?.data.reason).toBe("logged_out");
    expect((await staying.job(free.id)).terminal).toBe(false);
    await staying.cancel(free.id);
  });
});
