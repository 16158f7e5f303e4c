/**
 * The `KeyStore` contract: where the keys that sign session tokens are kept.
 *
 * Guarantees every driver gives (held by test/conformance/key-store.ts)
 * - Every call is atomic, whichever process makes it.
 * - The newest key signs, all of them verify. What `add` adds is the newest, whatever the caller's clock shows.
 * - There is a key from the first `begin` on, the same for everybody, however many begin at once.
 */
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from "jose";
import { z } from "zod";

/** An Ed25519 key (RFC 8037) with its private part. */
export const storedKeySchema = z.object({
  kid: z.string().min(1),
  /** Wall time in ms; the newest signs. */
  createdAt: z.number(),
  jwk: z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string(), d: z.string() }),
});

export type StoredKey = Readonly<z.infer<typeof storedKeySchema>>;
export type FreshKey = Pick<StoredKey, "kid" | "jwk">;

export interface KeyStore {
  /** All of them, newest first. Rejects when one cannot be read, with its name. */
  list(): Promise<readonly StoredKey[]>;
  /** This key, unless there is one. */
  begin(key: FreshKey, wallMs: number): Promise<void>;
  /** This key signs from now on. Resolves with when it was made. */
  add(key: FreshKey, wallMs: number): Promise<number>;
  /** Ends every token that the key signed. The one that signs cannot go: there has to be a newer one first. */
  remove(kid: string): Promise<"removed" | "unknown" | "signs">;
}

/** A new key that nobody has yet. Its name is never taken for an option of a command. */
export async function makeKey(): Promise<FreshKey> {
  for (;;) {
    const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const jwk = await exportJWK(privateKey);
    const kid = await calculateJwkThumbprint(jwk);
    if (!kid.startsWith("-")) return { kid, jwk: storedKeySchema.shape.jwk.parse(jwk) };
  }
}

/** It has to be the newest also when the clock was set back since the last one. */
export function createdAfter(keys: readonly StoredKey[], wallMs: number): number {
  return Math.max(Math.round(wallMs), (keys[0]?.createdAt ?? 0) + 1);
}

/** What `remove` answers, before anything is removed. */
export function removalOf(keys: readonly StoredKey[], kid: string): "removed" | "unknown" | "signs" {
  const place = keys.findIndex((key) => key.kid === kid);
  if (place === -1) return "unknown";
  return place === 0 ? "signs" : "removed";
}
