/** The reference driver of `MachineTokenStore`: a map; nothing survives the process. */
import type { MachineToken, MachineTokenStore } from "./machine-tokens.ts";

export function createMemoryMachineTokenStore(): MachineTokenStore {
  const byHash = new Map<string, MachineToken>();
  const hashOf = (id: string): string | null => [...byHash].find(([, token]) => token.id === id)?.[0] ?? null;
  const change = (id: string, changed: (token: MachineToken) => MachineToken): MachineToken | null => {
    const hash = hashOf(id);
    const token = hash === null ? undefined : byHash.get(hash);
    if (hash === null || token === undefined) return null;
    const next = changed(token);
    byHash.set(hash, next);
    return next;
  };

  return {
    create: async (token, hash) => {
      if (byHash.has(hash)) throw new Error("a token of this hash exists already");
      byHash.set(hash, token);
    },
    find: async (hash) => byHash.get(hash) ?? null,
    list: async () => [...byHash.values()].toSorted((a, b) => (a.id < b.id ? 1 : -1)),
    used: async (id, at) => void change(id, (token) => ({ ...token, lastUsedAt: at })),
    revoke: async (id, at) => change(id, (token) => ({ ...token, revokedAt: token.revokedAt ?? at })),
    remove: async (id) => {
      const hash = hashOf(id);
      if (hash !== null) byHash.delete(hash);
    },
    forget: async (endedBefore) => {
      for (const [hash, { expiresAt, revokedAt }] of byHash) {
        const endedAt = Math.min(
          expiresAt ?? Number.POSITIVE_INFINITY,
          revokedAt ?? Number.POSITIVE_INFINITY,
        );
        if (endedAt < endedBefore) byHash.delete(hash);
      }
    },
  };
}
