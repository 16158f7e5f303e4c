/**
 * Where a webhook may go. Its URL comes from a user, so the server must not become their way into the network it stands
 * in: the host has to be one of the operator's list, and the address it resolves to is looked at right before connecting,
 * to exactly that address.
 */
import { isIP } from "node:net";
import { blockListOf, parseAddress } from "../lib/address.ts";
import { Mistakes } from "../lib/mistakes.ts";
import { LIMITS } from "../protocol/limits.ts";

export interface TargetRules {
  /** `hooks.example.com`, `*.example.com`, or `*` for any. Empty: there are no webhooks. */
  readonly hosts: readonly string[];
  /** Networks that are not public and may be reached all the same (CIDR blocks or addresses); plain http only there. */
  readonly networks: readonly string[];
}

/** What is not the public internet: RFC 6890 and its successors in the IANA registries of special addresses. */
const SPECIAL_IPV4 =
  "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 " +
  "192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3";
/** Inside 2000::/3, which alone is global unicast: protocol assignments (Teredo), documentation, 6to4. */
const SPECIAL_IPV6 = "2001::/23 2001:db8::/32 2002::/16 3fff::/20";

export type Refused = "url" | "credentials" | "scheme" | "host";

export interface Targets {
  /** What keeps this URL from ever being called; null when nothing does. */
  check(url: string): Refused | null;
  /** Whether an address may be connected to by this scheme. */
  admits(address: string, scheme: string): boolean;
}

function isListed(hosts: readonly string[], host: string): boolean {
  return hosts.some((entry) => {
    if (entry === "*") return true;
    return entry.startsWith("*.") ? host.endsWith(entry.slice(1)) : host === entry.toLowerCase();
  });
}

const REASONS: Readonly<Record<Refused, string>> = {
  url: `is not a URL of at most ${LIMITS.webhookUrlChars} characters`,
  credentials: "must not hold a user name or a password",
  scheme: "must begin with https://",
  host: "names a host that webhooks may not go to (webhookHosts)",
};

/** For a submit: why this URL is refused, as the end of a sentence; null when it is not. */
export function webhookProblem(targets: Targets, url: string): string | null {
  const refused = targets.check(url);
  return refused === null ? null : REASONS[refused];
}

/** Throws Mistakes for the operator when types have webhooks that will not be sent. */
export function checkTypes(
  types: readonly { readonly type: string; readonly webhook?: string }[],
  targets: Targets,
): void {
  const problems = types.flatMap(({ type, webhook }) => {
    const problem = webhook === undefined ? null : webhookProblem(targets, webhook);
    return problem === null ? [] : [`the webhook of the type ${type} ${problem}`];
  });
  if (problems.length > 0) throw new Mistakes(problems);
}

export function createTargets({ hosts, networks }: TargetRules): Targets {
  const allowed = blockListOf(networks);
  const special = blockListOf(`${SPECIAL_IPV4} ${SPECIAL_IPV6}`.split(" "));
  const globalUnicast = blockListOf(["2000::/3"]);

  const admits = (text: string, scheme: string): boolean => {
    const address = parseAddress(text);
    if (address === null) return false;
    if (allowed.check(address.text, address.family)) return true;
    if (scheme !== "https:" || special.check(address.text, address.family)) return false;
    return address.family === "ipv4" || globalUnicast.check(address.text, "ipv6");
  };

  return {
    check(text) {
      // The parser has one spelling for every address: 0x7f.1, 2130706433 and 127.1 are 127.0.0.1 from here on.
      const url = text.length <= LIMITS.webhookUrlChars ? URL.parse(text) : null;
      if (url === null) return "url";
      if (url.protocol !== "https:" && (url.protocol !== "http:" || networks.length === 0)) return "scheme";
      if (url.username !== "" || url.password !== "") return "credentials";
      const host = url.hostname.replace(/\.$/, "");
      // What these mean is never public (RFC 6761 section 6.3); other names are looked at when they are resolved.
      const isOwn = host === "localhost" || host.endsWith(".localhost");
      if (!isListed(hosts, host) || (isOwn && networks.length === 0)) return "host";
      const literal = host.replaceAll(/^\[|\]$/g, "");
      return isIP(literal) !== 0 && !admits(literal, url.protocol) ? "host" : null;
    },
    admits,
  };
}
