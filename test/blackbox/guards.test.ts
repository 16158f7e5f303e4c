/** What is turned away before anything else is looked at: tokens in URLs, foreign origins, foreign hosts (PROTOCOL section 2). */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { type Api, apiOf, call, expectProblem, newSession, tokensBody } from "../support/http.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { sharedServer, startServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";

const server = sharedServer();
let api: Api;
beforeAll(async () => {
  api = await newSession(server());
});

describe("a token in a URL is 400 token_in_url (FAULTS S04)", () => {
  const names = ["token", "access_token", "session_token", "auth", "jwt", "key"];
  const queries = [
    ...names.map((name) => `${name}=x`),
    "anything=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl",
  ];

  test.each(queries)("over HTTP: ?%s", async (query) => {
    for (const path of ["/v1/jobs", "/v1/types", "/v1/sessions/current", "/v1/nothing"]) {
      expectProblem(await api.call("GET", `${path}?a=1&${query}`), 400, "token_in_url");
    }
    expectProblem(await api.call("POST", `/v1/jobs?${query}`, { json: tokensBody() }), 400, "token_in_url");
  });

  test.each(queries)("on connect: ?%s, before any upgrade", async (query) => {
    const answer = await rawRequest(server().port, {
      path: `/v1/connect?${query}`,
      headers: upgradeHeaders("holdline.v1"),
    });
    expect(answer?.status).toBe(400);
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({ code: "token_in_url" });
  });

  test("and no line of the log holds it, nor any token that came by another way", async () => {
    await using talkative = await startServer({ env: { HOLDLINE_LOG: "debug" } });
    const session = await newSession(talkative);
    await using client = await connect(talkative, { token: session.token });
    for (const path of ["/v1/jobs", "/v1/connect"]) {
      await session.call("GET", `${path}?token=needle-in-the-url`);
      await session.call("GET", `${path}?x=${session.token}`);
      await session.call("GET", path, { headers: { cookie: "__Host-holdline=needle-in-the-cookie" } });
    }
    await apiOf(talkative, "needle-in-the-header").call("GET", "/v1/jobs");
    expect((await session.post(tokensBody())).status).toBe(202);
    const output = talkative.output();
    expect(output).not.toContain("needle");
    for (const token of [session.token, client.token]) {
      expect(output).not.toContain(token);
      expect(output).not.toContain(token.split(".")[2] ?? token);
    }
  });
});

const FOREIGN = (port: number): string[] => [
  "null",
  "https://evil.example",
  `https://127.0.0.1:${port}`,
  `http://127.0.0.1:${port + 1}`,
  "http://127.0.0.1",
  `http://127.0.0.1:${port}.evil.example`,
  `http://evil127.0.0.1:${port}`,
  `http://localhost.evil.example:${port}`,
  `http://127.0.0.1:${port}/`,
  `http://127.0.0.1:${port}, http://127.0.0.1:${port}`,
  "file://",
  "",
];

describe("an Origin that is not allowed is 403 forbidden_origin (FAULTS S01)", () => {
  test("on connect, before the upgrade", async () => {
    for (const origin of FOREIGN(server().port)) {
      const headers = [...upgradeHeaders("holdline.v1"), ["Origin", origin] as const];
      const answer = await rawRequest(server().port, { path: "/v1/connect", headers });
      expect({ origin, status: answer?.status }).toEqual({ origin, status: 403 });
      expect(JSON.parse(answer?.body ?? "")).toMatchObject({ code: "forbidden_origin" });
    }
  });

  test("over HTTP, whatever the credential, and no job comes of it", async () => {
    const session = await newSession(server());
    for (const origin of FOREIGN(server().port).filter((text) => text !== "")) {
      const answer = await session.post(tokensBody(), { origin });
      expectProblem(answer, 403, "forbidden_origin");
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
    }
    const list = await session.call<{ items: JobBody[] }>("GET", "/v1/jobs");
    expect(list.body.items).toEqual([]);
  });

  test("even if the Host header calls itself the same", async () => {
    const headers = [
      ["Host", "evil.example"],
      ["Origin", "http://evil.example"],
      ...upgradeHeaders("holdline.v1"),
    ] as const;
    const answer = await rawRequest(server().port, { path: "/v1/connect", headers });
    expect(answer?.status).not.toBe(101);
    expect(answer?.status).toBeGreaterThanOrEqual(400);
  });
});

