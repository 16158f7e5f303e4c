/** Credentials that are missing, bad or over, in open mode: what a socket and an HTTP call are told (PROTOCOL section 2). */
import { describe, expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, newSession } from "../support/http.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { forge, readToken, unsigned, userToken } from "../support/tokens.ts";
import { letTimePass, until } from "../support/wait.ts";

const server = sharedServer();

type Spoil = (token: string) => string;

const BAD: [name: string, spoil: Spoil][] = [
  ["no token at all", () => "garbage"],
  ["an empty signature", (token) => token.slice(0, token.lastIndexOf(".") + 1)],
  ["another signature", (token) => `${token.slice(0, -8)}AAAAAAAA`],
  ["another user in its claims", (token) => forge(token, { claims: { sub: "somebody" } })],
  ["another session in its claims", (token) => forge(token, { claims: { sid: Bun.randomUUIDv7() } })],
  ["a longer life in its claims", (token) => forge(token, { claims: { exp: 4_000_000_000 } })],
  ["alg none", (token) => unsigned(readToken(token).claims, { typ: "holdline-session+jwt" })],
  [
    "alg HS256 and its kid as the secret",
    (token) => {
      const { header, claims } = readToken(token);
      return userToken(String(header["kid"]), claims, { typ: "holdline-session+jwt", kid: header["kid"] });
    },
  ],
  ["another typ", (token) => forge(token, { header: { typ: "JWT" } })],
  ["a path as kid", (token) => forge(token, { header: { kid: "../../../etc/passwd" } })],
  [
    "a user's JWT, which open mode refuses",
    () => userToken("a secret of thirty-two characters", { sub: "alice" }),
  ],
];

describe("a bad credential (section 2, first row of the table)", () => {
  test.each(BAD)("with %s: HTTP 401 unauthenticated, socket 4500", async (_name, spoil) => {
    const session = await newSession(server());
    const token = spoil(session.token);
    const answer = await apiOf(server(), token).call("GET", "/v1/jobs");
    expectProblem(answer, 401, "unauthenticated");
    expect(answer.headers.get("www-authenticate")).toStartWith("Bearer");
    // Spaces and the like cannot stand in a subprotocol; these can.
    const client = dial(server(), { token });
    expect(await client.waitForClose()).toEqual({ code: 4500, reason: "unauthenticated" });
    expect(client.frames()).toMatchObject([
      { type: "goodbye", code: 4500, reason: "unauthenticated", reconnect: false },
    ]);
  });

  const headers: [name: string, header: Record<string, string>][] = [
    ["no Authorization", {}],
    ["an empty one", { authorization: "" }],
    ["another scheme", { authorization: "Basic YTpi" }],
    ["a scheme without a token", { authorization: "Bearer" }],
    ["two tokens", { authorization: "Bearer a b" }],
    ["a token beyond any length", { authorization: `Bearer ${"a".repeat(12_000)}` }],
  ];
  test.each(headers)("with %s: 401 unauthenticated", async (_name, header) => {
    expectProblem(await call("GET", `${server().url}/v1/jobs`, { headers: header }), 401, "unauthenticated");
  });

  test("decides, though a good one stands in a later place: a bad one does not fall back", async () => {
    const session = await newSession(server());
    const client = dial(server(), { token: session.token, headers: { authorization: "Bearer garbage" } });
    expect((await client.waitForClose()).code).toBe(4500);
  });

  test("is not needed in open mode to open a session, and needed for everything else", async () => {
    expect((await call("POST", `${server().url}/v1/sessions`)).status).toBe(201);
    const calls = [
      "GET /v1/jobs",
      "POST /v1/jobs",
      "GET /v1/sessions",
      "GET /v1/sessions/current",
      "DELETE /v1/sessions/current",
    ];
    for (const [method = "", path = ""] of calls.map((text) => text.split(" "))) {
      const answer = await call(method, server().url + path, method === "POST" ? { json: {} } : {});
      expectProblem(answer, 401, "unauthenticated");
    }
  });
});

describe("a session token that is over (section 2)", () => {
  test("is 401 token_expired over HTTP, and still resumes its session until resumeMs past its end", async () => {
    await using brief = await startServer({
      env: { HOLDLINE_SESSION_TOKEN_MS: "1000", HOLDLINE_RESUME_MS: "60000" },
    });
    const session = await newSession(brief);
    const answer = await until(
      "the token to be over",
      async () => {
        const asked = await session.call("GET", "/v1/jobs");
        return asked.status !== 200 && asked;
      },
      15_000,
    );
    expectProblem(answer, 401, "token_expired");
    await using client = await connect(brief, { token: session.token });
    expect(client.welcome.session).toMatchObject({ id: session.sessionId, resumed: true });
    expect((await apiOf(brief, client.token).call("GET", "/v1/jobs")).status).toBe(200);
  });

  test("closes a socket 4501 once its resume grace is over too", async () => {
    await using brief = await startServer({
      env: { HOLDLINE_SESSION_TOKEN_MS: "1000", HOLDLINE_RESUME_MS: "500" },
    });
    // The session lives on by its socket; only the old token ages.
    await using client = await connect(brief);
    const old = client.welcome.token ?? "";
    await client.waitFor("a newer token", (frame) => frame.type === "token");
    await letTimePass(2500);
    const late = dial(brief, { token: old });
    expect(await late.waitForClose()).toEqual({ code: 4501, reason: "session_gone" });
    expect(client.closed).toBeNull();
  });
});
