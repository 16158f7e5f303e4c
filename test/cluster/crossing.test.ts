/** Two real servers on one PostgreSQL and one Redis: what happens at one reaches clients of the other, with Redis and without. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { startCluster, type Cluster } from "../support/cluster.ts";
import { apiOf, call, tokensBody } from "../support/http.ts";
import type { TestServer } from "../support/server.ts";
import { valueOf } from "../telemetry/scrape.ts";
import type { Frame } from "../support/wire.ts";
import { until } from "../support/wait.ts";

const LIMIT_MS = 60_000;

let cluster: Cluster;
let here: TestServer;
let there: TestServer;
beforeAll(async () => {
  cluster = await startCluster();
  here = await cluster.start();
  there = await cluster.start();
}, LIMIT_MS);
afterAll(() => cluster[Symbol.asyncDispose]());

const readiness = async ({ url }: TestServer): Promise<unknown> => (await call("GET", `${url}/readyz`)).body;

async function bothReady(): Promise<void> {
  for (const server of [here, there])
    await until("the nodes to hear each other", async () =>
      Bun.deepEquals(await readiness(server), { status: "ready" }),
    );
}

/** Every entry of the log once, in order; a frame may fold several. */
function expectWhole(client: Client, job: string): void {
  let next = 1;
  for (const { first, seq } of client.events(job)) {
    expect(first).toBe(next);
    next = seq + 1;
  }
}

test("a socket here has every event of what is submitted there, with the token of its session", async () => {
  await bothReady();
  await using client = await connect(here, { token: cluster.userToken("mara") });
  const at = apiOf(there, client.token);
  for (let n = 0; n < 3; n += 1) {
    const job = await at.submit(tokensBody({ tokens: 30, intervalMs: 2 }));
    expect((await client.waitForEnd(job.id)).kind).toBe("job.succeeded");
    expectWhole(client, job.id);
  }
});

test("a session that resumes there is replaced here, though it was used here a moment before", async () => {
  await bothReady();
  const token = cluster.userToken("ben");
  await using client = await connect(here, { token });
  expect((await apiOf(here, client.token).call("GET", "/v1/sessions/current")).status).toBe(200);
  await using again = await connect(there, { token, session: client.token });
  expect(again.sessionId).toBe(client.sessionId);
  expect(await client.waitForClose()).toEqual({ code: 4503, reason: "replaced" });
});

test("rooms and pushes cross", async () => {
  await bothReady();
  await using ann = await connect(here, { token: cluster.userToken("ann") });
  await using ben = await connect(there, { token: cluster.userToken("ben") });
  await ann.ask({ type: "join", room: "lobby" });
  await ben.ask({ type: "join", room: "lobby" });
  await ann.ask({ type: "say", room: "lobby", data: "hello" });
  const isMessage = (data: string) => (frame: Frame) => frame.type === "message" && frame["data"] === data;
  await ben.waitFor("what ann says", isMessage("hello"));
  const to = { session: ben.sessionId };
  const pushed = await cluster.adminAt(here).call("POST", "/v1/admin/push", { json: { to, data: "psst" } });
  expect(pushed.status).toBe(202);
  await ben.waitFor("the push", isMessage("psst"));
  expect(ann.frames("message").map((frame) => frame["data"] as unknown)).toEqual(["hello"]);
});

test("without Redis all goes on, later, and is told; with it again all is as before", async () => {
  await bothReady();
  await using client = await connect(here, { token: cluster.userToken("mara") });
  const at = apiOf(there, client.token);
  // A session that a node has seen is known to it while Redis, where sessions are, is away.
  expect((await at.call("GET", "/v1/jobs")).status).toBe(200);
  await cluster.redis.halt();
  for (const server of [here, there])
    await until("the outage to be told", async () =>
      Bun.deepEquals(await readiness(server), { status: "degraded", backplane: "unhealthy" }),
    );
  const without = await at.submit(tokensBody({ tokens: 5 }));
  expect((await client.waitForEnd(without.id)).kind).toBe("job.succeeded");
  expectWhole(client, without.id);
  await cluster.redis.resume();
  await bothReady();
  for (const server of [here, there]) {
    const { text } = await cluster.adminAt(server).call("GET", "/metrics");
    expect(valueOf(text, "holdline_backplane_healthy")).toBe(1);
    expect(valueOf(text, "holdline_backplane_lost_total")).toBeGreaterThan(0);
    const said = server.logs().map(({ msg }) => msg);
    expect(said).toContain("Redis cannot be reached");
    expect(said).toContain("Redis is back");
  }
  const after = await at.submit(tokensBody({ tokens: 5 }));
  expect((await client.waitForEnd(after.id)).kind).toBe("job.succeeded");
  expectWhole(client, after.id);
}, 60_000);
