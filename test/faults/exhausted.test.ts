/** R48: a server that runs out of descriptors, or is killed for what it holds. */
import { expect, test } from "bun:test";
import { connect, dial, type Client } from "../support/client.ts";
import { apiOf, call, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { until, within } from "../support/wait.ts";

const DESCRIPTORS = 64;

test("faults/R48 with 64 descriptors: who is in is served, who is not waits or is refused, and it recovers", async () => {
  await using server = await startServer({ under: ["prlimit", `--nofile=${DESCRIPTORS}`, "--"] });
  await using first = await connect(server);
  const lasting = await apiOf(server, first.token).submit(tokensBody({ tokens: 200, intervalMs: 20 }));
  const crowd: Client[] = Array.from({ length: 2 * DESCRIPTORS }, () => dial(server));
  const isIn = (client: Client): boolean => client.frames("welcome").length > 0;
  await until("some of them to be let in", () => crowd.filter(isIn).length > 10);
  await first.settle();
  await until("the crowd to stand still", async () => {
    const before = crowd.filter(isIn).length;
    await first.settle();
    return crowd.filter(isIn).length === before;
  });
  expect(crowd.filter(isIn).length).toBeLessThan(DESCRIPTORS);
  // Those that are in notice nothing.
  await crowd.find(isIn)?.settle();
  expect(server.exit()).toBeNull();
  // With room again everything is as before, in the same process.
  for (const client of crowd) client.socket.close();
  await until(
    "the server to answer again",
    async () => (await call("GET", `${server.url}/readyz`).catch(() => null))?.status === 200,
    20_000,
  );
  await using late = await connect(server);
  const job = await apiOf(server, late.token).submit(tokensBody());
  await late.waitForEnd(job.id);
  await first.waitForEnd(lasting.id, 20_000);
  expectWhole(await apiOf(server, first.token).log(lasting.id), [
    { after: 0, events: first.events(lasting.id) },
  ]);
  expect(server.exit()).toBeNull();
}, 60_000);

test("faults/R48 killed for its memory under load, again and again: each start recovers, none is a loop", async () => {
  await using server = await startServer();
  const client = await connect(server);
  const api = apiOf(server, client.token);
  const jobs = await Promise.all(
    Array.from({ length: 60 }, () => api.submit(tokensBody({ tokens: 40, size: 2000, intervalMs: 20 }))),
  );
  for (const _ of [1, 2, 3]) {
    await until("all of it to be in memory and in flight", async () => {
      const { body } = await api.call<{ items: { status: string }[] }>("GET", "/v1/jobs?status=running");
      return body.items.length > 0;
    });
    // What the kernel does when memory runs out.
    await server.kill("SIGKILL");
    await server.restart();
  }
  for (const { id } of jobs) {
    expect((await within(`job ${id}`, api.finished(id), 30_000)).status).toBe("succeeded");
    expectWhole(await api.log(id));
  }
}, 60_000);
