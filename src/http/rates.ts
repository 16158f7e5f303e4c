/** How often a user, a machine, or an address where there is neither may ask: counted at the edge, before anything is done. */
import { createBuckets, nextUnitMs, wholeUnits, type Buckets } from "../lib/bucket.ts";
import type { Clock } from "../lib/clock.ts";
import type { UserId } from "../lib/ids.ts";
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface RatesOptions {
  readonly clock: Pick<Clock, "steadyMs">;
  /** Of one user, and of one address; 0 = no limit. */
  readonly ratePerMinute: number;
  /** Of one admin or publish token; 0 = no limit. */
  readonly tokenRatePerMinute: number;
  /** By what a request without a user is counted. */
  readonly addressOf: (request: Request) => string;
}

/** The quota that a call was counted in. */
export interface Left {
  /** Whole requests, and the fraction that is growing back; infinite without a limit. */
  readonly level: number;
  readonly perMinute: number;
}

export interface Rates {
  addressOf(request: Request): string;
  /** Counts a call of this user. Throws `rate_limited`. */
  countUser(userId: UserId): Left;
  /** Counts a call with this machine token. Throws `rate_limited`. */
  countMachine(tokenId: string): Left;
  /**
   * Counts calls of a worker token that brought nothing: empty polls, heartbeats, refusals. What moves a job is bounded
   * by the job.
   */
  countWorker(tokenId: string): void;
  /** Throws `rate_limited` when a worker token made too many of those. */
  refuseWorker(tokenId: string): void;
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
  /** Sets the RateLimit fields of an answer (protocol/quota.ts). Nothing without a limit, or for a call nobody counted. */
  describe(headers: Headers, left: Left | null): void;
}

const UNAUTHORIZED = 401;

/** Seconds until there is more: those of `t` and of `Retry-After`. */
const secondsOf = ({ level, perMinute }: Left): number => Math.ceil(nextUnitMs(level, perMinute) / 1000);
const fieldOf = (left: Left): string => `"default";r=${wholeUnits(left.level)};t=${secondsOf(left)}`;
const policyOf = ({ perMinute }: Left): string => `"default";q=${perMinute};w=60`;

interface Quota {
  readonly table: Buckets;
  readonly perMinute: number;
  /** The setting that it comes from. */
  readonly limit: string;
}

function refuse(left: Left, { perMinute, limit }: Quota, whose: string): never {
  throw new Refusal("rate_limited", `At most ${perMinute} requests a minute ${whose} (${limit}).`, {
    extra: { limit },
    headers: {
      "Retry-After": String(secondsOf(left)),
      RateLimit: fieldOf(left),
      "RateLimit-Policy": policyOf(left),
    },
  });
}

function count(quota: Quota, key: string, whose: string): Left {
  const left = { level: quota.table.take(key), perMinute: quota.perMinute };
  return left.level < 0 ? refuse(left, quota, whose) : left;
}

export function createRates(options: RatesOptions): Rates {
  const { clock, ratePerMinute, tokenRatePerMinute } = options;
  const quotaOf = (limit: string, perMinute: number): Quota => ({
    table: createBuckets({ clock, perMinute, keysMost: LIMITS.rateKeys }),
    perMinute,
    limit,
  });
  const ofCallers = (): Quota => quotaOf("ratePerMinute", ratePerMinute);
  // Apart from each other: who fails must not use up what those need who open a session behind the same address.
  const [users, addresses, failures] = [ofCallers(), ofCallers(), ofCallers()];
  const machines = quotaOf("tokenRatePerMinute", tokenRatePerMinute);
  const workers = quotaOf("tokenRatePerMinute", tokenRatePerMinute);

  return {
    addressOf: options.addressOf,
    countUser: (userId) => count(users, userId, "of one user"),
    countMachine: (tokenId) => count(machines, tokenId, "with one token"),
    countWorker: (tokenId) => void workers.table.take(tokenId),
    refuseWorker(tokenId) {
      const left = { level: workers.table.peek(tokenId), perMinute: workers.perMinute };
      if (left.level < 0) refuse(left, workers, "with one worker token that bring nothing");
    },
    countAddress: (address) => count(addresses, address, "from one address without a session"),
    refuseFailing(addressOf, isKnown) {
      // Asking the runtime for the peer's address costs more than all the rest.
      if (failures.table.size === 0) return;
      const left = { level: failures.table.peek(addressOf()), perMinute: ratePerMinute };
      if (left.level < 0 && !isKnown()) refuse(left, failures, "with a bad credential from one address");
    },
    countFailure(addressOf, error) {
      if (error instanceof Refusal && error.status === UNAUTHORIZED) failures.table.take(addressOf());
    },
    describe(headers, left) {
      if (left === null || left.level === Number.POSITIVE_INFINITY) return;
      headers.append("RateLimit", fieldOf(left));
      headers.append("RateLimit-Policy", policyOf(left));
    },
  };
}
