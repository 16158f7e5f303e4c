/** One attempt of one webhook over the network: to an address that was looked at, without redirects, in bounded time. */
import type { WebhookAttempt, WebhookOutcome } from "../jobs/webhook.ts";
import { LIMITS } from "../protocol/limits.ts";
import { signedHeaders, type Message } from "./sign.ts";
import type { Targets } from "./target.ts";

/** What a sender needs of the world. */
export interface Wire {
  /** Every address of a host name; rejects when there is none. */
  readonly resolve: (host: string) => Promise<readonly string[]>;
  readonly fetch: (url: string, init: BunFetchRequestInit) => Promise<Response>;
}

export interface SenderOptions {
  readonly targets: Targets;
  readonly secrets: readonly string[];
  readonly userAgent: string;
  readonly wire: Wire;
}

/** Reason of a signal: the receiver took longer than it may. */
export class Late extends Error {
  override readonly name = "Late";
}

export type Sent = Pick<WebhookAttempt, "status" | "error"> & { readonly outcome: WebhookOutcome };
export type Sender = (url: string, message: Message, signal: AbortSignal) => Promise<Sent>;

const AGAIN: WebhookOutcome = { kind: "again", retryAfterMs: 0 };
const GIVEN_UP: WebhookOutcome = { kind: "given_up" };

function unanswered(error: string, outcome: WebhookOutcome = AGAIN): Sent {
  return { status: null, error, outcome };
}

/** `Retry-After` in seconds; what is no number of them is not heeded. */
function retryAfterMs(response: Response): number {
  const text = response.headers.get("retry-after") ?? "";
  return /^\d{1,6}$/.test(text) ? Math.min(Number(text) * 1000, LIMITS.webhookRetryAfterMs) : 0;
}

/** Any 2xx is a receipt; 410 says that nobody wants it any more (Standard Webhooks). Redirects are not followed. */
function judge(response: Response): Sent {
  const { status } = response;
  const of = (outcome: WebhookOutcome): Sent => ({ status, error: null, outcome });
  if (status >= 200 && status < 300) return of({ kind: "delivered" });
  if (status === 410) return of(GIVEN_UP);
  return of({ kind: "again", retryAfterMs: retryAfterMs(response) });
}

export function createSender({ targets, secrets, userAgent, wire }: SenderOptions): Sender {
  /** The address to connect to, every one the name has being admitted; null when one is not. */
  const addressOf = async (url: URL): Promise<string | null> => {
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const addresses = await wire.resolve(host);
    if (!addresses.every((address) => targets.admits(address, url.protocol))) return null;
    return addresses[0] ?? null;
  };

  return async (text, message, signal) => {
    // The operator may have changed the rules since the job was accepted.
    if (targets.check(text) !== null) return unanswered("not_allowed", GIVEN_UP);
    const url = new URL(text);
    let address: string | null;
    try {
      address = await addressOf(url);
    } catch {
      return unanswered("no_address");
    }
    // A name may point elsewhere tomorrow, so this is not the end; but nothing was sent.
    if (address === null) return unanswered("address_not_allowed");
    const pinned = new URL(url);
    pinned.hostname = address.includes(":") ? `[${address}]` : address;
    try {
      const response = await wire.fetch(pinned.href, {
        method: "POST",
        redirect: "manual",
        keepalive: false,
        headers: {
          "content-type": "application/json",
          "user-agent": userAgent,
          host: url.host,
          ...signedHeaders(message, secrets),
        },
        body: message.body,
        signal: signal,
        ...(url.protocol === "https:" ? { tls: { serverName: url.hostname } } : {}),
      });
      // What it says beside its status is of no interest, and may be large.
      await response.body?.cancel();
      return judge(response);
    } catch (error) {
      return unanswered(error instanceof Late ? "timeout" : "no_connection");
    }
  };
}
