/** How often a user, or an address where there is no user yet, may ask: counted at the edge, before anything is done. */
import { createBuckets, nextUnitMs, wholeUnits, type Buckets } from "../lib/bucket.ts";
import type { Clock } from "../lib/clock.ts";
import type { UserId } from "../lib/ids.ts";
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface RatesOptions {
  readonly clock: Pick<Clock, "steadyMs">;
  /** Of one user, and of one address; 0 = no limit. */
  readonly ratePerMinute: number;
  /** By what a request without a user is counted. */
  readonly addressOf: (request: Request) => string;
}

/** What is left of the quota that a call was counted in: whole requests, and the fraction that is growing back. */
export type Left = number;

export interface Rates {
  addressOf(request: Request): string;
  /** Counts a call of this user. Throws `rate_limited`. */
  countUser(userId: UserId): Left;
  /** Counts what comes without a user: a new session, a connect. Throws `rate_limited`. */
  countAddress(address: string): Left;
  /**
   * Before a credential is judged. Throws `rate_limited` when too many from this address were bad, so that a flood of
   * bad tokens costs a look-up each and no signature check. One that is known to be genuine passes: the neighbours of a
   * flood, behind the same address, are not locked out.
   */
  refuseFailing(addressOf: () => string, isKnown: () => boolean): void;
  /** After a credential was judged: counts the failure if that is what the error says. */
  countFailure(addressOf: () => string, error: unknown): void;
  /** Sets the RateLimit fields of an answer (protocol/quota.ts). Nothing without a limit. */
  describe(headers: Headers, left: Left): void;
}

const UNAUTHORIZED = 401;

export function createRates(options: RatesOptions): Rates {
  const { clock, ratePerMinute } = options;
  const createTable = (): Buckets =>
    createBuckets({ clock, perMinute: ratePerMinute, keysMost: LIMITS.rateKeys });
  // Apart from each other: who fails must not use up what those need who open a session behind the same address.
  const [users, addresses, failures] = [createTable(), createTable(), createTable()];
  const policy = `"default";q=${ratePerMinute};w=60`;

  /** Seconds until there is more: those of `t` and of `Retry-After`. */
  const secondsOf = (left: Left): number => Math.ceil(nextUnitMs(left, ratePerMinute) / 1000);
  const fieldOf = (left: Left): string => `"default";r=${wholeUnits(left)};t=${secondsOf(left)}`;

  const refuse = (left: Left, whose: string): never => {
    throw new Refusal(
      "rate_limited",
      `At most ${ratePerMinute} requests a minute ${whose} (ratePerMinute).`,
      {
        extra: { limit: "ratePerMinute" },
        headers: {
          "Retry-After": String(secondsOf(left)),
          RateLimit: fieldOf(left),
          "RateLimit-Policy": policy,
        },
      },
    );
  };

  const count = (table: Buckets, key: string, whose: string): Left => {
    const left = table.take(key);
    return left < 0 ? refuse(left, whose) : left;
  };

  return {
    addressOf: options.addressOf,
    countUser: (userId) => count(users, userId, "of one user"),
    countAddress: (address) => count(addresses, address, "from one address without a session"),
    refuseFailing(addressOf, isKnown) {
      // Asking the runtime for the peer's address costs more than all the rest.
      if (failures.size === 0) return;
      const left = failures.peek(addressOf());
      if (left < 0 && !isKnown()) refuse(left, "with a bad credential from one address");
    },
    countFailure(addressOf, error) {
      if (error instanceof Refusal && error.status === UNAUTHORIZED) failures.take(addressOf());
    },
    describe(headers, left) {
      if (left === Number.POSITIVE_INFINITY) return;
      headers.append("RateLimit", fieldOf(left));
      headers.append("RateLimit-Policy", policy);
    },
  };
}
