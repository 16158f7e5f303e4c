/** Whose address a request comes from: what a stranger writes into a header changes nothing (FAULTS S36). */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { createAddresses } from "../../src/http/address.ts";
import { parseAddress } from "../../src/lib/address.ts";

function addressOf(peer: string | null, forwarded: string | null, trustedProxies: readonly string[]): string {
  const headers = new Headers(forwarded === null ? {} : { "x-forwarded-for": forwarded });
  return createAddresses({ trustedProxies, peerOf: () => peer })(new Request("http://a/", { headers }));
}

describe("without trusted proxies", () => {
  test.each([
    ["an IPv4 peer", "192.0.2.7", "192.0.2.7"],
    ["an IPv4 peer on an IPv6 socket", "::ffff:192.0.2.7", "192.0.2.7"],
    ["the same in hexadecimal", "::ffff:c000:207", "192.0.2.7"],
    ["an IPv6 peer, by its /64", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["a neighbour of it", "2001:db8:1:2::9", "2001:db8:1:2::/64"],
    ["the loopback one", "::1", "0:0:0:0::/64"],
    ["one with a zone", "fe80::1%eth0", "fe80:0:0:0::/64"],
    ["a peer that is gone", null, "unknown"],
    ["a peer without an address", "/run/socket", "unknown"],
  ])("%s", (_name, peer, counted) => {
    expect(addressOf(peer, null, [])).toBe(counted);
    expect(addressOf(peer, "203.0.113.1", [])).toBe(counted);
  });
});

describe("behind trusted proxies", () => {
  const proxies = ["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"];
  test.each([
    ["the header of a stranger does not count", "198.51.100.1", "203.0.113.1", "198.51.100.1"],
    ["a trusted peer's last entry counts", "10.1.2.3", "203.0.113.1", "203.0.113.1"],
    ["what stands left of it anybody wrote", "10.1.2.3", "1.1.1.1, 203.0.113.1", "203.0.113.1"],
    ["proxies behind proxies are passed", "10.1.2.3", "1.1.1.1, 203.0.113.1, 10.9.9.9", "203.0.113.1"],
    ["of both families", "192.0.2.1", "203.0.113.1,2001:db8:ffff:1::5", "203.0.113.1"],
    ["mapped ones too", "::ffff:10.1.2.3", "203.0.113.1, ::ffff:10.0.0.1", "203.0.113.1"],
    ["an IPv6 client is counted by its /64", "10.1.2.3", "2001:db8:a:b:c::1", "2001:db8:a:b::/64"],
    ["ports are no part of it", "10.1.2.3", "203.0.113.1:4711", "203.0.113.1"],
    ["nor are brackets", "10.1.2.3", "[2001:db8:a:b::1]:443", "2001:db8:a:b::/64"],
    ["nobody but proxies: the first of them", "10.1.2.3", "10.0.0.1, 10.0.0.2", "10.0.0.1"],
    ["an entry that is no address ends it", "10.1.2.3", "203.0.113.1, unknown, 10.0.0.2", "10.0.0.2"],
    ["and so does nothing", "10.1.2.3", "203.0.113.1, ", "10.1.2.3"],
    ["an obfuscated one", "10.1.2.3", "_hidden", "10.1.2.3"],
    ["next to the block is outside", "11.0.0.1", "203.0.113.1", "11.0.0.1"],
    ["no header: the peer", "10.1.2.3", null, "10.1.2.3"],
  ])("%s", (_name, peer, forwarded, counted) => {
    expect(addressOf(peer, forwarded, proxies)).toBe(counted);
  });

  test("a block may be written in its IPv6 form", () => {
    expect(addressOf("10.1.2.3", "203.0.113.1", ["::ffff:10.0.0.0/104"])).toBe("203.0.113.1");
    expect(addressOf("11.1.2.3", "203.0.113.1", ["::ffff:10.0.0.0/104"])).toBe("11.1.2.3");
  });

  test("whatever a client writes itself, it is counted by the address that the proxy saw", () => {
    const part = fc.oneof(fc.string(), fc.ipV4(), fc.ipV6(), fc.constant("10.0.0.1"));
    fc.assert(
      fc.property(fc.array(part, { maxLength: 8 }), (parts) => {
        const spoofed = parts.join(",").replaceAll(/[^\u0020-\u007e]/g, "?");
        expect(addressOf("10.1.2.3", `${spoofed}, 203.0.113.1`, proxies)).toBe("203.0.113.1");
        expect(addressOf("198.51.100.1", spoofed, proxies)).toBe("198.51.100.1");
      }),
    );
  });
});

describe("reading an address", () => {
  test("every spelling of an IPv6 address is the same eight groups", () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    fc.assert(
      fc.property(
        fc.array(group, { minLength: 8, maxLength: 8 }),
        fc.nat(7),
        fc.nat(8),
        (groups, from, length) => {
          // The mapped ones are IPv4.
          fc.pre(groups[5] !== 0xffff);
          const hex = groups.map((value) => value.toString(16));
          const [high = 0, low = 0] = groups.slice(6);
          const quad = [high >> 8, high & 255, low >> 8, low & 255].join(".");
          const spellings = [
            hex.join(":"),
            hex
              .map((text) => text.padStart(4, "0"))
              .join(":")
              .toUpperCase(),
            `${hex.slice(0, 6).join(":")}:${quad}`,
          ];
          if (length > 0 && groups.slice(from, from + length).every((value) => value === 0)) {
            spellings.push(`${hex.slice(0, from).join(":")}::${hex.slice(from + length).join(":")}`);
          }
          for (const text of spellings) {
            expect(parseAddress(text)).toMatchObject({ family: "ipv6", groups });
          }
        },
      ),
    );
  });

  test.each([
    "",
    " 1.2.3.4",
    "1.2.3",
    "01.2.3.4",
    "1.2.3.256",
    "0x7f.0.0.1",
    "::1::",
    "1:2:3:4:5:6:7",
    "12345::",
    "a.b",
    "1".repeat(10_000),
  ])("%p is none", (text) => expect(parseAddress(text)).toBeNull());
});
