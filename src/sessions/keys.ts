/**
 * The keys that sign session tokens: Ed25519, one JWK file each in the data folder, the newest signs, all verify.
 * A key that is removed ends the tokens it signed; rotation is: add one, wait a token's life, remove the old. A running
 * server notices both by looking at the folder again.
 */
import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from "jose";
import { z } from "zod";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/logger.ts";

export interface SigningKeys {
  /** Signs new tokens. */
  readonly current: { readonly kid: string; readonly privateKey: JWK };
  /** Verifies a token that names `kid`; null for a key that is unknown or was removed. */
  publicKey(kid: string): JWK | null;
}

const keyFileSchema = z.object({
  kid: z.string().min(1),
  /** Wall time in ms; the newest signs. */
  createdAt: z.number(),
  jwk: z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: z.string(), d: z.string() }),
});

type KeyFile = z.infer<typeof keyFileSchema>;

/** What may be shown of a key. */
export interface KeyFacts extends Pick<KeyFile, "kid" | "createdAt"> {
  /** New tokens are signed with it. */
  readonly signs: boolean;
}

/** How old the last look at the folder may be; and when a token names a key that is not known. */
const LOOK_MS = 2000;
const LOOK_FOR_UNKNOWN_MS = 200;

async function generate(createdAt: number): Promise<KeyFile> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const jwk = await exportJWK(privateKey);
  return keyFileSchema.parse({ kid: await calculateJwkThumbprint(jwk), createdAt, jwk });
}

function assemble(files: readonly KeyFile[]): SigningKeys {
  const [newest] = files;
  if (newest === undefined) throw new Error("no signing key is left");
  const publicKeys = new Map<string, JWK>();
  for (const { kid, jwk } of files) {
    const { d: _secret, ...publicPart } = jwk;
    publicKeys.set(kid, publicPart);
  }
  return {
    current: { kid: newest.kid, privateKey: newest.jwk },
    publicKey: (kid) => publicKeys.get(kid) ?? null,
  };
}

/** Keys that live as long as the process. */
export async function createEphemeralKeys(): Promise<SigningKeys> {
  return assemble([await generate(0)]);
}

const folderOf = (dataDir: string): string => join(dataDir, "keys");

function keyNames(dataDir: string): string[] {
  const folder = folderOf(dataDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .toSorted();
}

/** The files of these names, newest key first. Throws with the name of one that is no key. */
function readKeys(dataDir: string, names: readonly string[]): KeyFile[] {
  const files = names.map((name) => {
    const path = join(folderOf(dataDir), name);
    chmodSync(path, 0o600);
    try {
      return keyFileSchema.parse(JSON.parse(readFileSync(path, "utf8")));
    } catch (cause) {
      throw new Error(`${path} is not a signing key`, { cause });
    }
  });
  return files.toSorted((a, b) => b.createdAt - a.createdAt);
}

/** All keys, newest first. */
export function listSigningKeys(dataDir: string): KeyFacts[] {
  const files = readKeys(dataDir, keyNames(dataDir));
  return files.map(({ kid, createdAt }, index) => ({ kid, createdAt, signs: index === 0 }));
}

/** A new key, which signs from now on. Files have mode 0600. */
export async function addSigningKey(dataDir: string, wallMs: number): Promise<KeyFacts> {
  const [newest] = listSigningKeys(dataDir);
  // It has to be the newest also when the clock was set back since the last one.
  const key = await generate(Math.max(Math.round(wallMs), (newest?.createdAt ?? 0) + 1));
  const path = join(folderOf(dataDir), `${key.kid}.json`);
  // Written beside and renamed: neither a kill in between nor a server that looks just now meets half a key.
  writeFileSync(`${path}.new`, JSON.stringify(key), { mode: 0o600, flush: true });
  renameSync(`${path}.new`, path);
  return { kid: key.kid, createdAt: key.createdAt, signs: true };
}

/** Ends every token that the key signed. The one that signs cannot go: there has to be a newer one first. */
export function removeSigningKey(dataDir: string, kid: string): "removed" | "unknown" | "signs" {
  const key = listSigningKeys(dataDir).find((one) => one.kid === kid);
  if (key === undefined) return "unknown";
  if (key.signs) return "signs";
  rmSync(join(folderOf(dataDir), `${kid}.json`));
  return "removed";
}

export interface SigningKeysOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The keys in `<dataDir>/keys/*.json`, the first one made when there is none. Rejects when one cannot be read. */
export async function openSigningKeys({ dataDir, clock, logger }: SigningKeysOptions): Promise<SigningKeys> {
  if (keyNames(dataDir).length === 0) await addSigningKey(dataDir, clock.wallMs());
  let names = keyNames(dataDir);
  let keys = assemble(readKeys(dataDir, names));
  let lookedMs = clock.steadyMs();

  const look = (olderThanMs: number): void => {
    if (clock.steadyMs() - lookedMs < olderThanMs) return;
    lookedMs = clock.steadyMs();
    try {
      const found = keyNames(dataDir);
      if (found.join() === names.join()) return;
      keys = assemble(readKeys(dataDir, found));
      names = found;
      logger.info({ keys: names.length, signs: keys.current.kid }, "the signing keys have changed");
    } catch (error) {
      logger.error({ error }, "the signing keys cannot be read again: those that are known go on");
    }
  };

  return {
    get current() {
      look(LOOK_MS);
      return keys.current;
    },
    publicKey(kid) {
      look(LOOK_MS);
      const known = keys.publicKey(kid);
      if (known !== null) return known;
      // Made by another process a moment ago, or by nobody: a flood of those must not read the folder each time.
      look(LOOK_FOR_UNKNOWN_MS);
      return keys.publicKey(kid);
    },
  };
}
