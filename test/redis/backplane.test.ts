/** The Redis backplane against somebody who writes to its channels, and against a Redis that fails in other ways than dying. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Redis } from "ioredis";
import type { Backplane, Signal } from "../../src/backplane/backplane.ts";
import type { RedisBackplaneOptions } from "../../src/backplane/redis/redis.ts";
import { createSystemClock } from "../../src/lib/clock.ts";
import type { SessionId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { until } from "../support/wait.ts";
import { joinNetwork, newInstallation } from "./nodes.ts";

const numbered = (n: number): Signal => ({ kind: "session", id: `session-${n}` as SessionId });

let server: RedisServer;
const ends: (() => unknown)[] = [];
beforeAll(async () => {
  server = await startRedis();
});
afterEach(async () => {
  for (const end of ends.splice(0).toReversed()) await end();
});
afterAll(() => server.remove());

async function join(index: number, more: Partial<RedisBackplaneOptions>) {
  const node = joinNetwork(server.url, index, more);
  ends.push(() => node.stop());
  const heard: Signal[] = [];
  const lost = { times: 0 };
  node.onSignal((signal) => heard.push(signal));
  node.onLost(() => (lost.times += 1));
  await node.start();
  return { node, heard, lost };
}

/** Somebody who can read and write on Redis, and knows no secret. */
function intruder(channel: string) {
  const [reader, writer] = [new Redis(server.url), new Redis(server.url)];
  ends.push(
    () => reader.disconnect(),
    () => writer.disconnect(),
  );
  const recorded: { channel: string; text: string }[] = [];
  reader.on("pmessage", (_pattern: string, at: string, text: string) => recorded.push({ channel: at, text }));
  return {
    recorded,
    listen: () => reader.psubscribe(channel),
    say: (at: string, text: string | Buffer) => writer.publish(at, text),
  };
}

describe("what others write to the channels", () => {
  test("changes nothing: forged, of another installation, moved to another channel, repeated", async () => {
    const installation = newInstallation();
    const [one, two] = [await join(0, { installation }), await join(1, { installation })];
    const mallory = intruder(`holdline:${installation.name}:*`);
    await mallory.listen();
    await two.node.listen("lobby");
    one.node.publish(numbered(1), { room: "lobby" });
    one.node.publish(numbered(2));
    await until("the signals", () => two.heard.length === 2);
    await until("the record", () => mallory.recorded.some(({ text }) => text.includes("session-2")));
    const inRoom = mallory.recorded.find(({ text }) => text.includes("session-1"));
    const toAll = mallory.recorded.find(({ text }) => text.includes("session-2"));
    if (inRoom === undefined || toAll === undefined) throw new Error("nothing was recorded");
    expect(inRoom.channel).not.toContain("lobby");

    const stranger = await join(2, { installation: { ...installation, secret: "t".repeat(32) } });
    const bad = [
      "",
      "x",
      "{}",
      Buffer.from([0xff, 0x00, 0xfe]),
      JSON.stringify({ v: 1, signals: [numbered(3)] }),
      `${"A".repeat(43)}${toAll.text.slice(43)}`,
      toAll.text.replace("session-2", "session-4"),
      toAll.text.replace(/"number":\d+/, '"number":99999'),
      inRoom.text,
      toAll.text,
    ];
    for (const text of bad) await mallory.say(toAll.channel, text);
    await mallory.say(inRoom.channel, inRoom.text);
    stranger.node.publish(numbered(5));
    one.node.publish(numbered(6));
    await until("the next signal", () => two.heard.length === 3);
    expect(two.heard).toEqual([numbered(1), numbered(2), numbered(6)]);
    expect(two.lost.times).toBe(0);
    // Beats of the stranger are bad as well.
    expect(two.node.counts.bad).toBeGreaterThanOrEqual(bad.length + 2);
    const lines = (two.node as unknown as { lines: { message: string }[] }).lines;
    expect(lines.map(({ message }) => message)).toEqual(["a message on the backplane was not heard"]);
  });

  test("a record is not played to a node that starts later", async () => {
    const installation = newInstallation();
    const one = await join(0, { installation });
    const mallory = intruder(`holdline:${installation.name}:all`);
    await mallory.listen();
    one.node.publish(numbered(1));
    await until("the record", () => mallory.recorded.some(({ text }) => text.includes("session-1")));
    const record = mallory.recorded.find(({ text }) => text.includes("session-1"));
    await one.node.stop();
    // Later is when the installation's clock says so.
    const clock = createSystemClock();
    const later = { ...clock, steadyMs: () => clock.steadyMs() + LIMITS.backplaneLateMs + 1 };
    const two = await join(1, { installation, clock: later });
    await mallory.say(record?.channel ?? "", record?.text ?? "");
    await until("the record to be refused", () => two.node.counts.bad === 1);
    expect(two.heard).toEqual([]);
  });

  test("one's own words, played back, are no sign that Redis is well", async () => {
    const installation = newInstallation();
    const one = await join(0, { installation });
    const mallory = intruder(`holdline:${installation.name}:all`);
    await mallory.listen();
    await until("a beat", () => mallory.recorded.length > 0);
    await until("signals to flow", () => one.node.healthy);
    const beat = mallory.recorded[0];
    // Nothing that it says comes through any more; what was said before does, all the time.
    await server.command("ACL", "SETUSER", "default", "-publish");
    ends.push(() => server.command("ACL", "SETUSER", "default", "+publish"));
    await server.command("ACL", "SETUSER", "mallory", "on", ">m", "+@all", "&*");
    const writer = new Redis(server.url, { username: "mallory", password: "m" });
    ends.push(() => writer.disconnect());
    await until("the silence to be noticed", async () => {
      expect(await writer.publish(beat?.channel ?? "", beat?.text ?? "")).toBeGreaterThan(0);
      return !one.node.healthy;
    });
  });
});

