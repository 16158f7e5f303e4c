/** One attempt of a webhook: signed as the specification has it, to an admitted address only, in bounded time and size. */
import { describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { createSender, Late, type Wire } from "../../src/webhooks/send.ts";
import { createTargets } from "../../src/webhooks/target.ts";
import { LIMITS } from "../../src/protocol/limits.ts";

const SECRETS = [1, 2].map((fill) => `whsec_${Buffer.alloc(32, fill).toString("base64")}`);
const MESSAGE = { id: "job-1", timestamp: Math.floor(Date.now() / 1000), body: '{"type":"job.succeeded"}' };
const PUBLIC = "93.184.215.14";

interface Sent {
  readonly url: string;
  readonly init: BunFetchRequestInit;
}

/** A sender to `hooks.example.com` on a wire of the test's own. */
function senderOn(wire: Partial<Wire>, hosts = ["hooks.example.com"], networks: string[] = []) {
  const sent: Sent[] = [];
  const send = createSender({
    targets: createTargets({ hosts, networks }),
    secrets: SECRETS,
    userAgent: "holdline/test",
    wire: {
      resolve: async () => [PUBLIC],
      ...wire,
      fetch: (url, init) => {
        sent.push({ url, init });
        return wire.fetch?.(url, init) ?? Promise.resolve(new Response());
      },
    },
  });
  return { sent, send: (url: string, signal = new AbortController().signal) => send(url, MESSAGE, signal) };
}

describe("what is sent", () => {
  test("is signed with every secret, so that the specification's own library verifies it", async () => {
    const { sent, send } = senderOn({});
    await send("https://hooks.example.com/a?b=c");
    const headers = sent[0]?.init.headers as Record<string, string>;
    for (const secret of SECRETS) {
      expect(new Webhook(secret).verify(MESSAGE.body, headers)).toEqual({ type: "job.succeeded" });
    }
    const stranger = new Webhook(`whsec_${Buffer.alloc(32, 3).toString("base64")}`);
    expect(() => stranger.verify(MESSAGE.body, headers)).toThrow();
  });

  test("goes to the very address that was looked at, under the name it was asked for", async () => {
    const { sent, send } = senderOn({});
    await send("https://hooks.example.com:8443/a?b=c");
    const [one] = sent;
    expect(one?.url).toBe(`https://${PUBLIC}:8443/a?b=c`);
    expect(new Headers(one?.init.headers).get("host")).toBe("hooks.example.com:8443");
    expect(one?.init.tls).toEqual({ serverName: "hooks.example.com" });
    expect(one?.init.redirect).toBe("manual");
  });

  test("goes to an IPv6 address as well", async () => {
    const { sent, send } = senderOn({ resolve: async () => ["2606:2800:21f:cb07::1"] });
    await send("https://hooks.example.com/");
    expect(sent[0]?.url).toBe("https://[2606:2800:21f:cb07::1]/");
  });
});

describe("what comes back", () => {
  const answered = (status: number, headers: Record<string, string> = {}) =>
    senderOn({ fetch: async () => new Response(null, { status, headers }) }).send(
      "https://hooks.example.com/",
    );

  test.each([200, 201, 204])("%d is a receipt", async (status) =>
    expect(await answered(status)).toEqual({ status, error: null, outcome: { kind: "delivered" } }),
  );
  test.each([301, 302, 307, 400, 401, 404, 429, 500, 503])(
    "%d is none, and worth another try",
    async (status) =>
      expect(await answered(status, { location: "http://127.0.0.1/" })).toEqual({
        status,
        error: null,
        outcome: { kind: "again", retryAfterMs: 0 },
      }),
  );
  test("410 is the end", async () => expect((await answered(410)).outcome).toEqual({ kind: "given_up" }));
  test("Retry-After is heeded, up to a day", async () => {
    const wait = async (text: string) => (await answered(503, { "retry-after": text })).outcome;
    expect(await wait("120")).toEqual({ kind: "again", retryAfterMs: 120_000 });
    expect(await wait("999999")).toEqual({ kind: "again", retryAfterMs: LIMITS.webhookRetryAfterMs });
    expect(await wait("soon")).toEqual({ kind: "again", retryAfterMs: 0 });
  });

  test("a body without end is not read", async () => {
    let pulled = 0;
    const endless = () =>
      new ReadableStream({
        pull(controller) {
          pulled += 1;
          controller.enqueue(new Uint8Array(65_536));
        },
      });
    const { send } = senderOn({ fetch: async () => new Response(endless()) });
    expect((await send("https://hooks.example.com/")).outcome).toEqual({ kind: "delivered" });
    expect(pulled).toBeLessThan(10);
  });

  test("a receiver that takes too long, or is not there, is told apart", async () => {
    const late = new AbortController();
    late.abort(new Late());
    const cut = senderOn({ fetch: async (_url, init) => Promise.reject(init.signal?.reason as Error) });
    expect((await cut.send("https://hooks.example.com/", late.signal)).error).toBe("timeout");
    const gone = senderOn({ fetch: () => Promise.reject(new Error("refused")) });
    expect((await gone.send("https://hooks.example.com/")).error).toBe("no_connection");
    const nameless = senderOn({ resolve: () => Promise.reject(new Error("ENOTFOUND")) });
    expect((await nameless.send("https://hooks.example.com/")).error).toBe("no_address");
  });
});

describe("S41 right before connecting", () => {
  const INSIDE =
    "127.0.0.1 10.0.0.1 172.31.255.255 192.168.1.1 100.64.0.1 169.254.169.254 0.0.0.0 224.0.0.1 255.255.255.255 " +
    "198.18.0.1 192.0.0.192 ::1 :: fe80::1 fd00:ec2::254 ::ffff:127.0.0.1 ::ffff:7f00:1 64:ff9b::7f00:1 " +
    "2002:7f00:1:: 2001:db8::1 ff02::1 fec0::1";

  test.each(INSIDE.split(" "))("a name that points to %s today is not connected to", async (address) => {
    const { sent, send } = senderOn({ resolve: async () => [PUBLIC, address] });
    expect(await send("https://hooks.example.com/")).toEqual({
      status: null,
      error: "address_not_allowed",
      outcome: { kind: "again", retryAfterMs: 0 },
    });
    expect(sent).toEqual([]);
  });

  test("a network that the operator allows is, by http as well, and no other", async () => {
    const on = (address: string) =>
      senderOn({ resolve: async () => [address] }, ["hooks.example.com"], ["10.1.0.0/16"]);
    expect((await on("10.1.2.3").send("http://hooks.example.com/")).outcome.kind).toBe("delivered");
    expect((await on("10.2.0.1").send("https://hooks.example.com/")).error).toBe("address_not_allowed");
    expect((await on(PUBLIC).send("http://hooks.example.com/")).error).toBe("address_not_allowed");
  });

  test("a host that the operator took off the list meanwhile is given up", async () => {
    const { sent, send } = senderOn({}, ["other.example.com"]);
    expect(await send("https://hooks.example.com/")).toEqual({
      status: null,
      error: "not_allowed",
      outcome: { kind: "given_up" },
    });
    expect(sent).toEqual([]);
  });
});
