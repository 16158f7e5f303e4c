/** Floods of frames, crowds of sockets and borrowed addresses against a real server (FAULTS S08, S09, S36). */
import { describe, expect, test } from "bun:test";
import { connect, dial, type Client } from "../support/client.ts";
import { apiOf, call, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { userToken } from "../support/tokens.ts";
import { letTimePass } from "../support/wait.ts";
import type { SessionCreatedBody } from "../support/wire.ts";

const SECRET = "a secret of the operator that is long enough";
const WITH_USERS = { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on" };
const UNKNOWN_JOB = "01890a5d-ac96-774b-bcce-b302099a8057";

const tokenOf = (sub: string): string => userToken(SECRET, { sub });

/** Frames that are refused for their job are as good as any for counting. */
async function askOften(client: Client, times: number): Promise<string[]> {
  const codes: string[] = [];
  for (let n = 0; n < times; n += 1) codes.push(String((await client.attach(UNKNOWN_JOB)).code));
  return codes;
}

describe("S08 a flood of frames", () => {
  test("S08 is told rate_limited, then closed 4504", async () => {
    await using server = await startServer({ env: { HOLDLINE_FRAMES_PER_MINUTE: "20" } });
    const client = await connect(server);
    expect(new Set(await askOften(client, 20))).toEqual(new Set(["not_found"]));
    expect(await client.attach(UNKNOWN_JOB)).toMatchObject({
      type: "error",
      code: "rate_limited",
      retryable: true,
    });
    for (let n = 0; n < 20; n += 1) client.send({ type: "detach", job: UNKNOWN_JOB });
    expect(await client.waitForClose()).toEqual({ code: 4504, reason: "protocol_error" });
    expect(client.frames().at(-1)).toMatchObject({ type: "goodbye", code: 4504, reconnect: false });
    // The next connection is another user's here, and it is served.
    await using next = await connect(server);
    expect(await next.attach(UNKNOWN_JOB)).toMatchObject({ code: "not_found" });
  });

  test("S08 that goes quiet is served again as its quota grows back", async () => {
    await using server = await startServer({ env: { HOLDLINE_FRAMES_PER_MINUTE: "60" } });
    await using client = await connect(server);
    const codes = await askOften(client, 62);
    expect(codes.at(-1)).toBe("rate_limited");
    await letTimePass(1100);
    expect(await client.attach(UNKNOWN_JOB)).toMatchObject({ code: "not_found" });
    expect(client.closed).toBeNull();
  });

  test("S08 before the welcome counts as well", async () => {
    await using server = await startServer({ env: { HOLDLINE_FRAMES_PER_MINUTE: "20" } });
    const frames = Array.from({ length: 45 }, (_, n) => ({
      type: "detach",
      job: UNKNOWN_JOB,
      id: String(n),
    }));
    const client = dial(server, { firstFrames: frames });
    expect((await client.waitForClose()).code).toBe(4504);
    const refused = client.frames("error").filter(({ code }) => code === "rate_limited");
    expect(refused).toHaveLength(21);
    expect(client.frames("ok").length).toBeLessThanOrEqual(20);
  });

  test("S08 is counted for the user, over all sockets", async () => {
    await using server = await startServer({ env: { ...WITH_USERS, HOLDLINE_FRAMES_PER_MINUTE: "20" } });
    await using first = await connect(server, { token: tokenOf("ada") });
    await using second = await connect(server, { token: tokenOf("ada") });
    await using other = await connect(server, { token: tokenOf("ben") });
    await askOften(first, 10);
    expect((await askOften(second, 11)).at(-1)).toBe("rate_limited");
    expect(await other.attach(UNKNOWN_JOB)).toMatchObject({ code: "not_found" });
  });

  test("S08 answers to pings do not count, pongs that nobody asked for do", async () => {
    await using server = await startServer({
      env: { HOLDLINE_FRAMES_PER_MINUTE: "20", HOLDLINE_PING_MS: "20" },
    });
    await using client = await connect(server);
    await client.waitFor("40 pings", () => client.frames("ping").length >= 40);
    expect(await client.attach(UNKNOWN_JOB)).toMatchObject({ code: "not_found" });

    const flood = await connect(server);
    for (let n = 0; n < 200; n += 1) flood.send({ type: "pong", at: 0 });
    expect((await flood.waitForClose()).code).toBe(4504);
  });

  test("S08 that waits for slow answers is closed 4003 at the bound of the inbox", async () => {
    await using server = await startServer();
    const api = await newSession(server);
    const client = await connect(server, { token: api.token });
    const { id } = await api.submit(tokensBody());
    const { head } = await api.finished(id);
    // Each receipt waits for the disk.
    for (let n = 0; n < 5000 && client.closed === null; n += 1)
      client.send({ type: "ack", job: id, seq: head });
    expect(await client.waitForClose()).toEqual({ code: 4003, reason: "overloaded" });
    expect(client.frames().at(-1)).toMatchObject({ type: "goodbye", code: 4003, reconnect: true });
  });
});

describe("S09 too many sockets", () => {
  test("S09 of one user are closed 4505, another user's are not, nor is one that resumes", async () => {
    await using server = await startServer({ env: { ...WITH_USERS, HOLDLINE_USER_SESSIONS: "3" } });
    const token = tokenOf("ada");
    await using first = await connect(server, { token });
    await using second = await connect(server, { token });
    await using third = await connect(server, { token });
    const fourth = dial(server, { token });
    expect(await fourth.waitForClose()).toEqual({ code: 4505, reason: "too_many_sessions" });
    expect(fourth.frames().at(-1)).toMatchObject({ type: "goodbye", code: 4505, reconnect: false });
    await (await connect(server, { token: tokenOf("ben") })).close();
    await using again = await connect(server, { token: first.token });
    expect(again.welcome.session).toMatchObject({ id: first.sessionId, resumed: true });

    const refused = await apiOf(server, token).call("POST", "/v1/sessions");
    expectProblem(refused, 429, "too_many_sessions");
    expect(refused.body).toMatchObject({ limit: "userSessions" });
    expect(refused.headers.get("retry-after")).toMatch(/^[1-9]\d*$/);
    expect(refused.headers.get("ratelimit")).toMatch(/^"sessions";r=0;t=\d+$/);
    expect(refused.headers.get("ratelimit-policy")).toBe('"sessions";q=3;qu="concurrent-requests"');

    expect((await apiOf(server, third.token).call("DELETE", "/v1/sessions/current")).status).toBe(204);
    await (await connect(server, { token })).close();
    expect(second.closed).toBeNull();
  });

  test("S09 at once: exactly as many as are allowed come in", async () => {
    await using server = await startServer({ env: { ...WITH_USERS, HOLDLINE_USER_SESSIONS: "5" } });
    const clients = Array.from({ length: 40 }, () => dial(server, { token: tokenOf("ada") }));
    await Promise.all(
      clients.map((client) => client.waitFor("welcome or goodbye", ({ type }) => type !== "ping")),
    );
    expect(clients.filter((client) => client.frames("welcome").length === 1)).toHaveLength(5);
    await Promise.all(clients.map((client) => client.close()));
    expect(clients.filter(({ closed }) => closed?.code === 4505)).toHaveLength(35);
  });

  test("S09 without a user: as many of one address as of one user, and a proxy's address is its client's", async () => {
    await using server = await startServer({
      env: { HOLDLINE_USER_SESSIONS: "3", HOLDLINE_TRUSTED_PROXIES: "127.0.0.1" },
    });
    const from = (address: string) => ({ "x-forwarded-for": address });
    const post = (headers: Record<string, string>) =>
      apiOf(server, "").call<SessionCreatedBody>("POST", "/v1/sessions", { headers });
    const first = await post(from("203.0.113.7"));
    expect(first.status).toBe(201);
    expect((await post(from("203.0.113.7"))).status).toBe(201);
    await using third = await connect(server, { headers: from("203.0.113.7") });
    const refused = await post(from("203.0.113.7"));
    expectProblem(refused, 429, "too_many_sessions");
    expect(refused.body).toMatchObject({ limit: "userSessions" });
    expect(refused.headers.get("ratelimit-policy")).toBe('"sessions";q=3;qu="concurrent-requests"');
    const closed = await dial(server, { headers: from("203.0.113.7") }).waitForClose();
    expect(closed).toEqual({ code: 4505, reason: "too_many_sessions" });
    // A session that is there already is resumed, and another address is another one.
    await third.close();
    await using again = await connect(server, { token: third.token, headers: from("203.0.113.7") });
    expect(again.welcome.session).toMatchObject({ resumed: true });
    expect((await post(from("203.0.113.8"))).status).toBe(201);
    expect((await apiOf(server, first.body.token).call("DELETE", "/v1/sessions/current")).status).toBe(204);
    expect((await post(from("203.0.113.7"))).status).toBe(201);
    // Nobody else than this machine: a developer, or a proxy that says nothing of its clients.
    for (let n = 0; n < 10; n += 1) expect((await post({})).status).toBe(201);
  });

  test("S09 of one address are refused 429 before the upgrade", async () => {
    await using server = await startServer({ env: { HOLDLINE_RATE_PER_MINUTE: "5" } });
    const statuses: number[] = [];
    for (let n = 0; n < 5; n += 1) {
      await using client = await connect(server);
      statuses.push(client.frames("welcome").length);
    }
    expect(statuses).toEqual([1, 1, 1, 1, 1]);
    const refused = await rawRequest(server.port, {
      path: "/v1/connect",
      headers: upgradeHeaders("holdline.v1"),
    });
    expect(refused).toMatchObject({ status: 429 });
    expect(refused?.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(refused?.headers.get("ratelimit")).toStartWith('"default";r=0;');
    expect(JSON.parse(refused?.body ?? "")).toMatchObject({ code: "rate_limited" });
  });
});

/** Opens sessions until one is refused; how many were opened. */
async function openUntilLimited(
  server: TestServer,
  headersOf: (n: number) => Record<string, string>,
): Promise<number> {
  for (let n = 0; n < 40; n += 1) {
    const answer = await call("POST", `${server.url}/v1/sessions`, { headers: headersOf(n) });
    if (answer.status === 429) return n;
    expect(answer.status).toBe(201);
  }
  throw new Error("40 sessions were opened");
}

describe("S36 spoofed headers", () => {
  const spoofed = (n: number): Record<string, string> => ({
    "x-forwarded-for": `203.0.113.${n}`,
    forwarded: `for=203.0.113.${n}`,
    "x-real-ip": `203.0.113.${n}`,
    "x-user-id": `user-${n}`,
  });

  test("S36 do not help against the limit of an address", async () => {
    await using server = await startServer({ env: { HOLDLINE_RATE_PER_MINUTE: "10" } });
    expect(await openUntilLimited(server, spoofed)).toBe(10);
  });

  test("S36 do not help when the trusted proxy is another machine", async () => {
    await using server = await startServer({
      env: { HOLDLINE_RATE_PER_MINUTE: "10", HOLDLINE_TRUSTED_PROXIES: "10.0.0.0/8,::1" },
    });
    expect(await openUntilLimited(server, spoofed)).toBe(10);
  });

  test("S36 count when they come from a trusted proxy, and only the entry that it wrote", async () => {
    await using server = await startServer({
      env: { HOLDLINE_RATE_PER_MINUTE: "10", HOLDLINE_TRUSTED_PROXIES: "127.0.0.0/8" },
    });
    const seen = (client: string) => (n: number) => ({ "x-forwarded-for": `198.51.100.${n}, ${client}` });
    expect(await openUntilLimited(server, seen("203.0.113.1"))).toBe(10);
    expect(await openUntilLimited(server, seen("203.0.113.2"))).toBe(10);
    // A whole /64 is one customer.
    const inOneNetwork = (n: number) => ({ "x-forwarded-for": `2001:db8:1:2::${n}` });
    expect(await openUntilLimited(server, inOneNetwork)).toBe(10);
    expect(await openUntilLimited(server, () => ({ "x-forwarded-for": "2001:db8:1:3::1" }))).toBe(10);
  });

  test("S36 make nobody somebody else", async () => {
    await using server = await startServer();
    const [api, other] = [await newSession(server), await newSession(server)];
    const headers = {
      "x-user-id": other.userId,
      "x-forwarded-user": other.userId,
      "remote-user": other.userId,
    };
    const answer = await api.call<{ userId: string }>("GET", "/v1/sessions/current", { headers });
    expect(answer.body.userId).toBe(api.userId);
    expectProblem(await call("GET", `${server.url}/v1/jobs`, { headers }), 401, "unauthenticated");
  });
});
