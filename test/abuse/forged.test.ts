/** Tokens that lie about their own signature, and genuine ones meant for somebody else (docs/security.md, S17, S19). */
import { createHmac, createPublicKey } from "node:crypto";
import { describe, expect, test } from "bun:test";
import { CompactEncrypt, FlattenedSign, GeneralSign } from "jose";
import { dial } from "../support/client.ts";
import { apiOf, expectProblem, newSession } from "../support/http.ts";
import { sharedServer, startServer, type TestServer } from "../support/server.ts";
import { forge, readToken, unsigned, userToken } from "../support/tokens.ts";
import {
  createSigningKey,
  seconds,
  SECRET,
  tokenOf,
  WITH_SECRET,
  type Algorithm,
} from "./identity-provider.ts";
import { QUICK_MS, quickestMedianMs } from "./timing.ts";

const shared = sharedServer({ env: WITH_SECRET });

const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString("base64url");
const decode = (part: string): string => Buffer.from(part, "base64url").toString("utf8");
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const claims = () => ({ sub: "alice", exp: seconds(3600), sid: Bun.randomUUIDv7() });
const payload = () => bytes(JSON.stringify(claims()));

/** Signs with any bytes as the secret; says HS256 unless the header says otherwise. */
function hmac(
  secret: string | Uint8Array,
  header: Record<string, unknown> = {},
  hash: "sha256" | "sha512" = "sha256",
): string {
  const signed = `${encode({ alg: "HS256", typ: "JWT", ...header })}.${encode(claims())}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest("base64url")}`;
}

/** 401 without a word on why, to HTTP and to the socket, and at no cost. */
async function expectRefused(server: TestServer, token: string): Promise<void> {
  const ask = () => apiOf(server, token).call("GET", "/v1/jobs");
  const answer = await ask();
  expectProblem(answer, 401, "unauthenticated");
  expect(answer.body.detail).toMatch(/^(?:A credential is required|The (?:user )?token is not valid)/);
  expect(await quickestMedianMs(ask)).toBeLessThan(QUICK_MS);
  // What cannot stand in a subprotocol is shown in the header.
  const isWord = /^[\w.-]+$/.test(token);
  const client = dial(server, isWord ? { token } : { headers: { authorization: `Bearer ${token}` } });
  expect((await client.waitForClose()).code).toBe(4500);
}

type Lie = [name: string, make: () => string | Promise<string>];

describe("S17 a token that lies about its signature", () => {
  const key = bytes(SECRET).slice(0, 32);
  const lies: Lie[] = [
    ...["none", "None", "NONE", "nOnE", ""].map((alg): Lie => [
      `alg ${alg === "" ? "of no name" : alg}`,
      () => unsigned(claims(), { alg }),
    ]),
    ["alg none and a signature", () => `${unsigned(claims())}${encode("signature")}`],
    ["alg a list", () => unsigned(claims(), { alg: ["HS256"] })],
    ["no alg", () => unsigned(claims(), { alg: undefined })],
    ["its signature stripped", () => tokenOf("alice").replace(/[^.]*$/, "")],
    ["its signature and its dot stripped", () => tokenOf("alice").replace(/\.[^.]*$/, "")],
    ["its signature cut short", () => tokenOf("alice").slice(0, -4)],
    ["its last bit flipped", () => forge(tokenOf("alice"), { claims: {} }).replace(/.$/, "_")],
    ["another sub under the same signature", () => forge(tokenOf("alice"), { claims: { sub: "admin" } })],
    ["more after its end", () => `${tokenOf("alice")}.${encode({})}`],
    ["an empty secret", () => hmac("")],
    ["a null secret", () => hmac(new Uint8Array(32))],
    ["HS512 with the right secret", () => hmac(SECRET, { alg: "HS512" }, "sha512")],
    ["an unknown crit", () => hmac(SECRET, { crit: ["holdline"], holdline: true })],
    ["b64 false", () => hmac(SECRET, { crit: ["b64"], b64: false })],
    ["a list for its header", () => `${encode([])}.${encode(claims())}.${encode("x")}`],
    ["null for its claims", () => `${encode({ alg: "HS256" })}.${encode(null)}.`],
    ["a header of 6,000 characters", () => hmac("wrong", { pad: "p".repeat(4500) })],
    [
      "flattened JSON",
      async () =>
        JSON.stringify(
          await new FlattenedSign(payload()).setProtectedHeader({ alg: "HS256" }).sign(bytes(SECRET)),
        ),
    ],
    [
      "general JSON",
      async () => {
        const signing = new GeneralSign(payload());
        signing.addSignature(bytes(SECRET)).setProtectedHeader({ alg: "HS256" });
        return JSON.stringify(await signing.sign());
      },
    ],
    [
      "encryption with the secret in place of a signature",
      () => new CompactEncrypt(payload()).setProtectedHeader({ alg: "dir", enc: "A256GCM" }).encrypt(key),
    ],
    [
      "a PBES2 bomb: two thousand million rounds",
      () =>
        [{ alg: "PBES2-HS256+A128KW", enc: "A128GCM", p2c: 2_147_483_647, p2s: encode("salt") }, 1, 2, 3, 4]
          .map(encode)
          .join("."),
    ],
    [
      "a bomb of compression",
      () => [{ alg: "dir", enc: "A256GCM", zip: "DEF" }, "", 2, 3, 4].map(encode).join("."),
    ],
  ];
  test.each(lies)("S17 %s → 401", async (_name, make) => {
    await expectRefused(shared(), await make());
  });

  test.each(lies)("S17 %s, called a session token → 401", async (_name, make) => {
    const token = await make();
    const [header = "", ...rest] = token.split(".");
    // JSON forms have no header to change.
    const given = header.startsWith("ey") ? (JSON.parse(decode(header)) as object) : null;
    const typed = given === null ? header : encode({ ...given, typ: "holdline-session+jwt" });
    await expectRefused(shared(), [typed, ...rest].join("."));
  });
});

