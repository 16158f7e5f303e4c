/** The life of nodes on shared stores, with time in the test's hand: deaths, burials, a node that was given up, one that is cut off. */
import { expect, test } from "bun:test";
import { createMemoryJobStore } from "../../src/jobs/memory.ts";
import { ownerOf } from "../../src/jobs/holder.ts";
import { createIds } from "../../src/lib/ids.ts";
import { createMemoryNodeStore } from "../../src/nodes/memory.ts";
import { createNodes, type Nodes } from "../../src/nodes/nodes.ts";
import type { NodeStore } from "../../src/nodes/store.ts";
import type { NodeRole } from "../../src/protocol/admin.ts";
import { Refusal } from "../../src/protocol/error.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { drive } from "../conformance/drive.ts";
import { recordingLogger } from "../handlers/run-setup.ts";
import { createVirtualClock } from "../handlers/virtual-clock.ts";

function createInstallation() {
  const clock = createVirtualClock();
  const jobs = createMemoryJobStore();
  return { clock, jobs, on: drive(jobs, clock), store: createMemoryNodeStore() };
}

type Installation = ReturnType<typeof createInstallation>;

/** A node whose storage can be taken away from it. */
function createNode(
  { clock, jobs, store }: Installation,
  id: string,
  { several = true, role = "all" }: { readonly several?: boolean; readonly role?: NodeRole } = {},
) {
  const { logger, lines } = recordingLogger();
  const deeds: string[] = [];
  let reachable = true;
  const away = (): Promise<never> =>
    Promise.reject(new Refusal("storage_unavailable", "The storage did not take the write."));
  const reached = <Part extends object>(part: Part): Part =>
    new Proxy(part, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return (...given: unknown[]): unknown =>
          reachable ? (value as (...all: unknown[]) => unknown).apply(target, given) : away();
      },
    });
  const sessionOutage = { away: false };
  const boots = [`${id}-boot-1`];
  let expected: readonly string[] = [];
  /** What giving back sessions waits for. */
  let held: Promise<void> = Promise.resolve();
  const nodes: Nodes = createNodes({
    store: reached<NodeStore>(store),
    jobs: reached(jobs),
    sessions: {
      async abandoned(ofNode) {
        await held;
        if (sessionOutage.away) await away();
        deeds.push(`abandoned ${ofNode}`);
      },
    },
    sessionOutage,
    clock,
    ids: createIds(clock),
    logger,
    maxLostLeases: 5,
    several,
    node: { id, bootId: `${id}-boot-1`, role, version: "0", host: "host" },
    url: () => "http://127.0.0.1:1",
    counts: () => ({ sockets: 2, runs: 1 }),
    expect: (ids) => {
      expected = ids;
    },
    sendAway: () => void deeds.push("sendAway"),
    disown(bootId) {
      boots.push(bootId);
      deeds.push("disown");
    },
  });
  return {
    nodes,
    deeds,
    sessionOutage,
    lines,
    boots,
    expected: () => expected,
    hold: (until: Promise<void>) => {
      held = until;
    },
    cut: () => {
      reachable = false;
    },
    heal: () => {
      reachable = true;
    },
  };
}

const stateOf = async ({ store }: Installation, id: string): Promise<string | undefined> =>
  (await store.list()).find((node) => node.id === id)?.state;

test("a node that falls silent is buried by exactly one of the others, and its runs go on", async () => {
  const place = createInstallation();
  const [a, b, c] = [createNode(place, "a"), createNode(place, "b"), createNode(place, "c")];
  for (const { nodes } of [a, b, c]) await nodes.start();
  const job = await place.on.submit({});
  await place.on.claim({ owner: ownerOf("c", "c-boot-1") });
  // As a process that ends without a word.
  c.cut();
  await place.clock.advance(LIMITS.nodeSilentMs - LIMITS.nodeBeatMs);
  expect(await stateOf(place, "c")).toBe("up");
  expect((await place.jobs.find(job))?.status).toBe("running");
  await place.clock.advance(2 * LIMITS.nodeBeatMs + 500);
  expect(await stateOf(place, "c")).toBe("dead");
  expect([...a.deeds, ...b.deeds]).toEqual(["abandoned c"]);
  expect((await place.jobs.find(job))?.status).toBe("retrying");
  await place.clock.advance(LIMITS.nodeBeatMs);
  expect([a.expected(), b.expected()]).toEqual([
    ["a", "b"],
    ["a", "b"],
  ]);
  expect(a.nodes.states).toEqual({ up: 2, draining: 0, lost: 0, dead: 1 });
});

