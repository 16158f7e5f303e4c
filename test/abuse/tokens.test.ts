/** Credentials that are missing, stolen, shown in the wrong place or over, against a real server (docs/security.md, S03 to S05, S13 to S15, S20). */
import { describe, expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { sharedServer } from "../support/server.ts";
import { userToken } from "../support/tokens.ts";
import { SECRET, seconds, tokenOf, WITH_SECRET, type Claims } from "./identity-provider.ts";
import { addressesOf } from "./routes.ts";
import { QUICK_MS, quickestMedianMs } from "./timing.ts";

const server = sharedServer({ env: { ...WITH_SECRET, HOLDLINE_LOG: "debug" } });
const strict = sharedServer({ env: { ...WITH_SECRET, HOLDLINE_AUTH_BINDING: "strict" } });

const PUBLIC = ["/healthz", "/readyz", "/openapi.json", "/asyncapi.json", "/docs", "/nothing"];

describe("S03 no or a bad credential", () => {
  const headers: [name: string, header: Record<string, string>][] = [
    ["none", {}],
    ["an empty one", { authorization: "" }],
    ["another scheme", { authorization: `Basic ${btoa("alice:alice")}` }],
    ["the scheme alone", { authorization: "Bearer" }],
    ["two of them", { authorization: `Bearer ${tokenOf("alice")}, Bearer ${tokenOf("alice")}` }],
    ["one in a parameter", { authorization: `Bearer token="${tokenOf("alice")}"` }],
    ["garbage", { authorization: "Bearer garbage" }],
    ["dots", { authorization: "Bearer .." }],
    ["more than a token can be", { authorization: `Bearer ${"a".repeat(12_000)}` }],
    [
      "a token of 12,000 characters that is genuine",
      { authorization: `Bearer ${tokenOf("alice", { pad: "p".repeat(8600) })}` },
    ],
    ["another name of the header", { "x-authorization": `Bearer ${tokenOf("alice")}` }],
    [
      "a bad one in front of a cookie that is good",
      {
        authorization: `Basic ${btoa("alice:alice")}`,
        cookie: `__Host-holdline=${tokenOf("alice")}`,
        "sec-fetch-site": "same-origin",
      },
    ],
    ["a user's name", { "x-user-id": "alice", "x-forwarded-user": "alice" }],
  ];
  test.each(headers)("S03 %s → 401 at every address that is not public, quickly", async (_name, header) => {
    const addresses = (await addressesOf(server())).filter(
      ({ path }) => path !== "/" && path !== "/v1/connect" && !PUBLIC.some((open) => path.startsWith(open)),
    );
    expect(addresses.length).toBeGreaterThan(15);
    for (const { method, path } of addresses) {
      const answer = await call(method, server().url + path, { headers: header });
      expect({ method, path, status: answer.status, code: answer.body.code }).toEqual({
        method,
        path,
        status: 401,
        code: "unauthenticated",
      });
      expect(answer.headers.get("www-authenticate")).toStartWith("Bearer ");
    }
    const took = await quickestMedianMs(() => call("GET", `${server().url}/v1/jobs`, { headers: header }));
    expect(took).toBeLessThan(QUICK_MS);
  });

  test.each(["none", "bearer.", "bearer.garbage", "bearer...", "session.garbage", "bearer.a, bearer.b"])(
    "S03 %s on connect → 4500 after the handshake, and no welcome",
    async (offer) => {
      const protocols = ["holdline.v1", ...(offer === "none" ? [] : offer.split(", "))];
      const client = dial(server(), { protocols });
      expect(await client.waitForClose()).toEqual({ code: 4500, reason: "unauthenticated" });
      expect(client.frames().map(({ type }) => type)).toEqual(["goodbye"]);
    },
  );
});

describe("S04 a token in the URL", () => {
  const places: [name: string, query: (token: string) => string][] = [
    ["under a known name", (token) => `access_token=${token}`],
    ["under a known name in capitals", (token) => `ToKeN=${token}`],
    ["under a name of its own", (token) => `state=${token}`],
    ["without a name", (token) => token],
    ["behind others", (token) => `limit=1&status=queued&a=${token}`],
    ["percent-encoded", (token) => `a=${token.replaceAll(".", "%2E")}`],
    ["after its scheme", (token) => `a=Bearer%20${token}`],
    ["without its signature", (token) => `a=${token.slice(0, token.lastIndexOf(".") + 1)}`],
  ];
  test.each(places)(
    "S04 %s → 400 over HTTP and on connect, and no log or answer holds it",
    async (_name, query) => {
      const token = tokenOf("alice", { jti: `needle-${Bun.randomUUIDv7()}` });
      const authorization = { authorization: `Bearer ${tokenOf("alice")}` };
      const answer = await call("GET", `${server().url}/v1/jobs?${query(token)}`, { headers: authorization });
      expectProblem(answer, 400, "token_in_url");
      const socket = await rawRequest(server().port, {
        path: `/v1/connect?${query(token)}`,
        headers: upgradeHeaders("holdline.v1"),
      });
      expect(socket?.status).toBe(400);
      const claims = token.split(".")[1] ?? token;
      for (const text of [answer.text, socket?.body, server().output()]) expect(text).not.toContain(claims);
    },
  );

  test.each(["/v1/jobs/{}", "/v1/jobs/{}/events", "/v1/rooms/{}/presence", "/{}", "/v1/connect/{}"])(
    "S04 in the path %s → 400, and no log or answer holds it",
    async (path) => {
      const jwt = tokenOf("alice", { jti: `needle-${Bun.randomUUIDv7()}` });
      const machine = `hlw_${"needle".repeat(8)}`;
      for (const token of [jwt, jwt.replaceAll(".", "%2E"), machine]) {
        const answer = await call("GET", server().url + path.replace("{}", token));
        expectProblem(answer, 400, "token_in_url");
        expect(answer.body.instance).toBe(path.replace("{}", "-"));
        const secret = token === machine ? "needleneedle" : (jwt.split(".")[1] ?? jwt);
        for (const text of [answer.text, server().output()]) expect(text).not.toContain(secret);
      }
    },
  );
});

describe("S05 the bearer subprotocol", () => {
  test("S05 is never echoed, wherever it stands, and never logged", async () => {
    const token = tokenOf("alice");
    const session = await newSession(server(), token);
    const offers = [
      `bearer.${token}, holdline.v1`,
      `holdline.v1, bearer.${token}`,
      `bearer.${token}, holdline.v1, session.${session.token}`,
      `holdline.v1,bearer.${token}spoiled`,
    ];
    for (const offer of offers) {
      const answer = await rawRequest(server().port, { path: "/v1/connect", headers: upgradeHeaders(offer) });
      expect(answer?.status).toBe(101);
      expect(answer?.headers.get("sec-websocket-protocol")).toBe("holdline.v1");
      expect(JSON.stringify([...(answer?.headers ?? [])])).not.toContain(token.slice(-20));
    }
    const without = await rawRequest(server().port, {
      path: "/v1/connect",
      headers: upgradeHeaders(`bearer.${token}`),
    });
    expect(without?.status).toBe(400);
    for (const text of [without?.body, server().output()]) {
      for (const secret of [token, session.token]) expect(text).not.toContain(secret.slice(-20));
    }
  });
});

describe("S13 a stolen session token", () => {
  const ask = (target: { readonly url: string }, session: string, beside: Record<string, string>) =>
    apiOf(target, session).call("GET", "/v1/jobs", { headers: beside });

  test("S13 with another user's token beside it → 401 token_binding", async () => {
    const { token } = await newSession(server(), tokenOf("alice"));
    const mallory = { "holdline-user-token": tokenOf("mallory") };
    expectProblem(await ask(server(), token, mallory), 401, "token_binding");
    expect((await ask(server(), token, {})).status).toBe(200);
    expect((await ask(server(), token, { "holdline-user-token": tokenOf("alice") })).status).toBe(200);
  });

  test("S13 in strict mode → 401 token_binding with anything but the very token it was made from", async () => {
    const mine = tokenOf("alice");
    const { token } = await newSession(strict(), mine);
    const origin = strict().url;
    const others: Record<string, string>[] = [
      {},
      { "holdline-user-token": tokenOf("alice") },
      { "holdline-user-token": tokenOf("mallory") },
      { "holdline-user-token": token },
      { "holdline-user-token": "" },
      { "holdline-user-token": `${mine} ` + mine },
      { cookie: `holdline=${mine}` },
    ];
    for (const beside of others) expectProblem(await ask(strict(), token, beside), 401, "token_binding");
    expectProblem(await ask(strict(), mine, { "holdline-user-token": mine }), 401, "token_binding");
    expectProblem(await ask(strict(), token, { cookie: `__Host-holdline=${mine}` }), 403, "forbidden_origin");
    expectProblem(
      await ask(strict(), token, {
        cookie: `__Host-holdline=${tokenOf("alice")}`,
        "sec-fetch-site": "same-origin",
      }),
      401,
      "token_binding",
    );
    expectProblem(
      await apiOf(strict(), token).call("POST", "/v1/jobs", { json: tokensBody(), headers: { origin } }),
      403,
      "forbidden_origin",
    );
    expect((await ask(strict(), token, { "holdline-user-token": mine })).status).toBe(200);
    const sameOrigin = { cookie: `__Host-holdline=${mine}`, "sec-fetch-site": "same-origin" };
    expect((await ask(strict(), token, sameOrigin)).status).toBe(200);
  });

  test("S13 in strict mode opens no socket alone → 4500", async () => {
    const { token } = await newSession(strict(), tokenOf("alice"));
    expect((await dial(strict(), { token }).waitForClose()).code).toBe(4500);
    await using client = await connect(strict(), { token: tokenOf("alice"), session: token });
    expect(client.welcome.session).toMatchObject({ resumed: true });
  });
});

describe("S14 a user token that expires while its socket is open", () => {
  test("S14 → 4005 after the grace, token_expired over HTTP; a fresh one resumes the session", async () => {
    // Over for 7 s, which the leeway of 10 s forgives for 3 s more.
    const dying = tokenOf("alice", { exp: seconds(-7), iat: seconds(-60) });
    const client = await connect(server(), { token: dying });
    await using unaffected = await connect(server(), { token: tokenOf("alice") });
    expect(await client.waitForClose()).toEqual({ code: 4005, reason: "token_expired" });
    expect(client.frames().at(-1)).toMatchObject({ type: "goodbye", code: 4005, reconnect: true });
    expectProblem(await apiOf(server(), client.token).call("GET", "/v1/jobs"), 401, "token_expired");
    expectProblem(await apiOf(server(), dying).call("GET", "/v1/jobs"), 401, "token_expired");
    expect((await dial(server(), { token: client.token }).waitForClose()).code).toBe(4005);
    expect((await dial(server(), { token: dying }).waitForClose()).code).toBe(4005);
    await using fresh = await connect(server(), { token: tokenOf("alice"), session: client.token });
    expect(fresh.welcome.session).toMatchObject({ id: client.sessionId, resumed: true });
    await unaffected.settle();
    expect(unaffected.closed).toBeNull();
  });
});

describe("S15 refresh", () => {
  test("S15 with another sub → 4502, and the session is not the other user's", async () => {
    const client = await connect(server(), { token: tokenOf("alice") });
    client.send({ type: "refresh", token: tokenOf("mallory"), id: "r" });
    expect(await client.waitForClose()).toEqual({ code: 4502, reason: "revoked" });
    const current = await apiOf(server(), client.token).call("GET", "/v1/sessions/current");
    expect(current).toMatchObject({ status: 200, body: { id: client.sessionId, userId: "alice" } });
  });

  const useless: [name: string, make: (session: string) => string, code: string][] = [
    ["garbage", () => "garbage", "unauthenticated"],
    ["another key", () => userToken("x".repeat(40), { sub: "alice" }), "unauthenticated"],
    ["its own session token", (session) => session, "unauthenticated"],
    ["one that is over", () => tokenOf("alice", { exp: seconds(-60) }), "token_expired"],
  ];
  test.each(useless)("S15 with %s → an error, and everything stays as it was", async (_name, make, code) => {
    await using client = await connect(server(), { token: tokenOf("alice") });
    expect(await client.ask({ type: "refresh", token: make(client.token) })).toMatchObject({
      type: "error",
      code,
    });
    await client.settle();
    expect(client.frames("token")).toEqual([]);
    expect(client.closed).toBeNull();
  });
});

describe("S20 claims that say when", () => {
  const bad: [name: string, claims: Claims, code: string][] = [
    ["exp missing", { exp: undefined }, "unauthenticated"],
    ["exp as text", { exp: String(seconds(60)) }, "unauthenticated"],
    ["exp null", { exp: null }, "unauthenticated"],
    ["exp in a list", { exp: [seconds(60)] }, "unauthenticated"],
    ["exp 1e308", { exp: 1e308 }, "unauthenticated"],
    ["exp in milliseconds", { exp: seconds(60) * 1000 }, "unauthenticated"],
    ["exp past", { exp: seconds(-60) }, "token_expired"],
    ["exp zero", { exp: 0 }, "token_expired"],
    ["exp below zero", { exp: -1e308 }, "token_expired"],
    ["nbf in the future", { nbf: seconds(60) }, "unauthenticated"],
    ["nbf as text", { nbf: "0" }, "unauthenticated"],
    ["iat in the future", { iat: seconds(60) }, "unauthenticated"],
    ["iat as text", { iat: "0" }, "unauthenticated"],
    ["iat 1e308", { iat: 1e308 }, "unauthenticated"],
    ["no sub", { sub: undefined }, "unauthenticated"],
    ["sub a number", { sub: 5 }, "unauthenticated"],
    ["sub without end", { sub: "a".repeat(256) }, "unauthenticated"],
    ["sub with NUL", { sub: "alice\u0000" }, "unauthenticated"],
    ["sub with half a character", { sub: "alice\ud800" }, "unauthenticated"],
    ["narrowing claim that is none", { holdline: { types: "tokens" } }, "unauthenticated"],
  ];
  test.each(bad)("S20 %s → 401, quickly", async (_name, claims, code) => {
    const token = userToken(SECRET, { sub: "alice", ...claims });
    const ask = () => apiOf(server(), token).call("GET", "/v1/jobs");
    expectProblem(await ask(), 401, code);
    expect((await dial(server(), { token }).waitForClose()).code).toBe(
      code === "token_expired" ? 4005 : 4500,
    );
    expect(await quickestMedianMs(ask)).toBeLessThan(QUICK_MS);
  });
});
