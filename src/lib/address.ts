/** IP addresses and networks as text, in every spelling, read once: IPv4 inside IPv6 is the IPv4 address it is. */
import { BlockList, isIP } from "node:net";

export interface Address {
  readonly family: "ipv4" | "ipv6";
  readonly text: string;
  /** The eight groups of an IPv6 address. */
  readonly groups: readonly number[];
}

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

const MAPPED_BITS = 96;

/** The list of addresses and CIDR blocks, already found to be valid. */
export function blockListOf(blocks: readonly string[]): BlockList {
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
