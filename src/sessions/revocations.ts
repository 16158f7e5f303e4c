/**
 * What was revoked beyond single sessions: every token of a user issued before a moment, or one user token by its id; and,
 * where sessions are kept outside of the database, which of them were logged out. Kept in the store as long as a revoked
 * token could be shown; known by heart here, so that each request can ask.
 */
import type { UserId } from "../lib/ids.ts";
import { LIMITS } from "../protocol/limits.ts";
import type { SessionRecord, UserBinding } from "./session.ts";
import type { Revocation, RevocationStore } from "./revocations/store.ts";

export interface Revocations {
  /** Reads from the store what is new. Rejects when it cannot: nobody is let in on a guess. */
  load(): Promise<void>;
  /** Resolves when it is stored; holds from the call on. `before`: wall time in ms. */
  revoke(kind: "user" | "token", subject: string, before: number): Promise<void>;
  /** Calls `listener` when one was stored by this node. */
  onRevoked(listener: () => void): void;
  /** Those that no living token can be hit by any more, here and in the store; quick while there are none. */
  forget(wallMs: number): Promise<void>;
  /** How many are known. */
  readonly size: number;
  /** `since`: when the credential was issued, or the session opened where there is none (wall time in ms). */
  isRevoked(userId: UserId, binding: UserBinding | null, since: number): boolean;
  /** Whether it is known, though the store of sessions might not tell, that the session was logged out. */
  isEnded(session: Pick<SessionRecord, "id">): boolean;
}

/** Whether the session goes with what was revoked: its credential is of before, or it was logged out itself. */
export function isSessionRevoked(revocations: Revocations, session: SessionRecord): boolean {
  const { userId, binding, createdAt } = session;
  return (
    revocations.isEnded(session) || revocations.isRevoked(userId, binding, binding?.issuedAt ?? createdAt)
  );
}

/** Log-outs of the last minute are read again: clocks of nodes differ, and transactions take their time. */
const READ_AGAIN_MS = 60_000;

export function createRevocations(store: RevocationStore): Revocations {
  const known = new Map<string, Pick<Revocation, "before" | "until">>();
  /** No earlier does any of them end. */
  let nextEndMs = Number.POSITIVE_INFINITY;
  /** The latest log-out that was read. */
  let latestEnd = 0;
  const listeners: (() => void)[] = [];
  const name = (kind: Revocation["kind"], subject: string): string => `${kind}/${subject}`;
  const learn = ({ kind, subject, before, until }: Revocation): void => {
    const key = name(kind, subject);
    const old = known.get(key) ?? { before, until };
    known.set(key, { before: Math.max(old.before, before), until: Math.max(old.until, until) });
    nextEndMs = Math.min(nextEndMs, until);
    if (kind === "session") latestEnd = Math.max(latestEnd, before);
  };

  return {
    async load() {
      for (const revocation of await store.list(Math.max(0, latestEnd - READ_AGAIN_MS))) learn(revocation);
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
      for (const [key, { until }] of known) {
        if (until <= wallMs) known.delete(key);
        else nextEndMs = Math.min(nextEndMs, until);
      }
    },
    get size() {
      return known.size;
    },
    isRevoked(userId, binding, since) {
      if (known.size === 0) return false;
      const user = known.get(name("user", userId));
      // Times in tokens are whole seconds: one issued in the very second of the revocation is taken for an older one.
      if (user !== undefined && since <= user.before) return true;
      if (binding === null) return false;
      const { tokenId, tokenHash } = binding;
      return known.has(name("token", tokenId)) || known.has(name("token", tokenHash));
    },
    isEnded: ({ id }) => known.size > 0 && known.has(name("session", id)),
  };
}
