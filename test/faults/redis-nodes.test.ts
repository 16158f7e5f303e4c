/** Two nodes on one database: what one of them revokes holds on the other, with Redis between them and without (docs/reliability.md, R42). */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { tokenOf, WITH_SECRET } from "../abuse/identity-provider.ts";
import { connect } from "../support/client.ts";
import { apiOf, expectProblem, type Api } from "../support/http.ts";
import { operate } from "../support/operator.ts";
import { startPostgres, type PostgresServer } from "../support/postgres.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
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
  };
  here = await startServer({ env });
  there = await startServer({ env });
  const { out } = await operate(there, ["token", "admin", "--name", "test", "--json"], env);
  admin = apiOf(there, (JSON.parse(out) as { token: string }).token);
});
afterAll(async () => {
  await here[Symbol.asyncDispose]();
  await there[Symbol.asyncDispose]();
  await Promise.all([redis.remove(), postgres.remove()]);
});

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
