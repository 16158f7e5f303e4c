/** The contract of `NodeStore` (src/nodes/store.ts) as a suite: every driver is held to the same one. */
import { describe, expect } from "bun:test";
import type { Beat, Entering, NodeRecord, NodeStore } from "../../src/nodes/store.ts";
import { createCheck, type Check } from "./check.ts";

export interface OpenedNodeStore {
  readonly store: NodeStore;
  /** The same database seen by another process. */
  readonly beside: NodeStore;
  close(): Promise<void>;
}

const NOW = 1_800_000_000_000.25;

function node(id: string, more: Partial<Entering> = {}): Entering {
  return {
    id,
    bootId: `${id}-boot`,
    role: "all",
    version: "0.1.0",
    host: "host",
    url: "http://127.0.0.1:8787",
    startedAt: 1_800_000_000_001,
    seenBy: NOW,
    sockets: 0,
    runs: 0,
    ...more,
  };
}

function beat(id: string, more: Partial<Beat> = {}): Beat {
  const url = "http://127.0.0.1:9999";
  return { id, bootId: `${id}-boot`, state: "up", url, seenBy: NOW + 2000, sockets: 3, runs: 4, ...more };
}

/** The search of who noticed at `nowBy` that others have been silent for ten seconds. */
function search(nowBy: number) {
  return { silentSince: nowBy - 10_000, nowBy, finderUntil: nowBy + 10_000 };
}

const idsOf = (nodes: readonly NodeRecord[]): string[] => nodes.map(({ id }) => id).toSorted();

function describeServing(check: Check<OpenedNodeStore>): void {
  check("the installation is made once, whoever asks first", async ({ store, beside }) => {
    const offered = (n: number) => ({ name: `name${n}`, secret: `secret${n}` });
    const given = await Promise.all(
      [1, 2, 3, 4].map((n) => (n % 2 ? store : beside).installation(offered(n))),
    );
    const [first] = given;
    expect(new Set(given.map(({ name, secret }) => `${name} ${secret}`)).size).toBe(1);
    expect(await beside.installation(offered(9))).toEqual(first ?? offered(0));
  });

  check("a node is listed as it said it is", async ({ store, beside }) => {
    expect(await store.enter(node("b", { sockets: 7, runs: 9 }), NOW)).toBe(true);
    expect(await store.enter(node("a"), NOW)).toBe(true);
    const [a, b] = [node("a"), node("b", { sockets: 7, runs: 9 })];
    expect(await beside.list()).toEqual([
      { ...a, state: "up" },
      { ...b, state: "up" },
    ]);
    expect(await store.beat(beat("a", { state: "draining" }))).toBe(true);
    expect((await beside.list())[0]).toEqual({ ...a, ...beat("a"), state: "draining" });
  });

  check("a boot that another one followed changes nothing any more", async ({ store, beside }) => {
    await store.enter(node("a"), NOW);
    expect(await beside.enter(node("a", { bootId: "next" }), NOW + 1)).toBe(true);
    expect(await store.beat(beat("a"))).toBe(false);
    await store.leave(node("a"));
    expect(await store.list()).toEqual([{ ...node("a", { bootId: "next" }), state: "up" }]);
    expect(await beside.beat(beat("a", { bootId: "next" }))).toBe(true);
  });

  check("a node that left is gone, and may not beat", async ({ store }) => {
    await store.enter(node("a"), NOW);
    await store.leave(node("a"));
    expect(await store.list()).toEqual([]);
    expect(await store.beat(beat("a"))).toBe(false);
    expect(await store.beat(beat("never"))).toBe(false);
    await store.leave(node("never"));
    expect(await store.list()).toEqual([]);
  });
}

