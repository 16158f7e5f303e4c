/**
 * What three real nodes on one database do when one is killed and one is cut off from the database: the third goes on
 * with their jobs, the second sends its clients away and cannot write any more, and comes back by itself.
 */
import { expect, test } from "bun:test";
import { startProxy } from "../faults/proxy.ts";
import { connect, dial } from "../support/client.ts";
import { startCluster, type NodeBody } from "../support/cluster.ts";
import { apiOf, call, expectProblem, tokensBody } from "../support/http.ts";
import { until } from "../support/wait.ts";
import type { EventBody } from "../support/wire.ts";

const LIMIT_MS = 60_000;
/** Silence, a beat of the finder, and what a busy machine adds. */
const BURIED_MS = 30_000;

const slow = tokensBody({ tokens: 100_000, intervalMs: 50, size: 4 });

/** By the attempt that wrote them: a later one never gives way to an earlier one. */
function expectOneWriter(log: readonly EventBody[]): void {
  expect(log.map(({ seq }) => seq)).toEqual(log.map((_event, index) => index + 1));
  const attempts = log.map(({ attempt }) => attempt);
  expect(attempts).toEqual(attempts.toSorted((one, other) => one - other));
}

test(
  "faults/R46: of three nodes one is killed and one loses the database: the third goes on, the second comes back",
  async () => {
    await using cluster = await startCluster();
    const { port } = new URL(cluster.databaseUrl);
    await using proxy = await startProxy({ to: Number(port) });
    const behind = new URL(cluster.databaseUrl);
    behind.port = String(proxy.port);
    const mara = cluster.userToken("mara");
    // Each has its one place taken before the next one starts: so the job of each runs where it was accepted.
    const one = { HOLDLINE_CONCURRENCY: "1" };
    const killed = await cluster.start({ env: one });
    await using atKilled = await connect(killed, { token: mara });
    const ofKilled = await apiOf(killed, atKilled.token).submit(slow);
    await apiOf(killed, mara).inStatus(ofKilled.id, "running");
    const cut = await cluster.start({ env: { ...one, HOLDLINE_DATABASE_URL: behind.href } });
    await using atCut = await connect(cut, { token: mara });
    const ofCut = await apiOf(cut, atCut.token).submit(slow);
    await apiOf(cut, mara).inStatus(ofCut.id, "running");
    const survivor = await cluster.start();
    const stateOf = async (server: { readonly url: string }): Promise<NodeBody | undefined> =>
      (await cluster.nodesSeenBy(survivor)).find(({ url }) => url === server.url);

    const api = apiOf(survivor, mara);
    await until("both to say what they do", async () => {
      const [first, other] = [await stateOf(killed), await stateOf(cut)];
      return first?.running === 1 && other?.running === 1 && other.connections === 1;
    });
    const before = await stateOf(cut);
    expect([before?.state, before?.role]).toEqual(["up", "all"]);

    await killed.kill("SIGKILL");
    for (const link of proxy.links) link.blackhole("both");
    proxy.plan({ up: { delayMs: 600_000 }, down: { delayMs: 600_000 } });

    // The one that is cut off, for its clients.
    expect(await atCut.waitForClose(15_000)).toEqual({ code: 4000, reason: "draining" });
    expect(atCut.frames("goodbye").at(-1)).toMatchObject({ code: 4000, reconnect: true });
    const begun = performance.now();
    expectProblem(await call("GET", `${cut.url}/readyz`), 503, "storage_unavailable");
    expectProblem(await apiOf(cut, mara).post(slow), 503, "storage_unavailable");
    // At once, not after a time-out of the database.
    expect(performance.now() - begun).toBeLessThan(2000);
    expect((await call("GET", `${cut.url}/healthz`)).status).toBe(200);
    await using refused = dial(cut, { token: mara });
    expect((await refused.waitForClose()).code).toBe(4003);

    // The one that is left, for their jobs and sessions.
    for (const { id } of [ofKilled, ofCut]) {
      await until(
        "the job to go on elsewhere",
        async () => (await api.log(id)).some(({ kind, attempt }) => kind === "job.started" && attempt === 2),
        BURIED_MS,
      );
      const lost = (await api.log(id)).filter(({ kind }) => kind === "job.retrying");
      expect(lost.map(({ data }) => (data as { reason: string }).reason)).toEqual(["worker_lost"]);
    }
    await until("both to be buried", async () => {
      const states = [await stateOf(killed), await stateOf(cut)].map((node) => node?.state);
      return states.every((state) => state === "dead");
    });
    const sessions = await cluster
      .adminAt(survivor)
      .call<{ items: { id: string; presence: string }[] }>("GET", "/v1/admin/sessions");
    expect(sessions.body.items.map(({ presence }) => presence)).toEqual(["away", "away"]);

    // What the network held back arrives now, from a run that is somebody else's.
    proxy.plan({});
    for (const link of proxy.links) link.heal();
    await until(
      "the node to serve again",
      async () => (await call("GET", `${cut.url}/readyz`)).status === 200,
      BURIED_MS,
    );
    const after = await stateOf(cut);
    expect(after?.state).toBe("up");
    expect(after?.boot).not.toBe(before?.boot);
    expect(after?.id).toBe(before?.id);
    await using again = await connect(cut, { token: mara });
    const fresh = await apiOf(cut, again.token).submit(tokensBody());
    expect((await apiOf(survivor, mara).finished(fresh.id)).status).toBe("succeeded");

    for (const { id } of [ofKilled, ofCut]) {
      expect((await api.job(id)).attempt).toBe(2);
      await api.cancel(id);
      expect((await api.finished(id)).status).toBe("canceled");
      expectOneWriter(await api.log(id));
    }
    // A clean stop leaves nothing to bury.
    await cut.kill("SIGTERM");
    expect((await cut.exited()).code).toBe(0);
    expect(await stateOf(cut)).toBeUndefined();
  },
  2 * LIMIT_MS,
);