test("faults/R46: a node that takes long to bury another one, or to begin anew, is not given up itself meanwhile", async () => {
  const place = createInstallation();
  const [a, b, c] = [createNode(place, "a"), createNode(place, "b"), createNode(place, "c")];
  for (const { nodes } of [a, b, c]) await nodes.start();
  const crowd = Promise.withResolvers<void>();
  a.hold(crowd.promise);
  c.cut();
  await place.clock.advance(LIMITS.nodeSilentMs + 2 * LIMITS.nodeBeatMs);
  expect(await stateOf(place, "c")).toBe("lost");
  // The other one takes the burial over, and finds nobody else to bury.
  await place.clock.advance(2 * LIMITS.nodeSilentMs);
  expect([await stateOf(place, "c"), await stateOf(place, "a"), a.boots.length]).toEqual(["dead", "up", 1]);
  expect(b.deeds).toEqual(["abandoned c"]);
  c.hold(crowd.promise);
  c.heal();
  await place.clock.advance(2 * LIMITS.nodeSilentMs);
  expect([await stateOf(place, "c"), c.nodes.cutOff]).toEqual(["up", true]);
  expect(b.deeds).toEqual(["abandoned c"]);
  crowd.resolve();
  await place.clock.advance(LIMITS.nodeBeatMs);
  expect(c.nodes.cutOff).toBe(false);
});

test("a node that was buried and lives begins anew: sockets away, runs stopped, another boot", async () => {
  const place = createInstallation();
  const [a, b] = [createNode(place, "a"), createNode(place, "b")];
  await a.nodes.start();
  await b.nodes.start();
  // Frozen, as far as the others can tell; it is not asked whether it could say so.
  await place.store.takeSilent({
    silentSince: Number.MAX_SAFE_INTEGER,
    nowBy: place.clock.steadyMs(),
    finderUntil: place.clock.steadyMs() + 1,
  });
  await place.clock.advance(LIMITS.nodeBeatMs + 500);
  for (const { deeds, boots, nodes } of [a, b]) {
    expect(deeds.slice(0, 2)).toEqual(["sendAway", "disown"]);
    expect(deeds).toContain(`abandoned ${nodes === a.nodes ? "a" : "b"}`);
    expect(new Set(boots).size).toBe(2);
    expect(nodes.cutOff).toBe(false);
  }
  expect((await place.store.list()).map(({ id, state, bootId }) => [id, state, bootId])).toEqual([
    ["a", "up", a.boots[1] ?? ""],
    ["b", "up", b.boots[1] ?? ""],
  ]);
});

test("a run that was claimed by the boot before is returned when its node begins anew", async () => {
  const place = createInstallation();
  const a = createNode(place, "a");
  await a.nodes.start();
  const job = await place.on.submit({});
  await place.on.claim({ owner: ownerOf("a", "a-boot-1") });
  const [row] = await a.nodes.list();
  if (row === undefined) throw new Error("the node is not listed");
  await place.store.enter({ ...row, bootId: "stranger" }, place.clock.steadyMs());
  await place.clock.advance(LIMITS.nodeBeatMs + 500);
  expect((await place.jobs.find(job))?.status).toBe("retrying");
});

test("faults/R46: a node that the database does not answer shuts after 5 s, gives its runs up with their leases, and heals", async () => {
  const place = createInstallation();
  const a = createNode(place, "a");
  await a.nodes.start();
  await place.clock.advance(10_000);
  a.cut();
  await place.clock.advance(LIMITS.nodeCutOffMs - 500);
  expect(a.nodes.cutOff).toBe(false);
  expect(a.deeds).toEqual([]);
  await place.clock.advance(500);
  expect(a.nodes.cutOff).toBe(true);
  expect(a.deeds).toEqual(["sendAway"]);
  a.heal();
  await place.clock.advance(500);
  // Nobody buried it: its runs went on, only its clients have left.
  expect(a.nodes.cutOff).toBe(false);
  expect(a.deeds).toEqual(["sendAway", "abandoned a"]);
  expect(a.boots.length).toBe(1);
  const job = await place.on.submit({});
  await place.on.claim({ owner: ownerOf("a", "a-boot-1"), leaseMs: 1e9 });
  a.cut();
  await place.clock.advance(LIMITS.leaseMs - 500);
  expect(a.deeds).toEqual(["sendAway", "abandoned a", "sendAway"]);
  await place.clock.advance(1000);
  expect(a.deeds.at(-1)).toBe("disown");
  await place.clock.advance(60_000);
  expect(a.deeds.length).toBe(4);
  a.heal();
  await place.clock.advance(500);
  expect(a.nodes.cutOff).toBe(false);
  expect(await stateOf(place, "a")).toBe("up");
  expect((await place.jobs.find(job))?.status).toBe("retrying");
  // And again, as the first time.
  a.cut();
  await place.clock.advance(LIMITS.leaseMs + 500);
  expect(a.deeds.slice(-2)).toEqual(["sendAway", "disown"]);
});

