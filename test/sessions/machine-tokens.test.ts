/** Secrets of machines and their look-up: what they are made of, how long a look-up counts, when a use is written down. */
import { beforeEach, describe, expect, test } from "bun:test";
import { createIds } from "../../src/lib/ids.ts";
import { createLogger } from "../../src/lib/logger.ts";
import { Refusal } from "../../src/protocol/error.ts";
import {
  createMachineTokens,
  issueMachineToken,
  looksLikeMachineToken,
  type MachineTokenSpec,
  type MachineTokenStore,
  makeMachineSecret,
} from "../../src/sessions/machine-tokens.ts";
import { createMemoryMachineTokenStore } from "../../src/sessions/machine-tokens-memory.ts";
import { hashToken } from "../../src/sessions/tokens.ts";
import { isAllowed } from "../../src/sessions/scope.ts";
import { failureOf } from "../conformance/failure.ts";
import { createManualClock } from "../telemetry/manual-clock.ts";

const ids = createIds();
const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;

function setUp() {
  const clock = createManualClock();
  const store = createMemoryMachineTokenStore();
  const looked: string[] = [];
  const watched: MachineTokenStore = {
    ...store,
    find(hash) {
      looked.push(hash);
      return store.find(hash);
    },
  };
  const logger = createLogger({ level: "silent", pretty: false });
  const tokens = createMachineTokens({ store: watched, clock, logger });
  const issue = (spec: Partial<MachineTokenSpec> = {}) =>
    issueMachineToken(
      { store, clock, ids },
      { kind: "worker", name: "render", types: null, rooms: null, ttlMs: null, ...spec },
    );
  const refused = async (secret: string): Promise<string> => {
    const error: unknown = await tokens.read(secret).then(
      () => null,
      (reason: unknown) => reason,
    );
    if (!(error instanceof Refusal)) throw new Error("it was not refused");
    return error.code;
  };
  return { clock, store, looked, tokens, issue, refused };
}

let on: ReturnType<typeof setUp>;
beforeEach(() => {
  on = setUp();
});

describe("a secret", () => {
  test("has a prefix of its kind, 32 random bytes and a checksum", () => {
    for (const [kind, prefix] of [
      ["worker", "hlw_"],
      ["admin", "hla_"],
      ["publish", "hlp_"],
    ] as const) {
      const secrets = Array.from({ length: 50 }, () => makeMachineSecret(kind, ids));
      for (const secret of secrets) {
        expect(secret).toMatch(/^[a-z]{3}_[\w-]{49}$/);
        expect(secret).toStartWith(prefix);
        expect(looksLikeMachineToken(secret)).toBe(true);
      }
      expect(new Set(secrets).size).toBe(50);
    }
    for (const other of ["", "hlx_a", "ahlw_", "eyJhbGciOiJFZERTQSJ9.e30.AA"]) {
      expect(looksLikeMachineToken(other)).toBe(false);
    }
  });

  test("with any one character changed, missing or added is told to be mistyped, and not looked up", async () => {
    const { secret } = await on.issue();
    for (let at = 4; at < secret.length; at += 1) {
      const other = secret[at] === "x" ? "y" : "x";
      const slips = [
        secret.slice(0, at) + other + secret.slice(at + 1),
        secret.slice(0, at) + secret.slice(at + 1),
        secret.slice(0, at) + other + secret.slice(at),
      ];
      for (const slip of slips) {
        expect((await failureOf(on.tokens.read(slip))).message).toContain("mistyped or cut short");
      }
    }
    expect(on.looked).toEqual([]);
  });

  test("is found by its hash alone; a whole one that nobody made is unknown", async () => {
    const { secret, token } = await on.issue({ name: "render farm", types: ["chat", "x-*"] });
    expect(await on.tokens.read(secret)).toEqual(token);
    expect(on.looked).toEqual([hashToken(secret)]);
    expect(JSON.stringify(await on.store.list())).not.toContain(secret.slice(4, 47));
    expect((await failureOf(on.tokens.read(makeMachineSecret("worker", ids)))).message).toContain(
      "not known here",
    );
    expect(await on.refused(makeMachineSecret("worker", ids))).toBe("unauthenticated");
  });
});

describe("a token", () => {
  test("of a worker allows its types and what their wildcards cover; without any, all of them", async () => {
    const { token } = await on.issue({ types: ["chat", "render-*"] });
    const allowed = ["chat", "render-", "render-4k", "render", "chat2", "Chat", ""];
    expect(allowed.filter((type) => isAllowed(token.types, type))).toEqual(["chat", "render-", "render-4k"]);
    const { token: any } = await on.issue();
    expect(allowed.every((type) => isAllowed(any.types, type))).toBe(true);
  });

  test("ends at its time, to the millisecond, and says so", async () => {
    const { secret } = await on.issue({ ttlMs: 5000 });
    on.clock.advance(4999);
    expect((await on.tokens.read(secret)).kind).toBe("worker");
    on.clock.advance(1);
    expect(await on.refused(secret)).toBe("token_expired");
  });

  test("that another process revoked is refused within a second, though it was just looked up", async () => {
    const { secret, token } = await on.issue();
    await on.tokens.read(secret);
    await on.store.revoke(token.id, on.clock.wallMs());
    on.clock.advance(999);
    expect(await on.refused(secret)).toBe("token_revoked");
  });

  test("that another process removed is unknown within a second", async () => {
    const { secret, token } = await on.issue();
    await on.tokens.read(secret);
    await on.store.remove(token.id);
    on.clock.advance(999);
    expect(await on.refused(secret)).toBe("unauthenticated");
    expect(on.tokens.remembers(secret)).toBe(false);
  });

  test("in use is looked up once for many calls, and remembered as genuine meanwhile", async () => {
    const { secret } = await on.issue();
    expect(on.tokens.remembers(secret)).toBe(false);
    for (let n = 0; n < 100; n += 1) await on.tokens.read(secret);
    expect(on.looked).toHaveLength(1);
    expect(on.tokens.remembers(secret)).toBe(true);
    on.clock.advance(1000);
    expect(on.tokens.remembers(secret)).toBe(false);
    await on.tokens.read(secret);
    expect(on.looked).toHaveLength(2);
  });

  test("has its last use written down at most once a minute", async () => {
    const { secret } = await on.issue();
    const lastUse = async () => (await on.store.list())[0]?.lastUsedAt;
    const startMs = on.clock.wallMs();
    expect(await lastUse()).toBeNull();
    await on.tokens.read(secret);
    expect(await lastUse()).toBe(startMs);
    for (let n = 0; n < 59; n += 1) {
      on.clock.advance(1000);
      await on.tokens.read(secret);
    }
    expect(await lastUse()).toBe(startMs);
    on.clock.advance(1000);
    await on.tokens.read(secret);
    expect(await lastUse()).toBe(startMs + MINUTE_MS);
  });

  test("that ended is listed for a month, and forgotten when the next one is made after it", async () => {
    const expired = await on.issue({ ttlMs: 1000 });
    const revoked = await on.issue();
    const lasting = await on.issue();
    await on.store.revoke(revoked.token.id, on.clock.wallMs() + 1000);
    const listed = async () => (await on.store.list()).map(({ id }) => id);
    on.clock.advance(30 * DAY_MS);
    const later = await on.issue();
    expect(await listed()).toEqual([later, lasting, revoked, expired].map(({ token }) => token.id));
    on.clock.advance(1001);
    const last = await on.issue();
    expect(await listed()).toEqual([last, later, lasting].map(({ token }) => token.id));
    expect(await on.refused(expired.secret)).toBe("unauthenticated");
  });
});