const ALGORITHMS: readonly Algorithm[] = ["RS256", "ES256", "EdDSA"];
const keys = await Promise.all(ALGORITHMS.map((algorithm) => createSigningKey(algorithm)));

describe.each(keys)("S17 a server that has a public key for $algorithm", (right) => {
  const { algorithm } = right;
  const server = sharedServer({ env: { HOLDLINE_AUTH_PUBLIC_KEY: right.pem } });

  test("S17 takes what its key signed", async () => {
    expect((await apiOf(server(), await right.sign()).call("GET", "/v1/jobs")).status).toBe(200);
  });

  test("S17 takes no HS256 with the public key for a secret → 401", async () => {
    const der = createPublicKey(right.pem).export({ type: "spki", format: "der" });
    const raw = createPublicKey(right.pem).export({ format: "jwk" });
    const secrets = [
      right.pem,
      right.pem.trim(),
      `${right.pem.trim()}\n`,
      new Uint8Array(der),
      JSON.stringify(raw),
    ];
    for (const secret of secrets) await expectRefused(server(), hmac(secret));
  });

  test("S17 takes no other algorithm and no signature that is a trick → 401", async () => {
    const good = await right.sign();
    const signed = good.slice(0, good.lastIndexOf("."));
    const tricks: string[] = [unsigned(claims()), `${signed}.`];
    // A signature of zeros is good for every message where r and s are not looked at.
    for (const size of [64, 96, 256]) tricks.push(`${signed}.${Buffer.alloc(size).toString("base64url")}`);
    for (const alg of ["RS256", "RS512", "PS256", "ES256", "ES256K", "ES384", "EdDSA", "HS256", "none"]) {
      if (alg !== algorithm) tricks.push(forge(good, { header: { alg } }));
    }
    for (const other of ALGORITHMS) tricks.push(await (await createSigningKey(other)).sign());
    for (const trick of tricks) await expectRefused(server(), trick);
  });
});

describe("S19 a genuine token for somebody else", () => {
  const picky = sharedServer({
    env: {
      ...WITH_SECRET,
      HOLDLINE_AUTH_ISSUER: "https://login.example",
      HOLDLINE_AUTH_AUDIENCE: "holdline",
    },
  });
  const good = { iss: "https://login.example", aud: "holdline" };

  test("S19 the right iss and aud are let in, aud in a list too", async () => {
    for (const aud of ["holdline", ["mail", "holdline"]]) {
      expect((await apiOf(picky(), tokenOf("alice", { ...good, aud })).call("GET", "/v1/jobs")).status).toBe(
        200,
      );
    }
  });

  const foreign: [name: string, claims: Record<string, unknown>][] = [
    ["another iss", { iss: "https://evil.example" }],
    ["an iss that begins like it", { iss: "https://login.example.evil.example" }],
    ["iss with a slash", { iss: "https://login.example/" }],
    ["no iss", { iss: undefined }],
    ["iss in a list", { iss: ["https://login.example"] }],
    ["another aud", { aud: "mail" }],
    ["no aud", { aud: undefined }],
    ["an empty aud", { aud: [] }],
    ["aud in another case", { aud: "Holdline" }],
    ["aud as an object", { aud: { holdline: true } }],
  ];
  test.each(foreign)("S19 %s → 401", async (_name, changes) => {
    await expectRefused(picky(), tokenOf("alice", { ...good, ...changes }));
  });

  test("S19 a user token that calls itself a session token → 401", async () => {
    const token = userToken(SECRET, { ...claims(), ...good }, { typ: "holdline-session+jwt" });
    await expectRefused(picky(), token);
  });

  test("S19 a session token of another installation, or in place of a user token → 401", async () => {
    await using other = await startServer({ env: WITH_SECRET });
    const stranger = await newSession(other, tokenOf("alice"));
    await expectRefused(shared(), stranger.token);
    const own = await newSession(shared(), tokenOf("alice"));
    expectProblem(await apiOf(shared(), own.token).call("POST", "/v1/sessions"), 401, "unauthenticated");
    const kid = readToken(own.token).header["kid"];
    await expectRefused(shared(), forge(stranger.token, { header: { kid } }));
  });
});
