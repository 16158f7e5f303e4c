/** R17: another program holds the write lock of the database for long. */
import { expect, test } from "bun:test";
import { hold } from "../faults/disk/hold.ts";
import { openHistory } from "../faults/disk/history.ts";
import { call, newSession, tokensBody } from "../support/http.ts";
import { checkLog, expectWhole } from "../support/log-checker.ts";
import { startServer } from "../support/server.ts";
import { until } from "../support/wait.ts";

/** Twice what the writer waits (2 s), and room for a busy machine. */
const ANSWER_LIMIT_MS = 8000;
const HELD_MS = 10_000;

test("faults/R17: while another program holds the write lock for 10 s submits are 503 in bounded time, and then all goes on", async () => {
  await using server = await startServer();
  const api = await newSession(server);
  const history = await openHistory(server, 2);
  await history.submit(tokensBody());
  const running = await api.submit(tokensBody({ tokens: 500, intervalMs: 5 }));
  await until("the run to speak", async () => (await api.job(running.id)).head > 10);
  {
    await using held = await hold(server, "write");
    expect(held.pid).not.toBe(server.pid);
    const { head } = await api.job(running.id);
    const begun = performance.now();
    while (performance.now() - begun < HELD_MS) {
      const asked = performance.now();
      const told = await Promise.all(Array.from({ length: 5 }, () => history.submit(tokensBody())));
      expect(new Set(told)).toEqual(new Set(["unavailable"]));
      expect(performance.now() - asked).toBeLessThan(ANSWER_LIMIT_MS);
    }
    // Reads do not wait for the lock, and nothing of the run was half written.
    const reading = performance.now();
    expect((await api.job(running.id)).head).toBeLessThanOrEqual(head + 1);
    expect(checkLog(await api.log(running.id), false)).toEqual([]);
    expect(performance.now() - reading).toBeLessThan(1000);
    expect((await call("GET", `${server.url}/readyz`)).status).toBe(503);
    expect(server.exit()).toBeNull();
  }
  // The first try after it let go is taken.
  expect(await history.submit(tokensBody())).toBe("accepted");
  const ready = async () => (await call("GET", `${server.url}/readyz`)).status === 200;
  await until("the server to be ready again", ready);
  const job = await api.finished(running.id);
  expect(job.status).toBe("succeeded");
  expect(job.attempt).toBe(1);
  expectWhole(await api.log(running.id));
  expect(server.exit()).toBeNull();
  await history.check(server);
}, 60_000);
