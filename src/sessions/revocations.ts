/**
 * What was revoked beyond single sessions: every token of a user issued before a moment, or one user token by its id.
 * Kept in the store as long as a revoked token could be shown; known by heart here, so that each request can ask.
 */
import type { UserId } from "../lib/ids.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { SessionRecord, UserBinding } from "./session.ts";
import type { Revocation, RevocationStore } from "./revocations/store.ts";

export interface Revocations {
  /** Reads all of them from the store. Rejects when it cannot: nobody is let in on a guess. */
  load(): Promise<void>;
  /** Resolves when it is stored; holds from the call on. `before`: wall time in ms. */
  revoke(kind: Revocation["kind"], subject: string, before: number): Promise<void>;
  /** Calls `listener` when one was stored by this node. */
  onRevoked(listener: () => void): void;
  /** Those that no living token can be hit by any more, here and in the store; quick while there are none. */
  forget(wallMs: number): Promise<void>;
  /** How many are known. */
  readonly size: number;
  /** `since`: when the credential was issued, or the session opened where there is none (wall time in ms). */
  isRevoked(userId: UserId, binding: UserBinding | null, since: number): boolean;
}

/** Whether the session goes with what was revoked: its credential is of before. */
export function isSessionRevoked(revocations: Revocations, session: SessionRecord): boolean {
  const { userId, binding, createdAt } = session;
  return revocations.isRevoked(userId, binding, binding?.issuedAt ?? createdAt);
}

export function createRevocations(store: RevocationStore): Revocations {
  const known = new Map<string, number>();
  /** No earlier does any of them end. */
  let nextEndMs = Number.POSITIVE_INFINITY;
  const listeners: (() => void)[] = [];
  const name = (kind: Revocation["kind"], subject: string): string => `${kind}/${subject}`;
  const learn = ({ kind, subject, before }: Revocation): void => {
    const key = name(kind, subject);
    known.set(key, Math.max(known.get(key) ?? 0, before));
    nextEndMs = Math.min(nextEndMs, before + LIMITS.userTokenLifeMs);
  };

  return {
    async load() {
      for (const revocation of await store.list()) learn(revocation);
    },
    async revoke(kind, subject, before) {
      const revocation: Revocation = { kind, subject, before, until: before + LIMITS.userTokenLifeMs };
      learn(revocation);
      await store.revoke(revocation);
      for (const listener of listeners) listener();
    },
    onRevoked: (listener) => void listeners.push(listener),
    async forget(wallMs) {
      if (wallMs < nextEndMs) return;
      await store.forget(wallMs);
      nextEndMs = Number.POSITIVE_INFINITY;
      for (const [key, before] of known) {
        const endMs = before + LIMITS.userTokenLifeMs;
        if (endMs <= wallMs) known.delete(key);
        else nextEndMs = Math.min(nextEndMs, endMs);
      }
    },
    get size() {
      return known.size;
    },
    isRevoked(userId, binding, since) {
      if (known.size === 0) return false;
      const userBefore = known.get(name("user", userId));
      // Times in tokens are whole seconds: one issued in the very second of the revocation is taken for an older one.
      if (userBefore !== undefined && since <= userBefore) return true;
      if (binding === null) return false;
      const { tokenId, tokenHash } = binding;
      return known.has(name("token", tokenId)) || known.has(name("token", tokenHash));
    },
  };
}
