/** Identifiers: UUIDv7 for everything that is listed by age, random secrets for what fences. */

import { createSystemClock, type Clock } from "./clock.ts";

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

/** No id that was made before this steady time is greater, and every one that is made from then on is. */
export function idAt(steadyMs: number): JobId {
  const hex = Math.floor(steadyMs).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000` as JobId;
}

/**
 * Ids from the runtime's secure randomness; UUIDv7 ones only ever grow: their time is the steady one, since lists go by
 * it and a wall clock may be set back.
 */
export function createIds(clock: Pick<Clock, "steadyMs"> = createSystemClock()): Ids {
  let last = "";
  const uuid = (): string => {
    // The runtime lends from the next millisecond when one is full: that loan is kept in mind.
    const lastMs = last === "" ? 0 : Number.parseInt(last.slice(0, 8) + last.slice(9, 13), 16);
    const atMs = Math.max(Math.floor(clock.steadyMs()), lastMs);
    const made = Bun.randomUUIDv7("hex", atMs);
    last = made > last ? made : Bun.randomUUIDv7("hex", atMs + 1);
    return last;
  };
  const hex = (bytes: number): string => crypto.getRandomValues(new Uint8Array(bytes)).toHex();
  return {
    job: () => uuid() as JobId,
    session: () => uuid() as SessionId,
    anonymousUser: () => `anon_${hex(12)}` as UserId,
    leaseToken: () => hex(16) as LeaseToken,
    any: uuid,
    hex,
  };
}
