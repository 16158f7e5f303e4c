/** Redis, which keeps the sessions, dies, hangs, is emptied or comes back under a real server (docs/reliability.md, R42). */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { tokenOf, WITH_SECRET } from "../abuse/identity-provider.ts";
import { connect, dial, type Client } from "../support/client.ts";
import { apiOf, expectProblem, newSession, tokensBody, type Api } from "../support/http.ts";
import { adminOf } from "../support/operator.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedis({ settings: () => ["appendonly yes", "appendfsync always"] });
});
afterAll(() => redis.remove());

const TOLD_MS = 3000;

const withRedis = () => startServer({ env: { ...WITH_SECRET, HOLDLINE_SESSIONS_URL: redis.url } });

const statusOf = async (api: Api): Promise<number> => (await api.call("GET", "/v1/sessions/current")).status;

async function metric(admin: Api, name: string): Promise<number> {
  const { text } = await admin.call("GET", "/metrics");
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
}

const reachable = (admin: Api): Promise<number> => metric(admin, "holdline_sessions_reachable");

interface Crowd {
  /** With a socket. */
  readonly alice: Client;
  /** Without one, used by this process. */
  readonly bob: Api;
  /** Of before a restart: this process has never seen it. */
  readonly carol: Api;
  readonly eve: Client;
  readonly admin: Api;
}

async function gather(server: TestServer): Promise<Crowd> {
  const carol = await newSession(server, tokenOf("carol"));
  await server.restart();
  const [alice, eve] = [
    await connect(server, { token: tokenOf("alice") }),
    await connect(server, { token: tokenOf("eve") }),
  ];
  return { alice, eve, carol, bob: await newSession(server, tokenOf("bob")), admin: await adminOf(server) };
}

/** What holds while Redis is away, however it went. */
async function expectAway(server: TestServer, { alice, bob, carol }: Crowd): Promise<void> {
  const api = apiOf(server, alice.token);
  expect([await statusOf(api), await statusOf(bob)]).toEqual([200, 200]);
  // Delivery needs no sessions but the one that is seated.
  const job = await api.submit(tokensBody());
  expect(await alice.waitForEnd(job.id)).toMatchObject({ kind: "job.succeeded" });

  expectProblem(await carol.call("GET", "/v1/sessions/current"), 503, "storage_unavailable");
  const opened = await apiOf(server, tokenOf("fred")).call("POST", "/v1/sessions");
  expectProblem(opened, 503, "storage_unavailable");
  expect(opened.headers.get("retry-after")).not.toBeNull();
  for (const token of [tokenOf("fred"), carol.token]) {
    expect(await dial(server, { token }).waitForClose()).toEqual({ code: 4003, reason: "overloaded" });
  }
  // Who is seen where stands still.
  expect(await alice.ask({ type: "join", room: "lobby" })).toMatchObject({
    type: "error",
    code: "storage_unavailable",
  });
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
}

/** As soon as every node has had its time to say otherwise. */
async function expectGone(...sessions: readonly Api[]): Promise<void> {
  for (const session of sessions) {
    const answer = await until("the session to be gone", async () => {
      const given = await session.call("GET", "/v1/sessions/current");
      return given.status === 401 && given;
    });
    expectProblem(answer, 401, "session_gone");
  }
}

const back = ({ admin }: Crowd): Promise<unknown> =>
  until("the sessions to be written down again", async () => (await reachable(admin)) === 1);

