/** The identity provider's key set in the hands of strangers, and the provider itself in trouble (docs/security.md, S18, S21). */
import { afterEach, describe, expect, setSystemTime, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, newSession } from "../support/http.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import { createUserTokens } from "../../src/sessions/user-tokens.ts";
import { createSigningKey, seconds, serveKeySet, type KeySetServer } from "./identity-provider.ts";
import { QUICK_MS, quickestMedianMs } from "./timing.ts";

const [right, stranger] = await Promise.all([createSigningKey("ES256"), createSigningKey("ES256")]);

function startWith(provider: { readonly url: string }): Promise<TestServer> {
  return startServer({ env: { HOLDLINE_AUTH_JWKS_URL: provider.url, HOLDLINE_TOKENS: "on" } });
}

const ask = (server: TestServer, token: string) => apiOf(server, token).call("GET", "/v1/jobs");

describe("S18 a token that names its own key", () => {
  const kids = [
    "../../../../etc/passwd",
    "/dev/null",
    "first' OR '1'='1",
    'first"; DROP TABLE jobs; --',
    "first\u0000",
    "http://127.0.0.1/keys",
    "__proto__",
    "",
    "k".repeat(4000),
    5,
    null,
    ["first"],
    { kty: "oct", k: "" },
  ];

  test("S18 by a kid that is a path, SQL or no text → 401, quickly, and not a single fetch more", async () => {
    using provider = serveKeySet(right);
    await using server = await startWith(provider);
    expect((await ask(server, await right.sign())).status).toBe(200);
    for (const kid of kids) {
      const token = await stranger.sign({}, { kid });
      expectProblem(await ask(server, token), 401, "unauthenticated");
      expect(await quickestMedianMs(() => ask(server, token))).toBeLessThan(QUICK_MS);
      expect((await dial(server, { token }).waitForClose()).code).toBe(4500);
    }
    expect(provider.asked).toBe(1);
  });

  test("S18 by jku, x5u, jwk or x5c → 401, and nobody is asked for anything", async () => {
    using provider = serveKeySet(right);
    using trap = serveKeySet(stranger);
    await using server = await startWith(provider);
    expect((await ask(server, await right.sign())).status).toBe(200);
    const headers = [
      { jku: trap.url },
      { x5u: trap.url },
      { jwk: stranger.jwk },
      { x5c: [Buffer.from(stranger.pem).toString("base64")] },
      { jku: trap.url, kid: "second" },
      { kid: trap.url },
    ];
    for (const header of headers) {
      expectProblem(await ask(server, await stranger.sign({}, header)), 401, "unauthenticated");
      const typed = await stranger.sign({}, { ...header, typ: "holdline-session+jwt" });
      expectProblem(await ask(server, typed), 401, "unauthenticated");
    }
    // The provider's own key does not make such a header any better.
    expectProblem(await ask(server, await right.sign({}, { jku: trap.url })), 401, "unauthenticated");
    expect({ trapped: trap.asked, asked: provider.asked }).toEqual({ trapped: 0, asked: 1 });
  });

  test("S18 by 300 unknown kids at once → one fetch, and who is known waits for none of it", async () => {
    using provider = serveKeySet(right);
    await using server = await startWith(provider);
    const unknown = await Promise.all(
      Array.from({ length: 300 }, (_, n) => stranger.sign({}, { kid: `unknown-${n}` })),
    );
    const flood = Promise.all(unknown.map((token) => ask(server, token)));
    expect((await ask(server, await right.sign())).status).toBe(200);
    for (const answer of await flood) expectProblem(answer, 401, "unauthenticated");
    expect(provider.asked).toBe(1);
  });

  test("S18 by unknown kids while the provider is down → one try, 503", async () => {
    using provider = serveKeySet(right);
    provider.answer = () => new Response("down", { status: 500 });
    await using server = await startWith(provider);
    for (let n = 0; n < 50; n += 1) {
      const token = await stranger.sign({}, { kid: `unknown-${n}` });
      expectProblem(await ask(server, token), 503, "auth_unavailable");
    }
    expect(provider.asked).toBe(1);
  });
});

