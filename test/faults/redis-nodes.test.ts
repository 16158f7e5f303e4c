/** Two nodes on one database: what one of them revokes holds on the other, with Redis between them and without (docs/reliability.md, R42). */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { tokenOf, WITH_SECRET } from "../abuse/identity-provider.ts";
import { connect } from "../support/client.ts";
import { apiOf, expectProblem, tokensBody, type Api } from "../support/http.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { operate } from "../support/operator.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { freshRoom, heard, join, presences, sees, together } from "../support/rooms.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

let redis: RedisServer;
let postgres: PostgresServer;
let here: TestServer;
let there: TestServer;
let admin: Api;
beforeAll(async () => {
  [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  const env = {
    ...WITH_SECRET,
    HOLDLINE_DATABASE_URL: await postgres.database(),
    HOLDLINE_REDIS_URL: redis.url,
    HOLDLINE_TOKENS: "on",
    HOLDLINE_PRESENCE_GRACE_MS: "300",
  };
  const file = '[rooms."kept/*"]\nhistory = 20\n';
  here = await startServer({ env, file });
  there = await startServer({ env, file });
  const { out } = await operate(there, ["token", "admin", "--name", "test", "--json"], env);
  admin = apiOf(there, (JSON.parse(out) as { token: string }).token);
});
afterAll(async () => {
  await here[Symbol.asyncDispose]();
  await there[Symbol.asyncDispose]();
  await Promise.all([redis.remove(), postgres.remove()]);
});

const isReady = async ({ url }: TestServer): Promise<boolean> =>
  Bun.deepEquals(await (await fetch(`${url}/readyz`)).json(), { status: "ready" });

const revoke = async (json: object): Promise<number> =>
  (await admin.call("POST", "/v1/admin/revocations", { json })).status;

test("faults/R42 a revocation and a log-out on one node close sockets on the other within a second", async () => {
  const [alice, bob] = [
    await connect(here, { token: tokenOf("alice") }),
    await connect(here, { token: tokenOf("bob") }),
  ];
  const session = await apiOf(there, tokenOf("bob")).call("GET", `/v1/sessions/${bob.sessionId}`);
  expect(session.status).toBe(200);
  expect(await revoke({ userId: "alice" })).toBe(204);
  expect((await alice.waitForClose(1000)).code).toBe(4502);
  const path = `/v1/sessions/${bob.sessionId}`;
  expect((await apiOf(there, tokenOf("bob")).call("DELETE", path)).status).toBe(204);
  expect((await bob.waitForClose(1000)).code).toBe(4502);
  for (const { token } of [alice, bob])
    expectProblem(await apiOf(here, token).call("GET", "/v1/jobs"), 401, "token_revoked");
});

test("faults/R42 and while Redis is away they do all the same, and stay so when it comes back empty", async () => {
  const clients = [];
  for (const user of ["carol", "dave", "eve"]) clients.push(await connect(here, { token: tokenOf(user) }));
  const [carol, dave, eve] = clients;
  if (carol === undefined || dave === undefined || eve === undefined) throw new Error("there are three");
  await redis.halt("kill");
  expect(await revoke({ userId: "carol" })).toBe(204);
  // A session that only the other node knows: nobody can say whether there is one, and it is over.
  expect(await revoke({ sessionId: dave.sessionId })).toBe(204);
  // The silence is noticed first, and then looked into each second.
  for (const client of [carol, dave]) expect((await client.waitForClose(5000)).code).toBe(4502);
  for (const { token } of [carol, dave])
    expectProblem(await apiOf(here, token).call("GET", "/v1/jobs"), 401, "token_revoked");
  // What a node does not know it refuses; what it knows goes on.
  const path = `/v1/sessions/${eve.sessionId}`;
  expectProblem(await apiOf(there, tokenOf("eve")).call("GET", path), 503, "storage_unavailable");
  expect((await apiOf(here, eve.token).call("GET", "/v1/sessions/current")).status).toBe(200);

  await redis.resumeEmpty();
  await until("the other node to see it", async () => {
    return (await apiOf(there, tokenOf("eve")).call("GET", path)).status === 200;
  });
  // Nobody is told that a session is gone before every node has said what it knows; nobody is let in either.
  for (const { token } of [carol, dave]) {
    const statuses = new Set<number>();
    await until("a plain answer", async () => {
      statuses.add((await apiOf(here, token).call("GET", "/v1/jobs")).status);
      return statuses.has(401);
    });
    expect([...statuses].filter((status) => status !== 503)).toEqual([401]);
  }
  const listed = await admin.call<{ items: { id: string }[] }>("GET", "/v1/admin/sessions");
  expect(listed.body.items.map(({ id }) => id)).toEqual([eve.sessionId]);
  await eve.settle();
  expect(eve.closed).toBeNull();
});

/** What a busy machine adds to a look. */
const SLACK_MS = 2000;

test("faults/R42 meanwhile events come from the store, presence stands still, and all heals by itself", async () => {
  for (const server of [here, there]) await until("the nodes to hear each other", () => isReady(server));
  const room = freshRoom();
  const visit = (server: TestServer, user: string) => connect(server, { token: tokenOf(user) });
  await using ann = await visit(here, "ann");
  await using ben = await visit(there, "ben");
  const [gone, gina] = [await visit(there, "cem"), await visit(there, "gina")];
  for (const client of [ann, ben, gone, gina]) await join(client, room);
  const kept = `kept/${room}`;
  for (const client of [ann, ben]) await join(client, kept);
  await gone.close();
  for (const client of [ann, ben]) await sees(client, room, gone.sessionId, "away");
  for (const client of [ann, ben]) await sees(client, room, gina.sessionId, "online");
  // Known there from now on.
  const elsewhere = apiOf(there, ann.token);
  expect((await elsewhere.call("GET", "/v1/sessions/current")).status).toBe(200);

  await redis.halt("kill");
  for (const server of [here, there])
    await until("the silence to be noticed", async () => !(await isReady(server)));
  const before = [ann, ben].map((client) => presences(client, room).length);
  const asSeen = together(ann, room);

  // Presence: nobody comes, leaves, or is seen as anything else, though a socket is gone.
  await gina.close();
  for (const [server, client] of [
    [here, ann],
    [there, ben],
  ] as const) {
    for (const frame of [
      { type: "join", room: freshRoom() },
      { type: "leave", room },
      { type: "presence", status: "busy" },
    ])
      expect(await client.ask(frame)).toMatchObject({ type: "error", code: "storage_unavailable" });
    const listed = await apiOf(server, client.token).call("GET", `/v1/rooms/${room}/presence`);
    expect(listed.body as unknown).toEqual({ members: [...asSeen.values()], count: asSeen.size });
  }
  // What is said is heard where it is said, and kept for nobody.
  expect(await ann.ask({ type: "say", room, data: "is anybody there?" })).toMatchObject({ type: "ok" });
  await until("her own words", () => heard(ann, room).length === 1);

  // Unless the room keeps it: then it is read where it was not told, and in order.
  for (const data of [1, 2, 3])
    expect(await ann.ask({ type: "say", room: kept, data })).toMatchObject({ type: "ok" });
  const saidMs = performance.now();
  await until("what the room keeps", () => heard(ben, kept).length >= 3);
  expect(performance.now() - saidMs).toBeLessThan(LIMITS.lookMs + SLACK_MS);
  expect(await ben.ask({ type: "say", room: kept, data: 4 })).toMatchObject({ type: "ok" });
  for (const client of [ann, ben]) {
    await until("the answer", () => heard(client, kept).length >= 4);
    expect(heard(client, kept)).toEqual([1, 2, 3, 4]);
  }

  // Delivery: what the other node accepts and may run comes from the store, two seconds late at most.
  const job = await elsewhere.submit(tokensBody({ tokens: 20, intervalMs: 50 }));
  await ann.waitForEnd(job.id);
  let next = 1;
  for (const received of ann.received) {
    if (received.kind !== "json" || received.frame.job !== job.id || received.frame.type !== "event")
      continue;
    const { first, seq = 0, at = 0 } = received.frame;
    expect(first ?? seq).toBe(next);
    next = seq + 1;
    const lateMs = performance.timeOrigin + received.atMs - at;
    expect(lateMs).toBeLessThan(LIMITS.lookMs + SLACK_MS);
  }
  expect([ann, ben].map((client) => presences(client, room).length)).toEqual(before);

  await redis.resumeEmpty();
  // Whoever has a socket is still there; who has none was lost with Redis, or came back as away and expires.
  for (const server of [here, there]) await until("the nodes to hear each other", () => isReady(server));
  for (const client of [ann, ben]) {
    await sees(client, room, gone.sessionId, undefined);
    await sees(client, room, gina.sessionId, "away");
    expect(heard(client, room)).toEqual(client === ann ? ["is anybody there?"] : []);
  }
  expect(await ben.ask({ type: "say", room, data: "now I am" })).toMatchObject({ type: "ok" });
  for (const client of [ann, ben])
    await until("what crosses again", () => heard(client, room).includes("now I am"));
  // Nobody left but the one that is lost, and together() throws where somebody is told twice.
  for (const client of [ann, ben]) {
    const left = presences(client, room).flatMap((frame) => frame.left ?? []);
    expect(left.map(({ sessionId }) => sessionId)).toEqual([gone.sessionId]);
    expect(together(client, room)).toEqual(together(ann, room));
  }
  expect(await ann.ask({ type: "presence", status: "busy" })).toMatchObject({ type: "ok" });
  await sees(ben, room, ann.sessionId, "busy");
}, 60_000);
