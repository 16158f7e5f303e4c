/** Identifiers: UUIDv7 for everything that is listed by age, random secrets for what fences. */

declare const brand: unique symbol;
type Branded<Base, Name extends string> = Base & { readonly [brand]: Name };

export type JobId = Branded<string, "JobId">;
export type SessionId = Branded<string, "SessionId">;
export type UserId = Branded<string, "UserId">;
/** Names one hold of one run; unguessable, because whoever knows it may write. */
export type LeaseToken = Branded<string, "LeaseToken">;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** Canonical lower-case UUID text of any version. What is no id can be no known id: callers answer `not_found`. */
export function isUuid(text: string): boolean {
  return text.length === 36 && UUID.test(text);
}

export interface Ids {
  job(): JobId;
  session(): SessionId;
  anonymousUser(): UserId;
  leaseToken(): LeaseToken;
  /** UUIDv7 text for anything else that is ordered by time. */
  any(): string;
  /** Lower-case hex of `bytes` random bytes. */
  hex(bytes: number): string;
}

/** Ids from the runtime's secure randomness; UUIDv7 ones are monotonic within the process. */
export function createIds(): Ids {
  const hex = (bytes: number): string => crypto.getRandomValues(new Uint8Array(bytes)).toHex();
  return {
    job: () => Bun.randomUUIDv7() as JobId,
    session: () => Bun.randomUUIDv7() as SessionId,
    anonymousUser: () => `anon_${hex(12)}` as UserId,
    leaseToken: () => hex(16) as LeaseToken,
    any: () => Bun.randomUUIDv7(),
    hex,
  };
}
