/** Idempotency-Key and the fingerprint of a body (IETF draft-ietf-httpapi-idempotency-key-header). */
import { canonicalJson } from "../lib/json.ts";
import { Refusal } from "../protocol/error.ts";
import { LIMITS } from "../protocol/limits.ts";

const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;

/** The key, quoted (RFC 8941 string) or bare: both name the same. null when the header is absent. */
export function readIdempotencyKey(headers: Headers): string | null {
  const given = headers.get("idempotency-key");
  if (given === null) return null;
  const text = given.trim();
  const quoted = text.startsWith('"');
  const key = quoted ? unquote(text) : text;
  if (key === null || key === "" || key.length > LIMITS.idempotencyKeyChars || !PRINTABLE_ASCII.test(key)) {
    throw new Refusal(
      "invalid_idempotency_key",
      `The Idempotency-Key must be 1 to ${LIMITS.idempotencyKeyChars} printable ASCII characters.`,
    );
  }
  return key;
}

function unquote(text: string): string | null {
  const match = /^"((?:[^"\\]|\\["\\])*)"$/.exec(text);
  return match === null ? null : (match[1] ?? "").replaceAll(/\\(["\\])/g, "$1");
}

/** Equal for bodies that say the same, whatever the order of their members. */
export function fingerprint(body: unknown): string {
  return new Bun.CryptoHasher("sha256").update(canonicalJson(body)).digest("hex");
}

/** RFC 7240 `Prefer: wait=N` in milliseconds, clamped to the most a call may wait; null when it is not asked for. */
export function readPreferWait(headers: Headers): number | null {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,9})"?/i.exec(headers.get("prefer") ?? "");
  return match === null ? null : Math.min(Number(match[1]) * 1000, LIMITS.waitMs);
}
