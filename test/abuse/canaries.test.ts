/** Secrets shown to the server in every way there is, and then looked for in everything it writes (docs/security.md, S51). */
import { Database } from "bun:sqlite";
import { Glob } from "bun";
import { join } from "node:path";
import { expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { issueToken } from "../support/operator.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { userToken } from "../support/tokens.ts";
import { serveUpstream } from "../handlers/chat-upstream-server.ts";
import { seconds } from "./identity-provider.ts";
import { addressesOf } from "./routes.ts";

const needle = (name: string): string => `canary-${name}-${Bun.randomUUIDv7().replaceAll("-", "")}`;

const SECRET = needle("auth-secret");
const CHAT_KEY = needle("chat-key");
const COOKIE = needle("cookie");
const BASIC = btoa(`alice:${needle("password")}`);
const OPAQUE = needle("bearer");
const MACHINE = `hla_${needle("machine")}`;
const ORIGIN = "https://app.example";

const tokenOf = (sub: string, claims: Record<string, unknown> = {}): string =>
  userToken(SECRET, { sub, iat: seconds(), jti: Bun.randomUUIDv7(), ...claims });

/** What may be found of a secret: of a JWT its claims and its signature, since the header is everybody's. */
function tracesOf(secret: string): string[] {
  const parts = secret.split(".");
  return parts.length === 3 ? parts.slice(1) : [secret];
}

/** The problem bodies that came back; anything else is what was asked for. */
const problems: string[] = [];
function keep(answer: { status: number; text: string }): void {
  if (answer.status >= 400) problems.push(answer.text);
}

type Secrets = readonly [user: string, session: string, bad: string, expired: string, admin: string];

function headersWith([user, session, bad, expired, admin]: Secrets): Record<string, string>[] {
  return [
    ...[user, session, bad, expired, admin, OPAQUE, MACHINE].map((token) => ({
      authorization: `Bearer ${token}`,
    })),
    { authorization: `Basic ${BASIC}` },
    { authorization: `Bearer ${session}`, "holdline-user-token": bad },
    { authorization: `Bearer ${session}`, "holdline-user-token": expired },
    { cookie: `other=${COOKIE}; __Host-holdline=${user}` },
    { cookie: `__Host-holdline=${bad}`, origin: ORIGIN },
    { cookie: `__Host-holdline=${user}`, origin: "https://evil.example" },
    { "x-api-key": OPAQUE, "proxy-authorization": `Basic ${BASIC}` },
  ];
}

/** Every address, with every kind of credential, as it should be called and as it should not. */
async function callEverything(server: TestServer, secrets: Secrets): Promise<void> {
  const bodies = [{}, { body: "{", headers: { "content-type": "application/json" } }, { json: tokensBody() }];
  const addresses = (await addressesOf(server)).filter(({ path }) => path !== "/v1/admin/drain");
  for (const { method, path } of addresses) {
    for (const headers of headersWith(secrets)) {
      for (const body of method === "POST" ? bodies : [{}]) {
        keep(await call(method, server.url + path, { ...body, headers: { ...body.headers, ...headers } }));
      }
      keep(await call("PATCH", server.url + path, { headers }));
    }
    for (const secret of [...secrets, OPAQUE]) {
      keep(await call(method, `${server.url}${path}?access_token=${secret}`));
      keep(await call(method, `${server.url}${path}?a=1&x=${secrets[0]}`, { headers: { origin: ORIGIN } }));
    }
  }
  for (const bytes of ["{".repeat(300_000), "\u0000"]) {
    const headers = { authorization: `Bearer ${secrets[1]}`, "content-type": "application/json" };
    keep(await call("POST", `${server.url}/v1/jobs`, { body: bytes, headers }));
  }
}

async function connectInEveryWay(server: TestServer, secrets: Secrets): Promise<void> {
  for (const secret of [...secrets, OPAQUE, MACHINE]) {
    const clients = [
      dial(server, { token: secret }),
      dial(server, { token: secret, session: secrets[1] }),
      dial(server, { headers: { authorization: `Bearer ${secret}` } }),
      dial(server, { headers: { cookie: `__Host-holdline=${secret}`, origin: ORIGIN } }),
    ];
    for (const client of clients) {
      await Promise.race([
        client.waitForClose(),
        client.waitFor("welcome", ({ type }) => type === "welcome").catch(() => undefined),
      ]);
      await client.close();
    }
    for (const path of ["/v1/connect", `/v1/connect?token=${secret}`]) {
      for (const offer of [`bearer.${secret}`, `holdline.v1, bearer.${secret}, session.${secret}`]) {
        const headers = [...upgradeHeaders(offer), ["Origin", "https://evil.example"] as const];
        keep({ status: 400, text: (await rawRequest(server.port, { path, headers }))?.body ?? "" });
      }
    }
  }
  const [user, session] = secrets;
  await using client = await connect(server, { token: user });
  for (const frame of [
    { type: "refresh", token: OPAQUE },
    { type: "refresh", token: session },
    { type: "refresh", token: 5, id: "r" },
    { type: "dance", token: user },
    { type: "attach", job: session },
    { type: "attach", job: user },
  ]) {
    client.send(frame);
  }
  await client.settle();
  problems.push(...client.frames("error").map((frame) => JSON.stringify(frame)));
}

/** Requests that fail inside: their causes are what the log tells most of. */
async function failInside(server: TestServer, secrets: Secrets, databaseFile: string): Promise<void> {
  using database = new Database(databaseFile);
  database.run("PRAGMA busy_timeout = 5000");
  database.run("ALTER TABLE jobs RENAME TO jobs_elsewhere");
  for (const token of [secrets[0], secrets[1]]) {
    const answer = await apiOf(server, token).call("GET", "/v1/jobs", { headers: { cookie: `a=${COOKIE}` } });
    expect(answer.status).toBe(500);
    keep(answer);
  }
  database.run("ALTER TABLE jobs_elsewhere RENAME TO jobs");
}

/** Every byte of the folder, but for the server's own signing keys, which are its secrets to keep. */
async function bytesOf(folder: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for await (const name of new Glob("**/*").scan({ cwd: folder, dot: true })) {
    if (!name.startsWith("keys/"))
      files.set(name, Buffer.from(await Bun.file(join(folder, name)).arrayBuffer()));
  }
  return files;
}

test("S51 no secret that was shown is in the log, the database, a problem or a metric", async () => {
  // Says everything it was sent, as upstreams under development do.
  using upstream = serveUpstream((request) =>
    Response.json({ error: { message: "no", headers: [...request.headers] } }, { status: 401 }),
  );
  await using server = await startServer({
    env: {
      HOLDLINE_AUTH_SECRET: SECRET,
      HOLDLINE_CHAT_URL: upstream.url,
      HOLDLINE_CHAT_KEY: CHAT_KEY,
      HOLDLINE_ALLOWED_ORIGINS: ORIGIN,
      HOLDLINE_DRAIN_MS: "200",
      HOLDLINE_TOKENS: "on",
      HOLDLINE_LOG: "debug",
    },
  });
  const user = tokenOf("alice");
  const api = await newSession(server, user);
  const secrets: Secrets = [
    user,
    api.token,
    userToken(needle("other-secret"), { sub: "alice" }),
    tokenOf("alice", { exp: seconds(-3600) }),
    (await issueToken(server, "admin")).token,
  ];

  const job = await api.submit(tokensBody({ failAt: 1 }, { maxAttempts: 1 }));
  const chat = await api.submit({ type: "chat", input: { messages: [{ role: "user", content: "hi" }] } });
  expect((await api.finished(chat.id)).error?.code).toBe("upstream_refused");
  expect(upstream.asked[0]?.headers.get("authorization")).toBe(`Bearer ${CHAT_KEY}`);
  await api.finished(job.id);
  await api.submit(lastingBody());
  await connectInEveryWay(server, secrets);
  await failInside(server, secrets, join(server.dataFolder, "holdline.db"));
  await callEverything(server, secrets);

  const metrics = await apiOf(server, secrets[4]).call("GET", "/metrics");
  expect(metrics.status).toBe(200);
  const running = await bytesOf(server.dataFolder);
  expect([...running.keys()].some((name) => name.endsWith("-wal"))).toBe(true);
  await server.kill("SIGTERM");
  await server.exited();
  const stopped = await bytesOf(server.dataFolder);
  expect(stopped.has("holdline.db")).toBe(true);

  // What is searched holds what it should: else nothing could be found in it.
  expect(server.output()).toContain("no such table");
  expect(server.output()).toContain("an upstream failed");
  expect(problems.length).toBeGreaterThan(500);
  expect([...stopped.values()].some((bytes) => bytes.includes("alice"))).toBe(true);

  const written = new Map<string, Buffer>([
    ["the log", Buffer.from(server.output())],
    ["problems", Buffer.from(problems.join("\n"))],
    ["metrics", Buffer.from(metrics.text)],
    ...[...running].map(([name, bytes]) => [`${name}, running`, bytes] as const),
    ...stopped,
  ]);
  const found = [SECRET, CHAT_KEY, COOKIE, BASIC, OPAQUE, MACHINE, ...secrets]
    .flatMap(tracesOf)
    .flatMap((trace) =>
      [...written].flatMap(([place, bytes]) => (bytes.includes(trace) ? [{ place, trace }] : [])),
    );
  expect(found).toEqual([]);
});
