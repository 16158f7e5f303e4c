/** What was revoked: whom it hits, that it is known again after a restart, and that it is forgotten when it is due. */
import { expect, test } from "bun:test";
import type { UserId } from "../../src/lib/ids.ts";
import { LIMITS } from "../../src/protocol/limits.ts";
import { createRevocations } from "../../src/sessions/revocations.ts";
import { createMemoryRevocationStore } from "../../src/sessions/revocations/memory.ts";

const ADA = "ada" as UserId;
const BOB = "bob" as UserId;
const BEFORE = 1_800_000_000_000;
const bindingOf = (tokenId: string) => {
  return { tokenHash: "", tokenId, issuedAt: 0, expiresAt: 0, types: null, rooms: null };
};

test("a user's tokens up to the moment are hit, later ones and other users are not; a token by its id alone", async () => {
  const revocations = createRevocations(createMemoryRevocationStore());
  await revocations.revoke("user", ADA, BEFORE);
  await revocations.revoke("token", "one", BEFORE);
  expect(revocations.isRevoked(ADA, null, BEFORE)).toBe(true);
  expect(revocations.isRevoked(ADA, null, BEFORE + 1)).toBe(false);
  expect(revocations.isRevoked(BOB, null, BEFORE)).toBe(false);
  expect(revocations.isRevoked(BOB, bindingOf("one"), BEFORE + 1)).toBe(true);
  expect(revocations.isRevoked(BOB, bindingOf("two"), BEFORE)).toBe(false);
});

test("it is forgotten without a restart, each when it is due, and not before", async () => {
  const revocations = createRevocations(createMemoryRevocationStore());
  await revocations.revoke("user", ADA, BEFORE);
  await revocations.revoke("token", "one", BEFORE + 1000);
  const endMs = BEFORE + LIMITS.userTokenLifeMs;
  await revocations.forget(endMs - 1);
  expect(revocations.size).toBe(2);
  await revocations.forget(endMs);
  expect(revocations.size).toBe(1);
  expect(revocations.isRevoked(ADA, null, BEFORE)).toBe(false);
  expect(revocations.isRevoked(BOB, bindingOf("one"), 0)).toBe(true);
  await revocations.forget(endMs + 1000);
  expect(revocations.size).toBe(0);
  // One that comes later is noticed as well.
  await revocations.revoke("user", ADA, BEFORE + 5000);
  await revocations.forget(endMs + 5000);
  expect(revocations.size).toBe(0);
});

test("it is known after a restart, until no token that it hits can live any more", async () => {
  const store = createMemoryRevocationStore();
  await createRevocations(store).revoke("user", ADA, BEFORE);
  const restarted = async () => {
    const revocations = createRevocations(store);
    await revocations.load();
    return revocations.isRevoked(ADA, null, BEFORE);
  };
  expect(await restarted()).toBe(true);
  const sweep = async (wallMs: number) => {
    const revocations = createRevocations(store);
    await revocations.load();
    await revocations.forget(wallMs);
  };
  await sweep(BEFORE + LIMITS.userTokenLifeMs - 1);
  expect(await restarted()).toBe(true);
  await sweep(BEFORE + LIMITS.userTokenLifeMs);
  expect(await restarted()).toBe(false);
  expect(await store.list(0)).toEqual([]);
});
