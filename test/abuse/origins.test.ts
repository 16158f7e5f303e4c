/** Pages of other sites, and what they make a browser send along, against a real server (docs/security.md, S01, S02, S23, S25, S26). */
import { beforeAll, describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { apiOf, call, expectProblem, tokensBody } from "../support/http.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { sharedServer } from "../support/server.ts";
import type { JobBody } from "../support/wire.ts";
import { tokenOf, WITH_SECRET } from "./identity-provider.ts";
import { addressesOf, type Address } from "./routes.ts";

const OWN = "https://app.example";
const EVIL = "https://evil.example";

const server = sharedServer({ env: { ...WITH_SECRET, HOLDLINE_ALLOWED_ORIGINS: OWN } });
let addresses: Address[] = [];
beforeAll(async () => {
  addresses = await addressesOf(server());
});

const cookieOf = (token: string) => ({ cookie: `__Host-holdline=${token}` });

/** The handshake of a browser whose page has this origin. */
async function upgrade(headers: Readonly<Record<string, string>>): Promise<{ status: number; code: string }> {
  const given = [...upgradeHeaders("holdline.v1"), ...Object.entries(headers)];
  const answer = await rawRequest(server().port, { path: "/v1/connect", headers: given });
  const status = answer?.status ?? 0;
  return { status, code: status === 101 ? "" : (JSON.parse(answer?.body ?? "{}") as { code: string }).code };
}

const STRANGERS = [
  "null",
  EVIL,
  "http://app.example",
  "https://app.example:8443",
  "https://app.example:443",
  "https://app.example.evil.example",
  "https://evil-app.example",
  "https://evil.example/https://app.example",
  "https://sub.app.example",
  "https://app.example.",
  "https://app.example/",
  "https://APP.example",
  "https://app.xn--exampl-8of",
  "https://user@app.example",
  "wss://app.example",
  "app.example",
  "*",
  `${OWN}, ${OWN}`,
  "https://app.example evil",
  "http://127.0.0.1",
  "http://localhost:8787",
];

describe("S01 an Origin that is not listed", () => {
  test.each(STRANGERS)("S01 %s → 403 before the upgrade, whatever the credential", async (origin) => {
    const refused = { status: 403, code: "forbidden_origin" };
    const token = tokenOf("alice");
    expect(await upgrade({ origin })).toEqual(refused);
    expect(await upgrade({ origin, authorization: `Bearer ${token}` })).toEqual(refused);
    expect(await upgrade({ origin, ...cookieOf(token) })).toEqual(refused);
  });

  test("S01 the listed one is let in", async () => {
    await using client = await connect(server(), { token: tokenOf("alice"), headers: { origin: OWN } });
    expect(client.welcome.session).toMatchObject({ userId: "alice" });
  });
});

describe("S02 a cookie", () => {
  test("S02 without an Origin → 403 on connect and on every call that changes something", async () => {
    const cookie = cookieOf(tokenOf("alice"));
    expect(await upgrade(cookie)).toEqual({ status: 403, code: "forbidden_origin" });
    expect(await upgrade({ ...cookie, "sec-fetch-site": "same-origin" })).toMatchObject({ status: 403 });
    const api = apiOf(server(), "");
    for (const { method, path } of addresses.filter((one) => one.method !== "GET")) {
      for (const headers of [cookie, { ...cookie, "sec-fetch-site": "same-origin" }]) {
        const answer = await api.call(method, path, { headers });
        expect({ method, path, status: answer.status }).toEqual({ method, path, status: 403 });
      }
    }
  });

  test("S02 with a session token in it opens nothing: it holds user tokens", async () => {
    await using client = await connect(server(), { token: tokenOf("alice") });
    const headers = { ...cookieOf(client.token), origin: OWN };
    expectProblem(await apiOf(server(), "").call("GET", "/v1/jobs", { headers }), 401, "unauthenticated");
  });

  test("S02 with the listed Origin counts", async () => {
    await using client = await connect(server(), {
      headers: { ...cookieOf(tokenOf("alice")), origin: OWN },
    });
    expect(client.welcome.session).toMatchObject({ userId: "alice" });
  });
});

describe("S23 a cross-site POST with the cookie", () => {
  const victim = "victim";
  const body = JSON.stringify(tokensBody());
  // What a page can send without being asked first, and what it is asked for.
  const forms: [name: string, headers: Record<string, string>][] = [
    ["a form in plain text", { "content-type": "text/plain" }],
    ["a form", { "content-type": "application/x-www-form-urlencoded" }],
    ["a fetch with JSON", { "content-type": "application/json" }],
    ["a beacon", { "content-type": "application/json", "sec-fetch-mode": "no-cors" }],
  ];
  test.each(forms)("S23 by %s → 403, no job", async (_name, headers) => {
    const cookie = cookieOf(tokenOf(victim));
    for (const origin of [EVIL, "null"]) {
      const sent = { ...cookie, ...headers, origin, "sec-fetch-site": "cross-site" };
      expectProblem(
        await call("POST", `${server().url}/v1/jobs`, { body, headers: sent }),
        403,
        "forbidden_origin",
      );
    }
    const list = await apiOf(server(), tokenOf(victim)).call<{ items: JobBody[] }>("GET", "/v1/jobs");
    expect(list.body.items).toEqual([]);
  });

  test("S23 nor does a link or an image read anything with it", async () => {
    const headers = { ...cookieOf(tokenOf(victim)), "sec-fetch-site": "cross-site" };
    expectProblem(await call("GET", `${server().url}/v1/jobs`, { headers }), 403, "forbidden_origin");
  });
});

describe("S25 a CORS probe", () => {
  const corsOf = (headers: Headers) =>
    [...headers.keys()].filter((name) => name.startsWith("access-control-"));

  test("S25 of another origin learns nothing, at any address", async () => {
    for (const { method, path } of addresses) {
      for (const origin of [EVIL, "null"]) {
        const probe = { origin, "access-control-request-method": method };
        for (const answer of [
          await call("OPTIONS", server().url + path, { headers: probe }),
          await call(method, server().url + path, { headers: { origin } }),
        ]) {
          expect({ method, path, status: answer.status, cors: corsOf(answer.headers) }).toEqual({
            method,
            path,
            status: 403,
            cors: [],
          });
        }
      }
    }
  });

  test("S25 without an Origin gets no header of CORS, and never *", async () => {
    for (const { method, path } of addresses) {
      const answer = await call(method, server().url + path);
      expect({ path, allowed: answer.headers.get("access-control-allow-origin") }).toEqual({
        path,
        allowed: null,
      });
    }
  });

  test("S25 of the listed origin is answered for that origin alone, and caches are told", async () => {
    const answer = await apiOf(server(), tokenOf("alice")).call("GET", "/v1/jobs", {
      headers: { origin: OWN },
    });
    expect(answer.headers.get("access-control-allow-origin")).toBe(OWN);
    expect(answer.headers.get("access-control-allow-credentials")).toBe("true");
    expect(answer.headers.get("vary")).toContain("Origin");
  });
});

describe("S26 Set-Cookie", () => {
  test("S26 no answer sets one: the cookie is the operator's, and the name of the default binds it to Secure and host", async () => {
    const api = apiOf(server(), tokenOf("alice"));
    for (const { method, path } of addresses) {
      const answer = await api.call(method, path, { headers: { origin: OWN, cookie: "theme=dark" } });
      expect({ path, cookie: answer.headers.get("set-cookie") }).toEqual({ path, cookie: null });
    }
    // The name without the prefix, which a browser takes from anybody on the domain, is not looked at.
    const headers = { cookie: `holdline=${tokenOf("alice")}`, origin: OWN };
    expectProblem(await call("GET", `${server().url}/v1/jobs`, { headers }), 401, "unauthenticated");
  });
});
