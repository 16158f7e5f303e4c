/** The reference driver of `RevocationStore`: a map; nothing survives the process. */
import type { Revocation, RevocationStore } from "./store.ts";

export function createMemoryRevocationStore(): RevocationStore {
  const revoked = new Map<string, Revocation>();
  return {
    revoke: async (revocation) => {
      const key = `${revocation.kind}/${revocation.subject}`;
      const known = revoked.get(key) ?? revocation;
      const before = Math.max(known.before, revocation.before);
      revoked.set(key, { ...revocation, before, until: Math.max(known.until, revocation.until) });
    },
    list: async (sessionsSince) =>
      [...revoked.values()].filter(({ kind, before }) => kind !== "session" || before >= sessionsSince),
    forget: async (wallMs) => {
      for (const [key, { until }] of revoked) if (until <= wallMs) revoked.delete(key);
    },
  };
}
