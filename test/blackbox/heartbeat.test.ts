/** Heartbeats: who answers stays, who falls silent is let go with 4002 (PROTOCOL section 4). */
import { describe, expect, test } from "bun:test";
import { connect, type Client } from "../support/client.ts";
import { sharedServer } from "../support/server.ts";

const PING_MS = 150;
const TIMEOUT_MS = 250;
const server = sharedServer({
  env: { HOLDLINE_PING_MS: String(PING_MS), HOLDLINE_PING_TIMEOUT_MS: String(TIMEOUT_MS) },
});

function pingCount(client: Client): number {
  return client.frames("ping").length;
}

async function waitForPings(client: Client, count: number): Promise<void> {
  await client.waitFor(`ping number ${count}`, () => pingCount(client) >= count);
}

describe("heartbeat (section 4)", () => {
  test("is announced in welcome as configured", async () => {
    await using client = await connect(server());
    expect(client.welcome.heartbeat).toEqual({ pingMs: PING_MS, timeoutMs: TIMEOUT_MS });
  });

  test("pings at the announced pace and leaves a client that answers alone", async () => {
    await using client = await connect(server());
    await waitForPings(client, 8);
    const pings = client.received.filter((item) => item.kind === "json" && item.frame.type === "ping");
    const elapsedMs = (pings.at(-1)?.atMs ?? 0) - (pings[0]?.atMs ?? 0);
    expect(elapsedMs).toBeGreaterThan(6 * PING_MS);
    expect(elapsedMs).toBeLessThan(7 * PING_MS + 1000);
    for (const ping of client.frames("ping")) expect(ping.at).toBeInteger();
    expect(client.closed).toBeNull();
  });

  test("tells a client that does not answer goodbye and closes it 4002", async () => {
    const client = await connect(server(), { pong: false });
    const openedMs = performance.now();
    expect(await client.waitForClose()).toEqual({ code: 4002, reason: "heartbeat_timeout" });
    const livedMs = performance.now() - openedMs;
    expect(livedMs).toBeGreaterThan(PING_MS + TIMEOUT_MS - 50);
    expect(livedMs).toBeLessThan(PING_MS + TIMEOUT_MS + 2000);
    const goodbye = client.frames().at(-1);
    expect(goodbye).toMatchObject({
      type: "goodbye",
      code: 4002,
      reason: "heartbeat_timeout",
      reconnect: true,
    });
    expect(goodbye?.reconnectAfterMs).toBeNumber();
  });

  test("counts any frame as a sign of life", async () => {
    await using client = await connect(server(), { pong: false });
    for (let count = 1; count <= 8; count += 1) {
      await waitForPings(client, count);
      await client.settle();
    }
    expect(client.closed).toBeNull();
  });
});