const never = (): Promise<Response> => new Promise(() => undefined);

/** A good key set, one byte a second. */
function dripping(): Response {
  const text = JSON.stringify({ keys: [right.jwk] });
  let at = 0;
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await Bun.sleep(1000);
      controller.enqueue(new TextEncoder().encode(text[at]));
      at += 1;
    },
  });
  return new Response(stream, { headers: { "content-type": "application/json" } });
}

/** 503 to whoever shows a user token, 401 to whoever shows none, and no session for either. */
async function expectClosed(server: TestServer): Promise<void> {
  const token = await right.sign();
  const answer = await ask(server, token);
  expectProblem(answer, 503, "auth_unavailable");
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThan(0);
  expect(answer.body.retryable).toBe(true);
  expectProblem(await apiOf(server, token).call("POST", "/v1/sessions"), 503, "auth_unavailable");
  expectProblem(await call("POST", `${server.url}/v1/sessions`), 401, "unauthenticated");
  const client = dial(server, { token });
  const { code } = await client.waitForClose();
  // One of those after which a client comes back by itself.
  expect(code).toBeGreaterThanOrEqual(4000);
  expect(code).toBeLessThan(4500);
  expect(client.frames("welcome")).toEqual([]);
}

/** The server's own part that judges user tokens, on a clock that the test sets. */
async function judgeWith(provider: KeySetServer) {
  const source = { kind: "jwks", url: provider.url } as const;
  const clock = { ...createSystemClock(), steadyMs: () => Date.now() };
  const judge = await createUserTokens({ source, issuer: null, audience: null, clock, fetch });
  return async (token: string): Promise<string> => {
    try {
      return (await judge.verify(token)).userId;
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
}

describe("S21 a provider that has never answered well", () => {
  const troubles: [name: string, answer: KeySetServer["answer"]][] = [
    ["answers 500", () => new Response("no", { status: 500 })],
    ["answers 404 with a key set", () => Response.json({ keys: [right.jwk] }, { status: 404 })],
    [
      "answers with a page",
      () =>
        new Response("<!doctype html><title>Log in</title>", { headers: { "content-type": "text/html" } }),
    ],
    ["answers with JSON that is no key set", () => Response.json({ error: "later" })],
    ["answers with a list", () => Response.json([right.jwk])],
    ["answers with a key set of nulls", () => Response.json({ keys: [null] })],
    ["answers with 10 MB", () => Response.json({ keys: [right.jwk], pad: "p".repeat(10_000_000) })],
    ["answers with half of it", () => new Response(JSON.stringify({ keys: [right.jwk] }).slice(0, -5))],
  ];
  test.each(troubles)("S21 that %s → auth_unavailable", async (_name, answer) => {
    using provider = serveKeySet(right);
    provider.answer = answer;
    const judge = await judgeWith(provider);
    for (let n = 0; n < 5; n += 1) expect(await judge(await right.sign())).toBe("auth_unavailable");
    expect(provider.asked).toBe(1);
  });

  test("S21 that answers with a page → 503 over HTTP, no welcome on a socket, never open", async () => {
    using provider = serveKeySet(right);
    provider.answer = () => new Response("<!doctype html>", { headers: { "content-type": "text/html" } });
    await using server = await startWith(provider);
    await expectClosed(server);
    expect(provider.asked).toBe(1);
  });

  test("S21 that nobody can reach → 503 auth_unavailable, never open", async () => {
    const provider = serveKeySet(right);
    provider.stop();
    await using server = await startWith(provider);
    await expectClosed(server);
  });

  test("S21 that sends the server elsewhere → it does not go there", async () => {
    using elsewhere = serveKeySet(right);
    using provider = serveKeySet(right);
    provider.answer = () => Response.redirect(elsewhere.url);
    await using server = await startWith(provider);
    await expectClosed(server);
    expect(elsewhere.asked).toBe(0);
  });

  test("S21 that takes its time → 503 after 5 s, and the rest of the server does not wait", async () => {
    await Promise.all(
      [never, dripping].map(async (answer) => {
        using provider = serveKeySet(right);
        provider.answer = answer;
        await using server = await startWith(provider);
        const startedMs = performance.now();
        const slow = expectClosed(server);
        expect(await quickestMedianMs(() => call("GET", `${server.url}/healthz`))).toBeLessThan(QUICK_MS);
        await slow;
        expect(performance.now() - startedMs).toBeWithin(4500, 9000);
        expect(provider.asked).toBe(1);
      }),
    );
  });
});

describe("S21 a provider that is gone after it has answered once", () => {
  test("S21 known keys go on: new tokens, sessions, sockets; an unknown key is 401", async () => {
    using provider = serveKeySet(right);
    await using server = await startWith(provider);
    const session = await newSession(server, await right.sign());
    provider.stop();
    expect((await ask(server, await right.sign())).status).toBe(200);
    expect((await ask(server, session.token)).status).toBe(200);
    await using client = await connect(server, { token: await right.sign() });
    expect(client.welcome.session).toMatchObject({ userId: "alice" });
    expectProblem(await ask(server, await stranger.sign({}, { kid: "other" })), 401, "unauthenticated");
    expectProblem(await ask(server, await stranger.sign()), 401, "unauthenticated");
  });
});

describe("over hours", () => {
  afterEach(() => setSystemTime());
  const MINUTE_MS = 60_000;

  const fresh = () => right.sign({ exp: seconds(3600) });

  test("S21 known keys go on for as long as the provider is in trouble, whatever the trouble", async () => {
    const good = serveKeySet(right);
    const judge = await judgeWith(good);
    expect(await judge(await fresh())).toBe("alice");
    const startedMs = Date.now();
    const troubles = [
      () => new Response("no", { status: 503 }),
      () => Response.json({ keys: [null] }),
      () => Response.json({ keys: "none" }),
      () => new Response("p".repeat(10_000_000)),
    ];
    for (const [n, trouble] of troubles.entries()) {
      good.answer = trouble;
      setSystemTime(startedMs + (n + 1) * 61 * MINUTE_MS);
      const askedBefore = good.asked;
      expect(await judge(await fresh())).toBe("alice");
      expect(await judge(await stranger.sign({ exp: seconds(3600) }))).toBe("unauthenticated");
      expect(good.asked).toBe(askedBefore + 1);
    }
    good.stop();
    setSystemTime(startedMs + 24 * 60 * MINUTE_MS);
    expect(await judge(await fresh())).toBe("alice");
  });

  test("S18 an hour's flood of unknown kids costs a fetch every 30 s at most", async () => {
    using provider = serveKeySet(right);
    const judge = await judgeWith(provider);
    const unknown = await stranger.sign({ exp: seconds(2 * 3600) }, { kid: "unknown" });
    const startedMs = Date.now();
    for (let second = 0; second < 3600; second += 5) {
      setSystemTime(startedMs + second * 1000);
      expect(await judge(unknown)).toBe("unauthenticated");
    }
    expect(provider.asked).toBeWithin(60, 122);
  });

  test("S18 a new key of the provider is found within 30 s, a withdrawn one is forgotten within 10 minutes", async () => {
    using provider = serveKeySet(right);
    const judge = await judgeWith(provider);
    expect(await judge(await fresh())).toBe("alice");
    const next = await createSigningKey("EdDSA", "next");
    provider.answer = () => Response.json({ keys: [next.jwk] });
    expect(await judge(await next.sign())).toBe("unauthenticated");
    setSystemTime(Date.now() + 31_000);
    expect(await judge(await next.sign())).toBe("alice");
    setSystemTime(Date.now() + 11 * MINUTE_MS);
    expect(await judge(await fresh())).toBe("unauthenticated");
  });
});
