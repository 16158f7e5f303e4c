/** Signatures as the Standard Webhooks specification 1.0 has them (symmetric, `v1`), so that its libraries verify them. */
import { createHmac } from "node:crypto";

const PREFIX = "whsec_";
export interface Message {
  /** The same for every attempt: receivers know by it what they have. */
  readonly id: string;
  /** Seconds since the epoch, of this attempt. */
  readonly timestamp: number;
  readonly body: string;
}

/** The three headers; one signature for each secret, so that receivers can change theirs in their own time. */
export function signedHeaders(
  { id, timestamp, body }: Message,
  secrets: readonly string[],
): Record<string, string> {
  const signatures = secrets.map((secret) => {
    const key = Uint8Array.fromBase64(secret.slice(PREFIX.length));
    return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
  });
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatures.join(" "),
  };
}
