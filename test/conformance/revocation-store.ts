/** The contract of `RevocationStore` (src/sessions/revocations/store.ts) as a suite: every driver is held to the same one. */
import { describe, expect } from "bun:test";
import type { RevocationStore } from "../../src/sessions/revocations/store.ts";
import { createCheck } from "./check.ts";

export interface OpenedRevocationStore {
  readonly store: RevocationStore;
  close(): Promise<void>;
}

const UNTIL = 1_800_000_001_000;

/** Declares the suite. `open` gives an empty store, once for each test. */
export function describeRevocationStore(name: string, open: () => Promise<OpenedRevocationStore>): void {
  const check = createCheck(open, ({ store }) => store);

  describe(name, () => {
    check("revocations are kept apart by kind and subject", async (store) => {
      const given = [
        { kind: "user" as const, subject: "u", before: 5, until: UNTIL },
        { kind: "user" as const, subject: "v", before: 6, until: UNTIL },
        { kind: "token" as const, subject: "u", before: 7, until: UNTIL },
      ];
      for (const revocation of given) await store.revoke(revocation);
      const kept = await store.list(0);
      expect(kept.toSorted((a, b) => a.before - b.before)).toEqual(given);
    });

    check("a second revocation only ever widens the first", async (store) => {
      const subject = { kind: "user" as const, subject: "u" };
      await store.revoke({ ...subject, before: 50, until: UNTIL + 10 });
      await store.revoke({ ...subject, before: 40, until: UNTIL });
      expect(await store.list(0)).toEqual([{ ...subject, before: 50, until: UNTIL + 10 }]);
      await store.revoke({ ...subject, before: 60, until: UNTIL + 20 });
      expect(await store.list(0)).toEqual([{ ...subject, before: 60, until: UNTIL + 20 }]);
    });

    check("ended sessions are listed from a moment on, everything else always", async (store) => {
      const user = { kind: "user" as const, subject: "u", before: 5, until: UNTIL };
      const sessions = [10, 20].map((before) => {
        return { kind: "session" as const, subject: `s${before}`, before, until: UNTIL };
      });
      for (const revocation of [user, ...sessions]) await store.revoke(revocation);
      const listed = async (since: number) =>
        (await store.list(since)).toSorted((a, b) => a.before - b.before);
      expect(await listed(0)).toEqual([user, ...sessions]);
      expect(await listed(20)).toEqual([user, ...sessions.slice(1)]);
      expect(await listed(21)).toEqual([user]);
    });

    check("a revocation is forgotten at its time", async (store) => {
      const early = { kind: "user" as const, subject: "u", before: 5, until: UNTIL };
      const late = { kind: "user" as const, subject: "v", before: 5, until: UNTIL + 1 };
      await store.revoke(early);
      await store.revoke(late);
      await store.forget(UNTIL - 1);
      expect(await store.list(0)).toHaveLength(2);
      await store.forget(UNTIL);
      expect(await store.list(0)).toEqual([late]);
    });
  });
}
