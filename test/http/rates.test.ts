/** Rates at the edge: who is counted where, what the answer says of it, and whom a flood of bad tokens shuts out. */
import { describe, expect, test } from "bun:test";
import { createRates, type Left, type Rates } from "../../src/http/rates.ts";
import type { UserId } from "../../src/lib/ids.ts";
import { Refusal } from "../../src/protocol/error.ts";

const USER = "ada" as UserId;

function setUp(ratePerMinute: number) {
  let nowMs = 5000;
  const rates = createRates({
    clock: { steadyMs: () => nowMs },
    ratePerMinute,
    tokenRatePerMinute: ratePerMinute * 2,
    addressOf: (request) => new URL(request.url).hostname,
  });
  return {
    rates,
    advance: (byMs: number): void => {
      nowMs += byMs;
    },
  };
}

function refusalOf(run: () => unknown): Refusal {
  try {
    run();
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

function described(rates: Rates, left: Left) {
  const headers = new Headers();
  rates.describe(headers, left);
  return { limit: headers.get("ratelimit"), policy: headers.get("ratelimit-policy") };
}

describe("the quota of a user", () => {
  test("is told on every answer: what is left, and the seconds until there is more", () => {
    const { rates, advance } = setUp(10);
    expect(described(rates, rates.countUser(USER))).toEqual({
      limit: '"default";r=9;t=6',
      policy: '"default";q=10;w=60',
    });
    for (let n = 0; n < 3; n += 1) rates.countUser(USER);
    advance(2500);
    expect(described(rates, rates.countUser(USER)).limit).toBe('"default";r=5;t=4');
  });

  test("refuses beyond it, and is true to its Retry-After", () => {
    const { rates, advance } = setUp(10);
    for (let n = 0; n < 10; n += 1) rates.countUser(USER);
    const refusal = refusalOf(() => rates.countUser(USER));
    expect(refusal).toMatchObject({ code: "rate_limited", status: 429, extra: { limit: "ratePerMinute" } });
    expect(refusal.headers).toEqual({
      "Retry-After": "6",
      RateLimit: '"default";r=0;t=6',
      "RateLimit-Policy": '"default";q=10;w=60',
    });
    advance(5000);
    expect(refusalOf(() => rates.countUser(USER)).headers).toMatchObject({ "Retry-After": "1" });
    advance(1000);
    rates.countUser(USER);
  });

  test("is no other user's, and no address's", () => {
    const { rates } = setUp(1);
    rates.countUser(USER);
    rates.countUser("ben" as UserId);
    rates.countAddress(USER);
    expect(refusalOf(() => rates.countUser(USER)).code).toBe("rate_limited");
    expect(refusalOf(() => rates.countAddress(USER)).code).toBe("rate_limited");
  });

  test("without a limit is never told and never used up", () => {
    const { rates } = setUp(0);
    let left = rates.countMachine("token");
    expect(described(rates, left)).toEqual({ limit: null, policy: null });
    for (let n = 0; n < 10_000; n += 1) left = rates.countUser(USER);
    expect(described(rates, left)).toEqual({ limit: null, policy: null });
  });
});

describe("the quota of a machine", () => {
  test("is a token's own, and tells its own policy", () => {
    const { rates, advance } = setUp(5);
    expect(described(rates, rates.countMachine("one"))).toEqual({
      limit: '"default";r=9;t=6',
      policy: '"default";q=10;w=60',
    });
    for (let n = 1; n < 10; n += 1) rates.countMachine("one");
    const refusal = refusalOf(() => rates.countMachine("one"));
    expect(refusal).toMatchObject({
      code: "rate_limited",
      extra: { limit: "tokenRatePerMinute" },
      headers: {
        "Retry-After": "6",
        RateLimit: '"default";r=0;t=6',
        "RateLimit-Policy": '"default";q=10;w=60',
      },
    });
    rates.countMachine("two");
    rates.countUser("one" as UserId);
    advance(6000);
    rates.countMachine("one");
  });
});

describe("bad credentials", () => {
  const bad = new Refusal("unauthenticated", "no");
  const at = (address: string) => () => address;
  const unknown = () => false;

  test("are counted by address; when there were too many, nothing is verified any more", () => {
    const { rates, advance } = setUp(6);
    for (let n = 0; n < 6; n += 1) {
      rates.refuseFailing(at("here"), unknown);
      rates.countFailure(at("here"), bad);
    }
    const refusal = refusalOf(() => rates.refuseFailing(at("here"), unknown));
    expect(refusal.headers).toMatchObject({ "Retry-After": "10", RateLimit: '"default";r=0;t=10' });
    rates.refuseFailing(at("there"), unknown);
    advance(10_000);
    rates.refuseFailing(at("here"), unknown);
  });

  test("do not shut out a credential that was genuine before, nor new sessions of the same address", () => {
    const { rates } = setUp(2);
    for (let n = 0; n < 5; n += 1) rates.countFailure(at("here"), bad);
    rates.refuseFailing(at("here"), () => true);
    rates.countAddress("here");
    expect(refusalOf(() => rates.refuseFailing(at("here"), unknown)).code).toBe("rate_limited");
  });

  test("are what ends in a 401, and nothing else", () => {
    const { rates } = setUp(1);
    for (const error of [new Refusal("auth_unavailable", ""), new Refusal("forbidden", ""), new Error("x")]) {
      rates.countFailure(at("here"), error);
      rates.refuseFailing(at("here"), unknown);
    }
    rates.countFailure(at("here"), new Refusal("token_expired", ""));
    expect(refusalOf(() => rates.refuseFailing(at("here"), unknown)).code).toBe("rate_limited");
  });

  test("cost nobody a look at an address while there are none", () => {
    const { rates, advance } = setUp(6);
    let looks = 0;
    const look = (): string => {
      looks += 1;
      return "here";
    };
    rates.refuseFailing(look, unknown);
    expect(looks).toBe(0);
    rates.countFailure(look, bad);
    rates.refuseFailing(look, unknown);
    expect(looks).toBe(2);
    advance(120_000);
    rates.refuseFailing(look, unknown);
    rates.refuseFailing(look, unknown);
    expect(looks).toBe(3);
  });
});
