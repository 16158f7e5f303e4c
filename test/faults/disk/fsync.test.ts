/** R07, R08: a commit whose fsync fails has an unknown outcome. Nobody is told that it failed; the process ends and recovers. */
import { expect, test } from "bun:test";
import { tokensBody } from "../../support/http.ts";
import { startServer } from "../../support/server.ts";
import { until } from "../../support/wait.ts";
import { openHistory } from "./history.ts";
import { inject } from "./inject.ts";

/** The promise, counted from the call that failed; the tracer's share, which stops every call of every thread, is in it. */
const STOP_LIMIT_MS = 1000;

test("faults/R07: an fsync that fails on COMMIT is 503 or no answer, and after a kill there is one job at most", async () => {
  await using server = await startServer();
  const history = await openHistory(server, 4);
  for (let n = 0; n < 8; n += 1) await history.submit(tokensBody());
  {
    await using failing = await inject(server, { calls: ["fsync"], error: "EIO", when: "1+" });
    const answers = Promise.all(Array.from({ length: 8 }, () => history.submit(tokensBody())));
    await until("an answer", () => history.told.unavailable + history.told.lost > 0);
    await server.kill("SIGKILL");
    await answers;
    expect(await failing.hits()).toBeGreaterThan(0);
  }
  expect(history.told.accepted).toBe(8);
  expect(history.told.unavailable + history.told.lost).toBe(8);
  await server.restart();
  await history.check(server);
});

test("faults/R08: after one fsync that failed nothing is confirmed any more, and the process ends with an error", async () => {
  await using server = await startServer();
  const history = await openHistory(server, 4);
  await history.submit(tokensBody({ tokens: 200, intervalMs: 5 }));
  await using failing = await inject(server, { calls: ["fsync"], error: "EIO", when: "3" });
  let failedAt = Number.POSITIVE_INFINITY;
  const submitting = Array.from({ length: 4 }, async () => {
    while (server.exit() === null) {
      const told = await history.submit(tokensBody());
      if (told !== "accepted") failedAt = Math.min(failedAt, performance.now());
      else if (failedAt < performance.now()) throw new Error("a job was accepted after the failure");
      if (told === "lost") break;
    }
  });
  const exit = await server.exited();
  const endedMs = Date.now();
  await Promise.all(submitting);
  expect(exit).toEqual({ code: 1, signal: null });
  expect(await failing.hits()).toBe(1);
  expect(history.told.unavailable + history.told.lost).toBeGreaterThan(0);
  const tookMs = endedMs - (await failing.firstHitMs());
  expect(tookMs).toBeLessThan(STOP_LIMIT_MS);
  expect(server.output()).toContain("cannot go on");
  await server.restart();
  await history.check(server);
});