test("faults/R42 R46: a node whose database is back serves again, though its sessions are out of reach", async () => {
  const place = createInstallation();
  const a = createNode(place, "a");
  await a.nodes.start();
  a.cut();
  await place.clock.advance(LIMITS.nodeCutOffMs);
  expect(a.nodes.cutOff).toBe(true);
  a.sessionOutage.away = true;
  a.heal();
  await place.clock.advance(500);
  expect(a.nodes.cutOff).toBe(false);
  expect(a.deeds).toEqual(["sendAway"]);
});

test("any answer of the storage shows that it is there", async () => {
  const place = createInstallation();
  const a = createNode(place, "a");
  await a.nodes.start();
  a.cut();
  for (let n = 0; n < 10; n += 1) {
    await place.clock.advance(LIMITS.nodeCutOffMs - 500);
    a.nodes.answered();
  }
  expect(a.nodes.cutOff).toBe(false);
});

test("a node that leaves says so: draining, then gone; nobody buries it", async () => {
  const place = createInstallation();
  const [a, b] = [createNode(place, "a"), createNode(place, "b")];
  await a.nodes.start();
  await b.nodes.start();
  await b.nodes.drain();
  expect(await stateOf(place, "b")).toBe("draining");
  await place.clock.advance(LIMITS.nodeBeatMs);
  expect(a.nodes.states).toEqual({ up: 1, draining: 1, lost: 0, dead: 0 });
  await b.nodes.stop();
  expect(await stateOf(place, "b")).toBeUndefined();
  await place.clock.advance(60_000);
  expect(a.deeds).toEqual([]);
  expect(a.nodes.states).toEqual({ up: 1, draining: 0, lost: 0, dead: 0 });
});

test("a node that is alone pays nothing: no timer, and whoever was there before is buried at its start", async () => {
  const place = createInstallation();
  const before = createNode(place, "before", { several: false });
  await before.nodes.start();
  const job = await place.on.submit({});
  await place.on.claim({ owner: ownerOf("before", "before-boot-1") });
  await place.clock.advance(1);
  const timers = place.clock.waiting;
  const alone = createNode(place, "alone", { several: false });
  await alone.nodes.start();
  expect(place.clock.waiting).toBe(timers);
  expect(alone.deeds).toEqual(["abandoned before"]);
  expect((await place.jobs.find(job))?.status).toBe("retrying");
  expect(await stateOf(place, "before")).toBe("dead");
  expect(await stateOf(place, "alone")).toBe("up");
});

test("the dead are listed for an hour", async () => {
  const place = createInstallation();
  const [a, b] = [createNode(place, "a"), createNode(place, "b")];
  await a.nodes.start();
  await b.nodes.start();
  b.cut();
  await place.clock.advance(LIMITS.nodeDeadKeptMs - 5000);
  expect((await a.nodes.list()).map(({ id, state }) => `${id} ${state}`)).toEqual(["a up", "b dead"]);
  await place.clock.advance(10_000);
  expect((await a.nodes.list()).map(({ id, state }) => `${id} ${state}`)).toEqual(["a up"]);
});

test("the last node that serves clients knows it when it leaves, and so do the others when one comes", async () => {
  const place = createInstallation();
  const [a, b] = [createNode(place, "a"), createNode(place, "b")];
  await a.nodes.start();
  expect(a.nodes.last).toBe(true);
  await b.nodes.start();
  // It has not had a sign of life from the new one yet, and asks when it leaves.
  await a.nodes.drain();
  expect(a.nodes.last).toBe(false);
  await b.nodes.drain();
  expect(b.nodes.last).toBe(true);
});

test.each<{ role: NodeRole; beside: NodeRole; last: boolean }>([
  { role: "all", beside: "worker", last: true },
  { role: "all", beside: "api", last: false },
  { role: "gateway", beside: "api", last: true },
  { role: "api", beside: "all", last: false },
  { role: "worker", beside: "gateway", last: false },
])("the last of role $role beside $beside: $last", async ({ role, beside, last }) => {
  const place = createInstallation();
  const node = createNode(place, "a", { role });
  await createNode(place, "b", { role: beside }).nodes.start();
  await node.nodes.start();
  expect(node.nodes.last).toBe(last);
});
