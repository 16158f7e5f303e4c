/**
 * The keys that sign session tokens: Ed25519, one JWK file each in the data folder, the newest signs, all verify.
 * A key that is removed ends the tokens it signed; rotation is: add one, wait a token's life, remove the old.
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import {
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type CryptoKey,
  type JWK,
} from "jose";

export interface SigningKeys {
  /** Signs new tokens. */
  readonly current: { readonly kid: string; readonly privateKey: CryptoKey };
  /** Verifies a token that names `kid`; null for an unknown one. */
  publicKey(kid: string): CryptoKey | null;
}

interface KeyFile {
  readonly kid: string;
  /** Wall time in ms; the newest signs. */
  readonly createdAt: number;
  readonly jwk: JWK;
}

async function generate(createdAt: number): Promise<KeyFile> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const jwk = await exportJWK(privateKey);
  return { kid: await calculateJwkThumbprint(jwk), createdAt, jwk };
}

async function assemble(files: readonly KeyFile[]): Promise<SigningKeys> {
  const newest = files.toSorted((a, b) => b.createdAt - a.createdAt)[0];
  if (newest === undefined) throw new Error("no signing key");
  const publicKeys = new Map<string, CryptoKey>();
  for (const { kid, jwk } of files) {
    const { d: _secret, ...publicPart } = jwk;
    publicKeys.set(kid, (await importJWK(publicPart, "EdDSA")) as CryptoKey);
  }
  const privateKey = (await importJWK(newest.jwk, "EdDSA")) as CryptoKey;
  return { current: { kid: newest.kid, privateKey }, publicKey: (kid) => publicKeys.get(kid) ?? null };
}

/** Keys that live as long as the process. */
export async function createEphemeralKeys(): Promise<SigningKeys> {
  return assemble([await generate(0)]);
}

/** Reads `<dataDir>/keys/*.json`, making the first key when there is none. Files have mode 0600. */
export async function loadSigningKeys(dataDir: string, createdAt: number): Promise<SigningKeys> {
  const folder = join(dataDir, "keys");
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const names = readdirSync(folder).filter((name) => name.endsWith(".json"));
  if (names.length === 0) {
    const key = await generate(createdAt);
    const path = join(folder, `${key.kid}.json`);
    // Written beside and renamed: a kill in between leaves no half key.
    writeFileSync(`${path}.new`, JSON.stringify(key), { mode: 0o600, flush: true });
    if (!existsSync(path)) renameSync(`${path}.new`, path);
    names.push(`${key.kid}.json`);
  }
  return assemble(
    names.map((name) => {
      const path = join(folder, name);
      chmodSync(path, 0o600);
      return JSON.parse(readFileSync(path, "utf8")) as KeyFile;
    }),
  );
}
