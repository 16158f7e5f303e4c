/** A node leaves while clients work through a proxy: no request fails, no event is lost (examples/proxies). */
import { describe, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { startCluster } from "../support/cluster.ts";
import { apiOf, newSession, tokensBody } from "../support/http.ts";
import { expectWhole } from "../support/log-checker.ts";
import { until } from "../support/wait.ts";
import { KINDS, startProxy } from "./proxy-process.ts";

const USERS = 3;

/** Submits, waits and reads until it is told to stop; how many jobs it had, and what was not answered as it should be. */
async function work(url: string, isOver: () => boolean): Promise<{ done: number; failed: string[] }> {
  const api = await newSession({ url });
  const failed: string[] = [];
  let done = 0;
  while (!isOver()) {
    try {
      const { id } = await api.submit(tokensBody({ tokens: 3, size: 10 }));
      expectWhole(await api.log((await api.finished(id)).id));
      done += 1;
    } catch (error) {
      failed.push(String(error));
    }
  }
  return { done, failed };
}

describe.each(KINDS.map((kind) => [kind.name, kind] as const))("behind %s", (_name, kind) => {
  test("a node that is told to leave takes no request with it, and its sockets go on at the other", async () => {
    await using cluster = await startCluster({ open: true });
    const env = { HOLDLINE_TRUSTED_PROXIES: "127.0.0.1", HOLDLINE_DRAIN_MS: "8000" };
    const one = await cluster.start({ env });
    const two = await cluster.start({ env });
    await using proxy = await startProxy(kind, { nodes: [one.port, two.port] });
    let over = false;
    const users = Array.from({ length: USERS }, () => work(proxy.url, () => over));
    await using watcher: Client = await connect(one);
    const { id } = await apiOf(proxy, watcher.token).submit(tokensBody({ tokens: 250, intervalMs: 20 }));
    await watcher.waitForEvent(id, "its first words", (event) => event.kind === "output.text");

    const left = one.exited(20_000);
    await one.kill("SIGTERM");
    expect(await watcher.waitForClose()).toEqual({ code: 4000, reason: "draining" });
    await using again = await connect(proxy, { token: watcher.token });
    expect(again.welcome.session).toMatchObject({ id: watcher.sessionId, resumed: true });
    const seen = watcher.events(id).at(-1)?.seq ?? 0;
    await again.attach(id, seen);
    expect(await left).toEqual({ code: 0, signal: null });
    over = true;
    const results = await Promise.all(users);
    expect(results.flatMap(({ failed }) => failed)).toEqual([]);
    for (const { done } of results) expect(done).toBeGreaterThan(2);
    await again.waitForEnd(id, 20_000);
    expectWhole(await apiOf(two, watcher.token).log(id), [
      { after: 0, events: watcher.events(id) },
      { after: seen, events: again.events(id) },
    ]);
    await until("everything to be at the other node", async () => two.exit() === null);
  }, 60_000);
});
