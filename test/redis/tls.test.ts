/** Redis over TLS: with the authority that NODE_EXTRA_CA_CERTS names, and not without. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { makeCertificates } from "../support/redis-sets.ts";
import { startRedis, type RedisServer } from "../support/redis.ts";
import { lookAtRedis } from "./look.ts";

let certificates: Awaited<ReturnType<typeof makeCertificates>>;
let server: RedisServer;
beforeAll(async () => {
  certificates = await makeCertificates();
  const settings = () => ["bind 127.0.0.1 127.0.0.2"];
  server = await startRedis({ tls: certificates, password: "canary-7f3a", settings });
});
afterAll(async () => {
  await server.remove();
  await certificates.remove();
});

/** A process reads the authorities when it starts. */
async function verdict(url: string, trusting: boolean): Promise<string> {
  const env = trusting ? { NODE_EXTRA_CA_CERTS: certificates.authority } : {};
  return (await lookAtRedis(url, env)).verdict;
}

test("is reached by address and by name, with its authority", async () => {
  expect(await verdict(server.url, true)).toMatch(/^ok: 127\.0\.0\.1:\d+: version /);
  expect(await verdict(server.url.replace("127.0.0.1", "localhost"), true)).toMatch(
    /^ok: localhost:\d+: version /,
  );
});

test("is not believed without it, nor under a name that its certificate does not bear", async () => {
  expect(await verdict(server.url, false)).toMatch(/^fail: .*(certificate|issuer)/);
  expect(await verdict(server.url.replace("127.0.0.1", "127.0.0.2"), true)).toMatch(/^fail: .*altnames/);
});
