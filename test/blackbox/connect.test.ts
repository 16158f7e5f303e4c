/** Opening a socket: the handshake, what the server says first, and the session that comes of it (PROTOCOL section 4). */
import { describe, expect, test } from "bun:test";
import { connect } from "../support/client.ts";
import { call, newSession } from "../support/http.ts";
import { rawRequest, upgradeHeaders } from "../support/raw.ts";
import { sharedServer } from "../support/server.ts";
import { readToken } from "../support/tokens.ts";
import { expectShape } from "../support/shape.ts";

const server = sharedServer();
const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const RFC3339_MS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describe("the handshake (section 4)", () => {
  test("is answered with holdline.v1 and nothing of the other subprotocol entries", async () => {
    const session = await newSession(server());
    for (const offer of [
      `holdline.v1, bearer.${session.token}`,
      `bearer.${session.token}, other, holdline.v1`,
    ]) {
      const answer = await rawRequest(server().port, { path: "/v1/connect", headers: upgradeHeaders(offer) });
      expect(answer?.status).toBe(101);
      expect(answer?.headers.get("sec-websocket-protocol")).toBe("holdline.v1");
    }
  });

  const withoutSubprotocol: [name: string, offer: string | null][] = [
    ["no subprotocol", null],
    ["another subprotocol", "chat"],
    ["another version", "holdline.v2"],
    ["a credential only", "bearer.abc"],
  ];
  test.each(withoutSubprotocol)("with %s is answered 400", async (_name, offer) => {
    const answer = await rawRequest(server().port, { path: "/v1/connect", headers: upgradeHeaders(offer) });
    expect(answer?.status).toBe(400);
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({ status: 400, code: "invalid_request" });
  });

  test("that is none is answered 426 upgrade_required", async () => {
    const answer = await call("GET", `${server().url}/v1/connect`);
    expect(answer).toMatchObject({ status: 426, body: { code: "upgrade_required" } });
  });
});

describe("welcome (section 4)", () => {
  test("is the first frame and has every field of the protocol", async () => {
    await using client = await connect(server());
    const { welcome } = client;
    expect(client.frames()[0]).toBe(welcome);
    expectShape(welcome, {
      protocol: 1,
      session: {
        id: expect.stringMatching(UUID_V7),
        resumed: false,
        createdAt: expect.stringMatching(RFC3339_MS),
      },
      jobs: [],
      moreJobs: false,
      rooms: [],
      heartbeat: { pingMs: 25_000, timeoutMs: 10_000 },
      limits: {
        frameBytes: 65_536,
        eventBytes: 1_048_576,
        queueBytes: 1_048_576,
        rooms: 64,
        attachments: 256,
        resumeMs: 300_000,
      },
      node: expect.stringMatching(/./),
    });
    expect(Math.abs((welcome.at ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  test("says in milliseconds since the epoch when the token ends: in 15 minutes", async () => {
    await using client = await connect(server());
    expect(client.welcome.tokenExpiresAt).toBeNumber();
    const life = (client.welcome.tokenExpiresAt ?? 0) - (client.welcome.at ?? 0);
    expect(Math.abs(life - 900_000)).toBeLessThan(2000);
  });

  test("in open mode makes every new session another anonymous user (section 2)", async () => {
    await using first = await connect(server());
    await using second = await connect(server());
    expect(first.welcome.session?.userId).toStartWith("anon_");
    expect(second.welcome.session?.userId).toStartWith("anon_");
    expect(second.welcome.session?.userId).not.toBe(first.welcome.session?.userId ?? "");
    expect(second.sessionId).not.toBe(first.sessionId);
  });
});

describe("the session token (section 2)", () => {
  test("is a JWT signed with EdDSA, of its own typ, with the claims of the protocol", async () => {
    await using client = await connect(server());
    const { header, claims } = readToken(client.token);
    expectShape(header, {
      alg: "EdDSA",
      typ: "holdline-session+jwt",
      kid: expect.stringMatching(/./),
    });
    expectShape(claims, {
      iss: expect.stringMatching(/./),
      sub: client.welcome.session?.userId,
      sid: client.sessionId,
      iat: expect.any(Number),
      exp: expect.any(Number),
      jti: expect.stringMatching(/./),
    });
    expect(Object.keys(claims).toSorted()).toEqual(["exp", "iat", "iss", "jti", "sid", "sub"]);
    expect(Number(claims["exp"]) - Number(claims["iat"])).toBe(900);
  });
});