describe("a Redis that fails", () => {
  test("by breaking one connection or the other: what was lost is noticed by whom it concerns", async () => {
    const installation = newInstallation();
    const [one, two] = [await join(0, { installation }), await join(1, { installation })];
    for (const { node } of [one, two]) await until("signals to flow", () => node.healthy);
    await server.command("CLIENT", "KILL", "TYPE", "pubsub");
    await until("both to look again", () => one.lost.times > 0 && two.lost.times > 0);
    await until("signals to flow", () => one.node.healthy && two.node.healthy);
    one.node.publish(numbered(1));
    await until("the signal", () => two.heard.length === 1);
  });

  test("by freezing: nothing is kept, it is told, and all is well when it wakes", async () => {
    const installation = newInstallation();
    const [one, two] = [await join(0, { installation }), await join(1, { installation })];
    for (const { node } of [one, two]) await until("signals to flow", () => node.healthy);
    const frame = {
      type: "message",
      to: "all",
      id: "1",
      from: null,
      at: 0,
      data: "x".repeat(LIMITS.backplaneMessageBytes),
    };
    const large = { kind: "push", audience: { to: "all" }, frame } as unknown as Signal;
    server.freeze();
    try {
      for (let n = 0; n < 64; n += 1) one.node.publish(large);
      await until("some to be given up", () => one.node.counts.dropped > 0);
      // Some more than fit: what went to the kernel is not known.
      expect(one.node.counts.dropped).toBeGreaterThanOrEqual(64 - 2 * 16);
      await until("it to be noticed", () => !one.node.healthy && !two.node.healthy);
    } finally {
      server.wake();
    }
    await until("the other to look again", () => two.lost.times > 0);
    await until("signals to flow", () => one.node.healthy && two.node.healthy);
    one.node.publish(numbered(2));
    await until("the signal", () => two.heard.some((signal) => signal.kind === "session"));
  });

  test("by being emptied: nothing of the backplane was in it", async () => {
    const installation = newInstallation();
    const [one, two] = [await join(0, { installation }), await join(1, { installation })];
    await server.command("FLUSHALL");
    one.node.publish(numbered(1));
    await until("the signal", () => two.heard.length === 1);
    expect([one.lost.times, two.lost.times]).toEqual([0, 0]);
  });
});

describe("who is there", () => {
  test("a node that is expected and not heard makes the others unhealthy, one that left does not", async () => {
    const installation = newInstallation();
    const [one, two] = [await join(0, { installation }), await join(1, { installation })];
    const isHealthy = (node: Backplane) => until("signals to flow", () => node.healthy);
    await isHealthy(one.node);
    one.node.expect(["node-0", "node-1", "node-2"]);
    expect(one.node.healthy).toBe(false);
    // What it meant to say before it fell silent is looked up, once.
    await until("it to be looked after", () => one.lost.times === 1);
    const three = await join(2, { installation });
    await isHealthy(one.node);
    await three.node.stop();
    await until("the goodbye", () => !one.node.healthy);
    one.node.expect(["node-0", "node-1"]);
    await isHealthy(one.node);
    await two.node.stop();
    const alone = await join(3, { installation: newInstallation() });
    await isHealthy(alone.node);
  });
});