test("faults/R42 Redis is killed and comes back empty: what sits here goes on and comes back, nothing else does", async () => {
  await using server = await withRedis();
  const crowd = await gather(server);
  const { alice, bob, eve, carol, admin } = crowd;
  const mallory = await connect(server, { token: tokenOf("mallory") });
  await redis.halt("kill");

  await expectAway(server, crowd);
  expect(await reachable(admin)).toBe(0);
  // A revocation and a log-out are promises: they hold at once, and for ever.
  const json = { userId: "mallory" };
  expect((await admin.call("POST", "/v1/admin/revocations", { json })).status).toBe(204);
  expect((await mallory.waitForClose(TOLD_MS)).code).toBe(4502);
  expectProblem(await apiOf(server, mallory.token).call("GET", "/v1/sessions/current"), 401, "token_revoked");
  expect((await apiOf(server, eve.token).call("DELETE", "/v1/sessions/current")).status).toBe(204);
  expect((await eve.waitForClose()).code).toBe(4502);
  expect(await statusOf(apiOf(server, eve.token))).toBe(401);
  // A network that fails as well: a session that is known here is resumed from memory.
  await alice.close();
  const again = await connect(server, { token: alice.token });
  expect(again.welcome.session).toMatchObject({ id: alice.sessionId, resumed: true });

  await redis.resumeEmpty();
  await back(crowd);
  expect(await metric(admin, "holdline_sessions_rewritten_total")).toBe(1);
  expect(await statusOf(apiOf(server, again.token))).toBe(200);
  const listed = await admin.call<{ items: { id: string; presence: string }[] }>("GET", "/v1/admin/sessions");
  expect(listed.body.items.map(({ id, presence }) => [id, presence])).toEqual([[alice.sessionId, "online"]]);
  await expectGone(bob, carol);
  for (const { token } of [eve, mallory]) expect(await statusOf(apiOf(server, token))).toBe(401);
  await again.settle();
  expect(again.closed).toBeNull();
  expect(await again.ask({ type: "join", room: "lobby" })).toMatchObject({ type: "ok" });
});

test("faults/R42 Redis is killed and comes back with its file: everything is as it was, and what changed meanwhile holds", async () => {
  await using server = await withRedis();
  const crowd = await gather(server);
  const { alice, bob, eve, carol } = crowd;
  await redis.halt("kill");
  await expectAway(server, crowd);
  expect((await apiOf(server, eve.token).call("DELETE", "/v1/sessions/current")).status).toBe(204);
  await alice.close();

  await redis.resume();
  await back(crowd);
  for (const api of [bob, carol, apiOf(server, alice.token)]) expect(await statusOf(api)).toBe(200);
  const current = await apiOf(server, alice.token).call<{ presence: string }>("GET", "/v1/sessions/current");
  expect(current.body.presence).toBe("away");
  // Another process finds the log-out in Redis as well.
  await server.restart();
  expectProblem(await apiOf(server, eve.token).call("GET", "/v1/sessions/current"), 401, "token_revoked");
  expect(await statusOf(carol)).toBe(200);
});

test("faults/R42 Redis hangs: what sits here is served in well under the time-out of a command, and all is as it was", async () => {
  await using server = await withRedis();
  const crowd = await gather(server);
  const { alice, bob, carol } = crowd;
  redis.freeze();
  try {
    // The first ones find out; nobody waits for longer than memory takes.
    const startedMs = performance.now();
    expect(await statusOf(apiOf(server, alice.token))).toBe(200);
    expect(performance.now() - startedMs).toBeLessThan(1500);
    await until("the hang to be noticed", async () => (await reachable(crowd.admin)) === 0);
    await expectAway(server, crowd);
  } finally {
    redis.wake();
  }
  await back(crowd);
  for (const api of [bob, carol, apiOf(server, alice.token)]) expect(await statusOf(api)).toBe(200);
});

test("faults/R42 Redis is emptied while everybody is connected: no seated session is taken for one that is over", async () => {
  await using server = await withRedis();
  const crowd = await gather(server);
  const { alice, bob, eve, carol, admin } = crowd;
  expect((await alice.ask({ type: "join", room: "lobby" })).type).toBe("ok");
  expect((await apiOf(server, eve.token).call("DELETE", "/v1/sessions/current")).status).toBe(204);
  const asked: Promise<number>[] = [];
  await redis.command("FLUSHALL");
  for (let n = 0; n < 20; n += 1) asked.push(statusOf(apiOf(server, alice.token)));
  expect(new Set(await Promise.all(asked))).toEqual(new Set([200]));
  await until("the session to be in Redis again", async () => {
    const { body } = await admin.call<{ items: { id: string }[] }>("GET", "/v1/admin/sessions");
    return body.items.length === 1 && body.items[0]?.id === alice.sessionId;
  });
  const rooms = await apiOf(server, alice.token).call<{ rooms: string[] }>("GET", "/v1/sessions/current");
  expect(rooms.body.rooms).toEqual(["lobby"]);
  await expectGone(bob, carol);
  expect(await statusOf(apiOf(server, eve.token))).toBe(401);
  await alice.settle();
  expect(alice.closed).toBeNull();
});
