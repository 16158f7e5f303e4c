/** A server without a key of user tokens: whom it serves, and what it takes to make it serve more (PROTOCOL section 2, open mode). */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "bun:test";
import { holdline, temporaryFolder } from "../cli/holdline.ts";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, newSession } from "../support/http.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { sharedServer, startServer, type TestServer } from "../support/server.ts";
import { SECRET, tokenOf } from "./identity-provider.ts";
import { addressesOf, type Address } from "./routes.ts";

const server = sharedServer();
let addresses: Address[] = [];
beforeAll(async () => {
  addresses = await addressesOf(server());
});

describe("open mode and the network", () => {
  test.each(["0.0.0.0", "::", "192.0.2.1", "example.com", "169.254.1.1"])(
    "on %s is refused: exit 2, the ways out in the message, nothing touched",
    async (host) => {
      await using folder = await temporaryFolder();
      const data = join(folder.path, "data");
      const { code, out, err } = await holdline(["serve", "--host", host, "--data-dir", data]);
      expect({ code, out }).toEqual({ code: 2, out: "" });
      for (const way of ["HOLDLINE_AUTH=open", "HOLDLINE_AUTH_SECRET", "127.0.0.1"])
        expect(err).toContain(way);
      expect(existsSync(data)).toBe(false);
    },
  );

  test("is not asked for together with a key, nor with settings that only a key makes true: exit 2", async () => {
    await using folder = await temporaryFolder();
    const wrong: Record<string, string>[] = [
      { HOLDLINE_AUTH: "open", HOLDLINE_AUTH_SECRET: SECRET },
      { HOLDLINE_AUTH: "Open" },
      { HOLDLINE_AUTH: "off" },
      { HOLDLINE_AUTH_SECRET: "short" },
      { HOLDLINE_AUTH_SECRET: "" },
      { HOLDLINE_AUTH_ISSUER: "https://login.example" },
      { HOLDLINE_AUTH_BINDING: "strict" },
      { HOLDLINE_AUTHSECRET: SECRET },
    ];
    for (const env of wrong) {
      const { code, out } = await holdline(["serve", "--data-dir", join(folder.path, "data")], { env });
      expect({ env, code, out }).toEqual({ env, code: 2, out: "" });
    }
  });

  test("listens on loopback and nowhere else", async () => {
    const sockets = await Bun.file(`/proc/${server().pid}/net/tcp`).text();
    const port = server().port.toString(16).toUpperCase().padStart(4, "0");
    const LISTENING = "0A";
    const listening = sockets
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local = "", , state]) => local.endsWith(`:${port}`) && state === LISTENING);
    expect(listening.map(([, local]) => local)).toEqual([`0100007F:${port}`]);
    const sockets6 = await Bun.file(`/proc/${server().pid}/net/tcp6`).text();
    expect(sockets6).not.toContain(`:${port} `);
  });
});

async function statusesBy(target: TestServer, host: string): Promise<Set<number>> {
  const statuses = new Set<number>();
  for (const { method, path } of await addressesOf(target)) {
    const answer = await rawRequest(target.port, { method, path, headers: [["Host", host]] });
    statuses.add(answer?.status ?? 0);
  }
  const socket = await rawRequest(target.port, {
    path: "/v1/connect",
    headers: [["Host", host], ...upgradeHeaders("holdline.v1")],
  });
  return statuses.add(socket?.status ?? 0);
}

describe("open mode and DNS rebinding", () => {
  const names = [
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "localhost.",
    "0.0.0.0",
    "192.0.2.1",
    "[::ffff:192.0.2.1]",
    "[::]",
    "169.254.169.254",
    "xn--lcalhost-54a",
  ];
  test.each(names)("a page that calls itself %s gets 403 at every address", async (host) => {
    expect(await statusesBy(server(), `${host}:${server().port}`)).toEqual(new Set([403]));
    expect(await statusesBy(server(), host)).toEqual(new Set([403]));
  });

  test("its own name for the server, with an Origin that agrees, helps it as little", async () => {
    const evil = `evil.example:${server().port}`;
    for (const origin of [`http://${evil}`, `http://127.0.0.1:${server().port}`]) {
      const headers = [["Host", evil], ["Origin", origin], ...upgradeHeaders("holdline.v1")] as const;
      expect((await rawRequest(server().port, { path: "/v1/connect", headers }))?.status).toBe(403);
    }
  });

  test("is the operator's own affair with HOLDLINE_AUTH=open: any name, and still no foreign Origin", async () => {
    await using open = await startServer({ env: { HOLDLINE_AUTH: "open" } });
    const post = (headers: readonly (readonly [string, string])[]) =>
      rawRequest(open.port, { method: "POST", path: "/v1/sessions", headers });
    expect((await post([["Host", "hold.example"]]))?.status).toBe(201);
    const foreign = await post([
      ["Host", "hold.example"],
      ["Origin", "http://hold.example"],
    ]);
    expect(foreign?.status).toBe(403);
  });
});

describe("open mode and origins", () => {
  const strangers = (port: number): string[] => [
    "null",
    "http://evil.example",
    `https://127.0.0.1:${port}`,
    `http://127.0.0.1:${port + 1}`,
    "http://127.0.0.1",
    "http://localhost:3000",
    `http://127.0.0.2:${port}`,
    `http://0.0.0.0:${port}`,
    `http://[::ffff:127.0.0.1]:${port}`,
    `http://localhost.:${port}`,
    `http://LOCALHOST:${port}`,
    `chrome-extension://localhost:${port}`,
  ];

  test("no page of another origin gets anything: 403 at every address and before the upgrade", async () => {
    for (const origin of strangers(server().port)) {
      for (const { method, path } of addresses) {
        const { status, body } = await call(method, server().url + path, { headers: { origin } });
        expect({ origin, path, status, code: body.code }).toEqual({
          origin,
          path,
          status: 403,
          code: "forbidden_origin",
        });
      }
      const headers = [...upgradeHeaders("holdline.v1"), ["Origin", origin] as const];
      expect((await rawRequest(server().port, { path: "/v1/connect", headers }))?.status).toBe(403);
    }
  });

  test("its own page is let in", async () => {
    await using client = await connect(server(), { headers: { origin: server().url } });
    expect(client.welcome.session?.userId).toStartWith("anon_");
  });
});

describe("open mode and credentials", () => {
  test("nobody brings a name: a user's token is refused, a cookie is not looked at", async () => {
    expectProblem(
      await apiOf(server(), tokenOf("admin")).call("POST", "/v1/sessions"),
      401,
      "unauthenticated",
    );
    expect((await dial(server(), { token: tokenOf("admin") }).waitForClose()).code).toBe(4500);
    const cookie = `__Host-holdline=${tokenOf("admin")}`;
    await using client = await connect(server(), { headers: { cookie } });
    expect(client.welcome.session?.userId).toStartWith("anon_");
  });

  test("each session is a user of its own, who sees nobody else", async () => {
    const [one, two] = [await newSession(server()), await newSession(server())];
    expect(one.userId).not.toBe(two.userId);
    expectProblem(await one.call("GET", `/v1/sessions/${two.sessionId}`), 404, "not_found");
  });
});