function describeDying(check: Check<OpenedNodeStore>): void {
  check("who was heard of in time is not silent", async ({ store }) => {
    await store.enter(node("a"), NOW);
    expect(await store.takeSilent(search(NOW + 10_000))).toEqual([]);
    await store.beat(beat("a", { seenBy: NOW + 9000 }));
    expect(await store.takeSilent(search(NOW + 10_001))).toEqual([]);
    expect((await store.list()).map(({ state }) => state)).toEqual(["up"]);
  });

  check("a silent node is found once, whoever looks", async ({ store, beside }) => {
    await store.enter(node("a", { seenBy: NOW - 20_000 }), NOW - 20_000);
    await store.enter(node("b", { seenBy: NOW - 20_000 }), NOW - 20_000);
    await store.enter(node("c"), NOW);
    await store.beat(beat("b", { state: "draining", seenBy: NOW - 15_000 }));
    const found = await Promise.all(
      [1, 2, 3, 4].map((n) => (n % 2 ? store : beside).takeSilent(search(NOW))),
    );
    expect(idsOf(found.flat())).toEqual(["a", "b"]);
    expect(found.flat().every(({ state }) => state === "lost")).toBe(true);
    expect(found.flat().find(({ id }) => id === "a")?.bootId).toBe("a-boot");
    expect((await store.list()).map(({ id, state }) => `${id} ${state}`)).toEqual([
      "a lost",
      "b lost",
      "c up",
    ]);
  });

  check(
    "one that is being buried neither beats, nor leaves, nor comes back before it is",
    async ({ store, beside }) => {
      await store.enter(node("a"), NOW);
      const at = search(NOW + 20_000);
      expect(idsOf(await beside.takeSilent(at))).toEqual(["a"]);
      expect(await store.beat(beat("a"))).toBe(false);
      await store.leave(node("a"));
      expect(await store.enter(node("a", { bootId: "next" }), NOW + 20_001)).toBe(false);
      expect((await store.list()).map(({ state, bootId }) => `${state} ${bootId}`)).toEqual(["lost a-boot"]);
      expect(await beside.buried(node("a"), at.finderUntil)).toBe(true);
      expect((await store.list()).map(({ state }) => state)).toEqual(["dead"]);
      expect(await store.beat(beat("a"))).toBe(false);
      expect(await store.enter(node("a", { bootId: "next" }), NOW + 20_002)).toBe(true);
      expect(await store.beat(beat("a", { bootId: "next" }))).toBe(true);
    },
  );

  check("a finder that dies is followed by the next one", async ({ store, beside }) => {
    await store.enter(node("a"), NOW);
    const first = search(NOW + 20_000);
    await beside.takeSilent(first);
    expect(await store.takeSilent(search(first.finderUntil - 1))).toEqual([]);
    const second = search(first.finderUntil);
    expect(idsOf(await store.takeSilent(second))).toEqual(["a"]);
    expect(await beside.buried(node("a"), first.finderUntil)).toBe(false);
    expect(await store.buried(node("a"), second.finderUntil)).toBe(true);
    expect(await store.buried(node("a"), second.finderUntil)).toBe(false);
  });

  check("a node whose finder died may come back, and is not buried then", async ({ store, beside }) => {
    await store.enter(node("a"), NOW);
    const at = search(NOW + 20_000);
    await beside.takeSilent(at);
    expect(await store.enter(node("a", { bootId: "next", seenBy: at.finderUntil }), at.finderUntil)).toBe(
      true,
    );
    expect(await beside.buried(node("a"), at.finderUntil)).toBe(false);
    expect(await beside.takeSilent(search(at.finderUntil + 1))).toEqual([]);
  });

  check("the dead are not found again, and forgotten after a while", async ({ store }) => {
    await store.enter(node("a"), NOW);
    await store.enter(node("b", { seenBy: NOW + 60_000 }), NOW);
    const at = search(NOW + 20_000);
    await store.takeSilent(at);
    await store.buried(node("a"), at.finderUntil);
    expect(await store.takeSilent(search(NOW + 60_000))).toEqual([]);
    await store.forget(NOW);
    expect(idsOf(await store.list())).toEqual(["a", "b"]);
    await store.forget(NOW + 1);
    expect(idsOf(await store.list())).toEqual(["b"]);
    await store.forget(NOW + 100_000);
    expect(idsOf(await store.list())).toEqual(["b"]);
  });
}

/** Declares the suite. `open` gives a store without nodes, once for each test. */
export function describeNodeStore(name: string, open: () => Promise<OpenedNodeStore>): void {
  const check = createCheck(open, (opened) => opened);
  describe(name, () => {
    describeServing(check);
    describeDying(check);
  });
}
