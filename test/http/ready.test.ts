/** Readiness: a storage that takes no writes, and a server that was told to stop, are not ready; liveness does not care. */
import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { join } from "node:path";
import { call, expectProblem, lastingBody, newSession } from "../support/http.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

test("a storage that somebody else holds makes the server unready until it is let go", async () => {
  await using server = await startServer();
  const ready = `${server.url}/readyz`;
  expect((await call("GET", ready)).body).toMatchObject({ status: "ready" });

  using other = new Database(join(server.dataFolder, "holdline.db"));
  other.run("BEGIN IMMEDIATE");
  const unready = await until("the server to notice", async () => {
    const answer = await call("GET", ready);
    return answer.status === 503 && answer;
  });
  expectProblem(unready, 503, "storage_unavailable");
  expect(unready.headers.get("retry-after")).toBe("1");
  expect((await call("GET", `${server.url}/healthz`)).status).toBe(200);

  other.run("ROLLBACK");
  await until("the server to be ready again", async () => (await call("GET", ready)).status === 200);
});

test("an answer comes within the deadline, long before the storage itself gives up, and many that ask share it", async () => {
  await using server = await startServer();
  using other = new Database(join(server.dataFolder, "holdline.db"));
  other.run("BEGIN IMMEDIATE");
  const begun = performance.now();
  // What was found out before the lock is good for a second, and then the deadline is one.
  await until("the server to notice", async () => (await call("GET", `${server.url}/readyz`)).status === 503);
  expect(performance.now() - begun).toBeLessThan(4000);
  const answers = await Promise.all(Array.from({ length: 50 }, () => call("GET", `${server.url}/readyz`)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
  expect(performance.now() - begun).toBeLessThan(4900);
});

test("a server that drains is alive and unready", async () => {
  await using server = await startServer({ env: { HOLDLINE_DRAIN_MS: "20000" } });
  const api = await newSession(server);
  const { id } = await api.submit(lastingBody());
  await api.inStatus(id, "running");
  await server.kill("SIGTERM");
  const draining = await until("the server to drain", async () => {
    const answer = await call("GET", `${server.url}/readyz`);
    return answer.status === 503 && answer;
  });
  expectProblem(draining, 503, "draining");
  expect((await call("GET", `${server.url}/healthz`)).status).toBe(200);
});
