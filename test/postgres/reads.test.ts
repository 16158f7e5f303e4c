/** What reads do about connections that died without a word, as after a while in which the network was away. */
import { expect, test } from "bun:test";
import { createSystemClock, type Clock } from "../../src/lib/clock.ts";
import { openPool, refusingReads } from "../../src/postgres/connection.ts";
import { startProxy } from "../faults/proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { letTimePass } from "../support/wait.ts";

/** One whose waits are over ten times as soon. */
function hastyClock(): Clock {
  const clock = createSystemClock();
  return Object.assign(clock, {
    after: (
      (after) => (ms: number, then: () => void) =>
        after(ms / 10, then)
    )(clock.after.bind(clock)),
  });
}

test("faults/R46 connections that fell silent are given up, with what waits for them, once for all", async () => {
  const postgres = await startPostgres();
  const url = new URL(await postgres.database());
  await using proxy = await startProxy({ to: Number(url.port) });
  url.port = String(proxy.port);
  const pool = openPool(url.href);
  const { ask } = refusingReads(hastyClock(), pool, {
    ask: (seconds: number) => pool.unsafe(`SELECT pg_sleep(${seconds})`),
  });
  try {
    // As many as there are connections, and all of them in use.
    await Promise.all(Array.from({ length: 20 }, () => ask(0.05)));
    const before = proxy.links.length;
    expect(before).toBeGreaterThan(1);
    for (const link of proxy.links) link.blackhole("both");
    const [early, late] = [ask(0), letTimePass(300).then(() => ask(0))];
    expect(await early?.catch((error: unknown) => error)).toMatchObject({ code: "storage_unavailable" });
    // Asked of the same connections, and again of others when these were given up.
    expect(await late).toHaveLength(1);
    // Though the old ones are as dead as before.
    const begunAt = performance.now();
    await Promise.all(Array.from({ length: 20 }, () => ask(0)));
    expect(performance.now() - begunAt).toBeLessThan(500);
    expect(pool.generation).toBe(1);
  } finally {
    await pool.close();
    await postgres.remove();
  }
});
