/** The contract of `KeyStore` (src/sessions/keys/store.ts) as a suite: every driver is held to the same one. */
import { describe, expect } from "bun:test";
import { makeKey, type KeyStore } from "../../src/sessions/keys/store.ts";
import { createCheck } from "./check.ts";

export interface OpenedKeyStore {
  readonly store: KeyStore;
  close(): Promise<void>;
}

/** Declares the suite. `open` gives a store without keys, once for each test. */
export function describeKeyStore(name: string, open: () => Promise<OpenedKeyStore>): void {
  const check = createCheck(open, ({ store }) => store);

  describe(name, () => {
    check("begins with one key, however many begin at once", async (store) => {
      expect(await store.list()).toEqual([]);
      const keys = await Promise.all(Array.from({ length: 4 }, makeKey));
      await Promise.all(keys.map((key) => store.begin(key, 5000)));
      const [first, ...more] = await store.list();
      expect(more).toEqual([]);
      expect(keys.find(({ kid }) => kid === first?.kid)?.jwk).toEqual(first?.jwk);
      await store.begin(await makeKey(), 9000);
      expect(await store.list()).toEqual(first === undefined ? [] : [first]);
    });

    check("lists the newest first, which is what was added last, whatever the clock says", async (store) => {
      const [first, second, third] = [await makeKey(), await makeKey(), await makeKey()];
      await store.begin(first, 5000);
      expect(await store.add(second, 1000)).toBe(5001);
      expect(await store.add(third, 9000.4)).toBe(9000);
      expect(await store.list()).toEqual([
        { ...third, createdAt: 9000 },
        { ...second, createdAt: 5001 },
        { ...first, createdAt: 5000 },
      ]);
    });

    check("gives every added key a place of its own, however many are added at once", async (store) => {
      const keys = await Promise.all(Array.from({ length: 3 }, makeKey));
      const times = await Promise.all(keys.map((key) => store.add(key, 7000)));
      expect(times.toSorted((a, b) => a - b)).toEqual([7000, 7001, 7002]);
      expect((await store.list()).map(({ kid }) => kid).toSorted()).toEqual(
        keys.map(({ kid }) => kid).toSorted(),
      );
    });

    check("loses a key only when another one signs", async (store) => {
      const [first, second] = [await makeKey(), await makeKey()];
      await store.begin(first, 1);
      expect(await store.remove(first.kid)).toBe("signs");
      expect(await store.remove(`../keys/${first.kid}`)).toBe("unknown");
      await store.add(second, 2);
      expect(await store.remove(first.kid)).toBe("removed");
      expect(await store.remove(first.kid)).toBe("unknown");
      expect(await store.list()).toEqual([{ ...second, createdAt: 2 }]);
    });
  });
}
