/** The contract of `MachineTokenStore` (src/sessions/machine-tokens.ts) as a suite: every driver is held to the same one. */
import { afterEach, describe, expect, test } from "bun:test";
import type { MachineToken, MachineTokenStore } from "../../src/sessions/machine-tokens.ts";
import { failureOf } from "./failure.ts";

export interface OpenedMachineTokens {
  readonly store: MachineTokenStore;
  /** The same tokens as another process sees them. */
  readonly beside: MachineTokenStore;
  close(): Promise<void>;
}

const WALL_MS = 1_800_000_000_000;
let made = 0;

function tokenOf(change: Partial<MachineToken> = {}): MachineToken {
  made += 1;
  return {
    id: `01890000-0000-7000-9000-${made.toString(16).padStart(12, "0")}`,
    kind: "worker",
    name: 'a "name" ü',
    types: null,
    rooms: null,
    createdAt: WALL_MS,
    expiresAt: null,
    lastUsedAt: null,
    revokedAt: null,
    ...change,
  };
}

/** Declares the suite. `openStore` gives a store without tokens, once for each test. */
export function describeMachineTokens(name: string, openStore: () => Promise<OpenedMachineTokens>): void {
  describe(name, () => {
    let opened: OpenedMachineTokens | null = null;
    const open = async (): Promise<OpenedMachineTokens> => {
      opened = await openStore();
      return opened;
    };
    afterEach(async () => {
      await opened?.close();
      opened = null;
    });

    test("a token is found by its hash as it was made, by any process, and by no other", async () => {
      const { store, beside } = await open();
      const scoped = tokenOf({ types: ["chat", "x-*"], expiresAt: WALL_MS + 5 });
      const publisher = tokenOf({ kind: "publish", rooms: ["lobby"] });
      await store.create(scoped, "hash-1");
      await store.create(publisher, "hash-2");
      for (const place of [store, beside]) {
        expect(await place.find("hash-1")).toEqual(scoped);
        expect(await place.find("hash-2")).toEqual(publisher);
        expect(await place.find("hash-3")).toBeNull();
        expect(await place.find("hash-1' OR '1'='1")).toBeNull();
        expect(await place.list()).toEqual([publisher, scoped]);
      }
    });

    test("no two tokens have one hash", async () => {
      const { store } = await open();
      const first = tokenOf();
      await store.create(first, "hash");
      await failureOf(store.create(tokenOf(), "hash"));
      expect(await store.list()).toEqual([first]);
    });

    test("a use and a revocation are written down; the first revocation stands", async () => {
      const { store, beside } = await open();
      const [token, other] = [tokenOf(), tokenOf()];
      await store.create(token, "hash");
      await store.create(other, "other");
      await beside.used(token.id, WALL_MS + 1);
      const revoked = { ...token, lastUsedAt: WALL_MS + 1, revokedAt: WALL_MS + 2 };
      expect(await store.revoke(token.id, WALL_MS + 2)).toEqual(revoked);
      expect(await store.revoke(token.id, WALL_MS + 3)).toEqual(revoked);
      expect(await store.revoke("nobody", WALL_MS)).toBeNull();
      expect(await beside.find("hash")).toEqual(revoked);
      expect(await beside.find("other")).toEqual(other);
    });

    test("one is removed; those that ended before a time are forgotten", async () => {
      const { store, beside } = await open();
      const kept = [tokenOf(), tokenOf({ expiresAt: WALL_MS }), tokenOf({ revokedAt: WALL_MS })];
      const gone = [
        tokenOf({ expiresAt: WALL_MS - 1 }),
        tokenOf({ revokedAt: WALL_MS - 1 }),
        tokenOf({ expiresAt: WALL_MS + 9, revokedAt: WALL_MS - 1 }),
      ];
      const removed = tokenOf();
      for (const token of [...kept, ...gone, removed]) await store.create(token, `hash of ${token.id}`);
      await store.remove(removed.id);
      await store.remove("nobody");
      expect(await beside.find(`hash of ${removed.id}`)).toBeNull();
      await store.forget(WALL_MS);
      expect(await beside.list()).toEqual(kept.toReversed());
    });
  });
}
