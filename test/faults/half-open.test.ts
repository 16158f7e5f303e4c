/** Connections that died without a word: who notices, when, and who sits where afterwards (R32, R35). */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, tokensBody, type Api } from "../support/http.ts";
import { checkDeliveries, expectWhole } from "../support/log-checker.ts";
import { sharedServer } from "../support/server.ts";
import { until } from "../support/wait.ts";
import type { SessionBody } from "../support/wire.ts";
import { startPageClient } from "./page-client.ts";
import { startProxy, type Direction } from "./proxy.ts";

const PING_MS = 300;
const TIMEOUT_MS = 300;
/** The server looks every quarter of the shorter one; the rest is what a busy machine takes. */
const SLACK_MS = 1500;
const server = sharedServer({
  env: { HOLDLINE_PING_MS: String(PING_MS), HOLDLINE_PING_TIMEOUT_MS: String(TIMEOUT_MS) },
});

const DIRECTIONS: readonly Direction[] = ["down", "up", "both"];

/** Watches a session from outside and writes down each change of its presence. */
function watchPresence(api: Api): { readonly seen: string[]; stop(): Promise<void> } {
  const seen: string[] = [];
  let watching = true;
  const done = (async () => {
    while (watching) {
      const { body } = await api.call<SessionBody>("GET", "/v1/sessions/current");
      if (body.presence !== seen.at(-1)) seen.push(body.presence);
      await Bun.sleep(20);
    }
  })();
  return {
    seen,
    async stop() {
      watching = false;
      await done;
    },
  };
}

describe("faults/R32 half-open connections", () => {
  for (const direction of DIRECTIONS) {
    test(`faults/R32 nothing passes ${direction}: the server notices in ping and time-out, and presence leaves once`, async () => {
      await using proxy = await startProxy({ to: server().port });
      const client = await connect(proxy);
      const api = apiOf(server(), client.token);
      const presence = watchPresence(api);
      await until("it to be online", () => presence.seen.length === 1);
      proxy.links[0]?.blackhole(direction);
      const darkMs = performance.now();
      await until("presence to leave", () => presence.seen.at(-1) === "away");
      expect(performance.now() - darkMs).toBeLessThan(PING_MS + TIMEOUT_MS + SLACK_MS);
      // Whatever the dead connection still does, nobody leaves a second time, or comes back.
      const away = await api.call<SessionBody>("GET", "/v1/sessions/current");
      proxy.links[0]?.heal();
      await client.waitForClose();
      await using again = await connect(server(), { token: client.token });
      expect(again.sessionId).toBe(client.sessionId);
      await until("it to be online again", () => presence.seen.at(-1) === "online");
      await again.settle();
      await presence.stop();
      expect(presence.seen).toEqual(["online", "away", "online"]);
      expect(away.body.presence).toBe("away");
    });

    test(`faults/R32 nothing passes ${direction}: the product's client notices too, and is back on a new connection`, async () => {
      await using proxy = await startProxy({ to: server().port });
      await using page = startPageClient(proxy.url, { random: () => 0 });
      await page.online();
      const session = page.client.sessionId;
      proxy.links[0]?.blackhole(direction);
      const darkMs = performance.now();
      await until("the client to notice", () => page.states.some(({ phase }) => phase === "offline"));
      // Its silence may begin right after a ping: one interval longer than the server's.
      expect(performance.now() - darkMs).toBeLessThan(2 * PING_MS + TIMEOUT_MS + SLACK_MS);
      await page.online();
      expect(page.client.sessionId).toBe(session);
      const lost = page.states.find(({ phase }) => phase === "offline");
      expect(["connection_lost", "heartbeat_timeout"]).toContain(lost?.phase === "offline" ? lost.cause : "");
    });
  }
});

test("faults/R35 an old half-open socket and a new one: the newest wins, and each seq arrives once on it", async () => {
  await using proxy = await startProxy({ to: server().port });
  const old = await connect(proxy);
  const api = apiOf(server(), old.token);
  const presence = watchPresence(api);
  const { id } = await api.submit(tokensBody({ tokens: 150, size: 8, intervalMs: 10, audioBytes: 16 }));
  await old.waitForEvent(id, "some output", ({ seq }) => seq > 20);
  proxy.links[0]?.blackhole("both");
  await using fresh = await connect(server(), { token: old.token });
  expect(fresh.sessionId).toBe(old.sessionId);
  const { head: headAtTakeover } = await api.job(id);
  const cursor = old.events(id).at(-1)?.seq ?? 0;
  await fresh.attach(id, cursor);
  await fresh.waitForEvent(id, "what follows", ({ seq }) => seq > headAtTakeover);
  // The old one comes back to life: it hears what was under way when it was replaced, and then only that.
  proxy.links[0]?.heal();
  expect(await old.waitForClose()).toEqual({ code: 4503, reason: "replaced" });
  await fresh.waitForEnd(id);
  await fresh.settle();
  await presence.stop();
  const log = await api.log(id);
  expectWhole(log, [{ after: cursor, events: fresh.events(id) }]);
  expect(checkDeliveries(log, [{ after: 0, events: old.events(id) }])).toEqual([]);
  expect(old.events(id).at(-1)?.seq).toBeLessThanOrEqual(headAtTakeover);
  expect(presence.seen).toEqual(["online"]);
});
