/** R26 for those beside it: a job that kills its process again and again ends, and most that run beside it succeed. */
import { expect, test } from "bun:test";
import { newSession, tokensBody } from "../support/http.ts";
import { startServer } from "../support/server.ts";

const ROUNDS = 3;
const NEIGHBOURS = 8;

test("faults/R26 neighbours of a job that kills its process do not end with it", async () => {
  let saved = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    await using server = await startServer({ env: { HOLDLINE_TOKENS: "chaos" } });
    const api = await newSession(server);
    // Two seconds each; the crash comes 0.4 s after its job's start.
    const good = { tokens: 40, intervalMs: 50 };
    const bad = { tokens: 9, intervalMs: 50, crashAt: 8, crashTimes: 100 };
    const [poison, ...neighbours] = await Promise.all([
      api.submit(tokensBody(bad)),
      ...Array.from({ length: NEIGHBOURS }, () => api.submit(tokensBody(good))),
    ]);
    for (let ended = false; !ended;) {
      const gone = await Promise.race([server.exited(60_000), api.finished(poison.id).catch(() => null)]);
      ended = gone !== null && "status" in gone;
      if (!ended) await server.restart().catch(() => undefined);
    }
    expect(await api.finished(poison.id)).toMatchObject({ status: "failed", error: { code: "worker_lost" } });
    for (const { id } of neighbours) if ((await api.finished(id)).status === "succeeded") saved += 1;
  }
  // If all began at once every time, hardly any of them would be left.
  expect(saved).toBeGreaterThan((ROUNDS * NEIGHBOURS) / 3);
}, 180_000);
