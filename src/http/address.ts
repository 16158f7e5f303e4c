/** Whose address a request comes from: the peer's, or what the operator's own proxies say it is (PROTOCOL section 7). */
import { BlockList, isIP } from "node:net";

export interface AddressesOptions {
  /** IP addresses or CIDR blocks, already found to be valid. */
  readonly trustedProxies: readonly string[];
  /** Address of the peer of the request's connection; null when it is gone. */
  readonly peerOf: (request: Request) => string | null;
}

export interface Address {
  readonly family: "ipv4" | "ipv6";
  readonly text: string;
  /** The eight groups of an IPv6 address. */
  readonly groups: readonly number[];
}

/** What stands for all requests whose address is not known. */
const UNKNOWN = "unknown";

/** The eight groups of valid IPv6 text, with or without `::` and a dotted quad at its end (RFC 4291 section 2.2). */
function groupsOf(text: string): number[] {
  const hex = text.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_quad, ...parts) => {
    const [a = 0, b = 0, c = 0, d = 0] = parts.slice(0, 4).map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [head = "", tail] = hex.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((group) => Number.parseInt(group, 16));
  if (tail === undefined) return groups(head);
  const [before, after] = [groups(head), groups(tail)];
  return [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
}

/** The address in a text, null when it is none. An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) is the IPv4 one. */
export function parseAddress(text: string): Address | null {
  // A zone (`fe80::1%eth0`) names an interface of this machine, not another address.
  const [bare = ""] = text.split("%", 1);
  const version = isIP(bare);
  if (version === 0) return null;
  if (version === 4) return { family: "ipv4", text: bare, groups: [] };
  const groups = groupsOf(bare);
  const [high = 0, low = 0] = groups.slice(6);
  const isMapped = groups[5] === 0xffff && groups.slice(0, 5).every((group) => group === 0);
  if (!isMapped) return { family: "ipv6", text: bare, groups };
  return { family: "ipv4", text: [high >> 8, high & 255, low >> 8, low & 255].join("."), groups: [] };
}

/** What an address is counted by: IPv4 as it is, IPv6 by its /64, the least that one network has (RFC 6177). */
function countedBy({ family, text, groups }: Address): string {
  if (family === "ipv4") return text;
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/** The address in an entry of `X-Forwarded-For`, which some proxies write with a port. */
function parseHop(entry: string): Address | null {
  const text = entry.trim();
  return parseAddress(/^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? text.replace(/^([\d.]+):\d+$/, "$1"));
}

const MAPPED_BITS = 96;

function blockListOf(blocks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const block of blocks) {
    const [text = "", bits] = block.split("/");
    const address = parseAddress(text);
    if (address === null) continue;
    const { family } = address;
    const mapped = family === "ipv4" && text.includes(":");
    const most = family === "ipv4" ? 32 : 128;
    list.addSubnet(
      address.text,
      bits === undefined ? most : Number(bits) - (mapped ? MAPPED_BITS : 0),
      family,
    );
  }
  return list;
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
