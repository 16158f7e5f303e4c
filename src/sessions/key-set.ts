/**
 * The identity provider's published keys (JWKS), through jose's remote set. Added to it: keys that are known go on when
 * the provider is down, a flood of unknown keys costs one request in 30 s, and an answer is bounded and checked.
 */
import { createRemoteJWKSet, customFetch, type JWTVerifyGetKey } from "jose";
import { z } from "zod";
import type { Clock } from "../lib/clock.ts";

/** No key set could be fetched yet. */
export class KeySetUnavailable extends Error {
  override readonly name = "KeySetUnavailable";
}

export interface KeySetOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
}

const FETCH_MS = 5000;
/** Least time between two requests, whether the last one went well or not. */
const COOL_DOWN_MS = 30_000;
const FRESH_MS = 600_000;
const MOST_BYTES = 1024 * 1024;

const keySetSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) });

async function readBounded(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MOST_BYTES) throw new Error("the key set is too large");
  }
  return text + decoder.decode();
}

/** The text of a key set, or an error saying what came instead. */
async function fetchKeys(get: typeof fetch, url: string): Promise<string> {
  const signal = AbortSignal.timeout(FETCH_MS);
  const response = await get(url, { signal, redirect: "error", headers: { Accept: "application/json" } });
  if (response.status !== 200) throw new Error(`the key set answered ${response.status}`);
  const text = await readBounded(response);
  // jose refuses a set with one broken entry as a whole: let in here, it would shut out every key that is known.
  if (!keySetSchema.safeParse(JSON.parse(text)).success) throw new Error("what was fetched is no key set");
  return text;
}

/** A resolver for jose. Rejects with KeySetUnavailable while nothing was ever fetched. */
export function createKeySet({ url, clock, fetch: get }: KeySetOptions): JWTVerifyGetKey {
  let known: string | null = null;
  let triedMs = Number.NEGATIVE_INFINITY;
  let trying: Promise<void> | null = null;

  const refresh = async (): Promise<void> => {
    try {
      known = await fetchKeys(get, url);
    } catch (error) {
      if (known === null) throw new KeySetUnavailable("the key set cannot be fetched", { cause: error });
    } finally {
      trying = null;
    }
  };

  return createRemoteJWKSet(new URL(url), {
    cacheMaxAge: FRESH_MS,
    cooldownDuration: COOL_DOWN_MS,
    timeoutDuration: FETCH_MS * 2,
    async [customFetch]() {
      if (clock.steadyMs() - triedMs >= COOL_DOWN_MS) {
        triedMs = clock.steadyMs();
        trying = refresh();
      }
      if (trying !== null) await trying;
      if (known === null) throw new KeySetUnavailable("the key set cannot be fetched");
      return new Response(known, { headers: { "Content-Type": "application/json" } });
    },
  });
}
