/** Whose address a request comes from: the peer's, or what the operator's own proxies say it is (PROTOCOL section 7). */
import { blockListOf, parseAddress, type Address } from "../lib/address.ts";

export interface AddressesOptions {
  /** IP addresses or CIDR blocks, already found to be valid. */
  readonly trustedProxies: readonly string[];
  /** Address of the peer of the request's connection; null when it is gone. */
  readonly peerOf: (request: Request) => string | null;
}

/** What stands for all requests whose address is not known. */
const UNKNOWN = "unknown";

/** What an address is counted by: IPv4 as it is, IPv6 by its /64, the least that one network has (RFC 6177). */
function countedBy({ family, text, groups }: Address): string {
  if (family === "ipv4") return text;
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/**
 * By what sessions without a user are counted; null for a program on this machine, which may be a developer's, or a proxy
 * that is not trusted and stands for everybody. `address` as it is counted.
 */
export function boundAddress(address: string): string | null {
  return address.startsWith("127.") || address === "0:0:0:0::/64" ? null : address;
}

/** The address in an entry of `X-Forwarded-For`, which some proxies write with a port. */
function parseHop(entry: string): Address | null {
  const text = entry.trim();
  return parseAddress(/^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/^([\d.]+):\d+$/, "$1"));
}

/**
 * Tells by what a request without a user is counted. Proxies append to `X-Forwarded-For`, so it is read from the right
 * for as long as a trusted one speaks; what stands further left anybody may have written. The header of a peer that is
 * no trusted proxy does not count at all. `X-Forwarded-Proto`, `-Host` and `Forwarded` are not looked at: where browsers
 * reach the server is said by the configured public URL.
 */
export function createAddresses({ trustedProxies, peerOf }: AddressesOptions): (request: Request) => string {
  const trusted = trustedProxies.length === 0 ? null : blockListOf(trustedProxies);
  return (request) => {
    let address = parseAddress(peerOf(request) ?? "");
    if (address === null) return UNKNOWN;
    const forwarded = trusted === null ? null : request.headers.get("x-forwarded-for");
    if (trusted === null || forwarded === null) return countedBy(address);
    for (const entry of forwarded.split(",").toReversed()) {
      if (!trusted.check(address.text, address.family)) break;
      const hop = parseHop(entry);
      if (hop === null) break;
      address = hop;
    }
    return countedBy(address);
  };
}
