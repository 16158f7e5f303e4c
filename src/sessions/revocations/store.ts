/**
 * The `RevocationStore` contract: what was revoked beyond single sessions. It is always in the database, wherever sessions
 * are kept: a revocation is a promise, and has to survive what sessions need not.
 *
 * Guarantees every driver gives (held by test/conformance/revocation-store.ts)
 * - Every call is atomic; `revoke` resolves when it is as durable as the store was configured.
 * - A subject is revoked once; told again, its revocation only ever widens.
 */

export interface Revocation {
  /**
   * `user`: everything of the user issued up to `before`; `token`: one user token by its id; `session`: one session by
   * its id, where sessions are kept outside of the database.
   */
  readonly kind: "user" | "token" | "session";
  readonly subject: string;
  /** Wall time in ms. */
  readonly before: number;
  /** Kept until then (wall time in ms). */
  readonly until: number;
}

export interface RevocationStore {
  /** Keeps the later `before` and the later `until` when the subject was revoked already. */
  revoke(revocation: Revocation): Promise<void>;
  /**
   * All that are still kept; of kind `session`, of which there may be many, only those with a `before` of `sessionsSince`
   * (wall time in ms) or later.
   */
  list(sessionsSince: number): Promise<readonly Revocation[]>;
  /** Those whose `until` is not after `wallMs`. */
  forget(wallMs: number): Promise<void>;
}