describe("an Origin that is allowed", () => {
  test("is, in open mode, any loopback name with the server's port", async () => {
    for (const host of ["127.0.0.1", "localhost", "[::1]"]) {
      const headers = [
        ...upgradeHeaders("holdline.v1"),
        ["Origin", `http://${host}:${server().port}`] as const,
      ];
      const answer = await rawRequest(server().port, { path: "/v1/connect", headers });
      expect({ host, status: answer?.status }).toEqual({ host, status: 101 });
    }
  });

  test("is echoed with credentials allowed and the headers of the protocol exposed", async () => {
    const origin = `http://localhost:${server().port}`;
    const answer = await api.call("GET", "/v1/jobs", { headers: { origin } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("access-control-allow-origin")).toBe(origin);
    expect(answer.headers.get("access-control-allow-credentials")).toBe("true");
    expect(answer.headers.get("vary")?.toLowerCase()).toContain("origin");
    const exposed = (answer.headers.get("access-control-expose-headers") ?? "").toLowerCase().split(/,\s*/);
    const wanted =
      "location retry-after etag x-trace-id idempotent-replayed preference-applied ratelimit ratelimit-policy";
    expect(exposed).toEqual(expect.arrayContaining(wanted.split(" ")));
  });

  test("gets its preflight answered; another one does not", async () => {
    const preflight = (origin: string) =>
      call("OPTIONS", `${server().url}/v1/jobs`, {
        headers: {
          origin,
          "access-control-request-method": "POST",
          "access-control-request-headers": "authorization,content-type,idempotency-key,prefer",
        },
      });
    const origin = `http://127.0.0.1:${server().port}`;
    const good = await preflight(origin);
    expect([200, 204]).toContain(good.status);
    expect(good.headers.get("access-control-allow-origin")).toBe(origin);
    expect(good.headers.get("access-control-allow-methods")).toContain("POST");
    const allowed = (good.headers.get("access-control-allow-headers") ?? "").toLowerCase();
    for (const name of ["authorization", "content-type", "idempotency-key", "prefer"])
      expect(allowed).toContain(name);
    const bad = await preflight("https://evil.example");
    expect(bad.status).toBe(403);
    expect(bad.headers.get("access-control-allow-origin")).toBeNull();
  });

  test("is what HOLDLINE_ALLOWED_ORIGINS lists, and then nothing else", async () => {
    const env = { HOLDLINE_ALLOWED_ORIGINS: "https://app.example,https://other.example:8443" };
    await using listed = await startServer({ env });
    const asked = async (origin: string) =>
      (await call("POST", `${listed.url}/v1/sessions`, { headers: { origin } })).status;
    expect(await asked("https://app.example")).toBe(201);
    expect(await asked("https://other.example:8443")).toBe(201);
    expect(await asked("https://other.example")).toBe(403);
    expect(await asked(`http://127.0.0.1:${listed.port}`)).toBe(403);
  });

  test("is never `*`", async () => {
    const answer = await api.call("GET", "/v1/jobs");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("access-control-allow-origin")).toBeNull();
  });
});

describe("the Host in open mode (section 2)", () => {
  const authorization = () => ["Authorization", `Bearer ${api.token}`] as const;

  test("may be any loopback name", async () => {
    for (const host of ["127.0.0.1", "localhost", "[::1]", "LOCALHOST"]) {
      const headers = [["Host", `${host}:${server().port}`] as const, authorization()];
      const answer = await rawRequest(server().port, { path: "/v1/jobs", headers });
      expect({ host, status: answer?.status }).toEqual({ host, status: 200 });
    }
  });

  const bad = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "10.0.0.1",
    "evil.example:80",
    "a b",
    "@",
    "%",
  ];
  test.each(bad)("may not be %s: 4xx to HTTP and to connect", async (host) => {
    const http = await rawRequest(server().port, {
      path: "/v1/jobs",
      headers: [["Host", host], authorization()],
    });
    expect(http?.status).toBeGreaterThanOrEqual(400);
    expect(http?.status).toBeLessThan(500);
    const socket = await rawRequest(server().port, {
      path: "/v1/connect",
      headers: [["Host", host], ...upgradeHeaders("holdline.v1")],
    });
    expect(socket?.status).toBeGreaterThanOrEqual(400);
    expect(socket?.status).toBeLessThan(500);
  });

  test("may be the one of HOLDLINE_PUBLIC_URL as well", async () => {
    await using named = await startServer({ env: { HOLDLINE_PUBLIC_URL: "https://jobs.example" } });
    const session = await newSession(named);
    for (const [host, status] of [
      ["jobs.example", 200],
      ["evil.example", null],
    ] as const) {
      const headers = [
        ["Host", host],
        ["Authorization", `Bearer ${session.token}`],
      ] as const;
      const answer = await rawRequest(named.port, { path: "/v1/jobs", headers });
      if (status === null) expect(answer?.status).toBeGreaterThanOrEqual(400);
      else expect(answer?.status).toBe(status);
    }
  });
});
