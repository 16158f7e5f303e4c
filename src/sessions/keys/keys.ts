/**
 * The keys that sign session tokens, as a server knows them: looked at again every 2 s, and when a token names one that
 * is not known. So a rotation takes effect in every process of an installation. A key that is removed ends the tokens it
 * signed; rotation is: add one, wait a token's life, remove the old.
 */
import type { JWK } from "jose";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Logger } from "../../lib/logger.ts";
import { Refusal } from "../../protocol/error.ts";
import { makeKey, type KeyStore, type StoredKey } from "./store.ts";

export interface SigningKeys {
  /** Signs new tokens. */
  readonly current: { readonly kid: string; readonly privateKey: JWK };
  /** Verifies a token that names `kid`; null for a key that is not known, or was removed. */
  publicKey(kid: string): JWK | null;
  /**
   * As `publicKey`, for one that is not known: another process may have made it a moment ago. Rejects with Refusal
   * `storage_unavailable` when nobody can tell.
   */
  lookFor(kid: string): Promise<JWK | null>;
  /** Looks again and again, until `stop`. */
  start(): void;
  stop(): void;
}

/** How often it looks; and the least between two looks when tokens name keys that are not known. */
const LOOK_MS = 2000;
const LOOK_FOR_UNKNOWN_MS = 200;

interface Known {
  readonly kids: string;
  readonly current: SigningKeys["current"];
  readonly publicKeys: ReadonlyMap<string, JWK>;
}

function assemble(keys: readonly StoredKey[]): Known {
  const [newest] = keys;
  if (newest === undefined) throw new Error("no signing key is left");
  const publicKeys = new Map<string, JWK>();
  for (const { kid, jwk } of keys) {
    const { d: _secret, ...publicPart } = jwk;
    publicKeys.set(kid, publicPart);
  }
  return {
    kids: keys.map(({ kid }) => kid).join(),
    current: { kid: newest.kid, privateKey: newest.jwk },
    publicKeys,
  };
}

export interface SigningKeysOptions {
  readonly store: KeyStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Makes the first key where there is none. Rejects when one cannot be read. */
export async function openSigningKeys({ store, clock, logger }: SigningKeysOptions): Promise<SigningKeys> {
  if ((await store.list()).length === 0) await store.begin(await makeKey(), clock.wallMs());
  let known = assemble(await store.list());
  let lookedMs = clock.steadyMs();
  let looking: Promise<void> | null = null;
  /** Whether what is known was as it is stored at the last look. */
  let isGood = true;

  const lookOnce = async (): Promise<void> => {
    try {
      const found = assemble(await store.list());
      if (found.kids !== known.kids)
        logger.info(
          { keys: found.publicKeys.size, signs: found.current.kid },
          "the signing keys have changed",
        );
      known = found;
      isGood = true;
    } catch (error) {
      // A look that its own end has met is nobody's concern.
      if (!isStopped)
        logger.error({ error }, "the signing keys cannot be read again: those that are known go on");
      isGood = false;
    } finally {
      looking = null;
    }
  };
  const look = (): Promise<void> => {
    if (looking === null) lookedMs = clock.steadyMs();
    looking ??= lookOnce();
    return looking;
  };
  let timer: Timer | null = null;
  let isStopped = false;

  return {
    get current() {
      return known.current;
    },
    publicKey: (kid) => known.publicKeys.get(kid) ?? null,
    async lookFor(kid) {
      // Made by another process, or by nobody: a flood of those must not ask the store each time.
      if (looking !== null || clock.steadyMs() - lookedMs >= LOOK_FOR_UNKNOWN_MS) await look();
      const key = known.publicKeys.get(kid) ?? null;
      if (key === null && !isGood)
        throw new Refusal("storage_unavailable", "The signing keys cannot be read at this moment.");
      return key;
    },
    start() {
      timer ??= clock.every(LOOK_MS, () => void look());
    },
    stop() {
      isStopped = true;
      timer?.cancel();
      timer = null;
    },
  };
}
