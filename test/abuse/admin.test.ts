/** Machines, operators and what they shut out, against a real server (FAULTS S12, S16, S22, S43, S50). */
import { describe, expect, test } from "bun:test";
import { connect, dial } from "../support/client.ts";
import { apiOf, call, expectProblem, lastingBody, newSession, tokensBody } from "../support/http.ts";
import { adminOf, issueToken, operate, operateJson } from "../support/operator.ts";
import { sharedServer, startServer } from "../support/server.ts";
import { readToken, userToken } from "../support/tokens.ts";
import { createSigningKey } from "./identity-provider.ts";
import { until, within } from "../support/wait.ts";
import type { JobBody, SessionBody } from "../support/wire.ts";

const SECRET = "a secret of the operator that is long enough";
const WITH_USERS = { HOLDLINE_AUTH_SECRET: SECRET, HOLDLINE_TOKENS: "on" };
const server = sharedServer({ env: WITH_USERS });

/** How long a revocation may take until everybody was told. */
const TOLD_MS = 1000;

const seconds = (): number => Math.floor(Date.now() / 1000);
let users = 0;
/** A name that no other test of this file uses. */
function someone(): string {
  users += 1;
  return `user-${users}`;
}
const tokenOf = (sub: string, claims: Record<string, unknown> = {}): string =>
  userToken(SECRET, { sub, iat: seconds(), jti: Bun.randomUUIDv7(), ...claims });

/** Order of the group of P-256 (FIPS 186-4, D.1.2.3): with (r, s), (r, n − s) is a signature of the same text. */
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

function secondSignature(token: string): string {
  const [header, claims, signature = ""] = token.split(".");
  const hex = Buffer.from(signature, "base64url").toString("hex");
  const s = P256_ORDER - BigInt(`0x${hex.slice(64)}`);
  const other = Buffer.from(hex.slice(0, 64) + s.toString(16).padStart(64, "0"), "hex");
  return `${header}.${claims}.${other.toString("base64url")}`;
}

const ADMIN_CALLS: readonly (readonly [method: string, path: string, json?: unknown])[] = [
  ["GET", "/v1/admin/nodes"],
  ["GET", "/v1/admin/schedules"],
  ["GET", "/v1/admin/sessions"],
  ["GET", "/v1/admin/jobs"],
  ["GET", "/v1/admin/jobs/01890a5d-ac96-774b-bcce-b302099a8057"],
  ["POST", "/v1/admin/jobs/01890a5d-ac96-774b-bcce-b302099a8057/cancel"],
  ["POST", "/v1/admin/jobs/01890a5d-ac96-774b-bcce-b302099a8057/retry"],
  ["POST", "/v1/admin/revocations", { userId: "nobody" }],
  ["POST", "/v1/admin/push", { to: { all: true }, data: 1 }],
  ["POST", "/v1/admin/drain"],
];

const CLIENT_CALLS: readonly (readonly [method: string, path: string, json?: unknown])[] = [
  ["GET", "/v1/jobs"],
  ["POST", "/v1/jobs", tokensBody()],
  ["GET", "/v1/types"],
  ["GET", "/v1/sessions"],
  ["POST", "/v1/sessions"],
  ["POST", "/v1/sessions/current/token"],
  ["DELETE", "/v1/sessions/current"],
];

describe("S43 a machine's token", () => {
  test.each(["worker", "admin", "publish"] as const)(
    "of kind %s opens nothing of the client API: 403, and the socket is closed 4500",
    async (kind) => {
      const { token } = await issueToken(server(), kind);
      for (const [method, path, json] of CLIENT_CALLS) {
        const answer = await apiOf(server(), token).call(method, path, json === undefined ? {} : { json });
        expectProblem(answer, 403, "forbidden");
      }
      const client = dial(server(), { token });
      expect(await client.waitForClose()).toEqual({ code: 4500, reason: "unauthenticated" });
    },
  );

  test("is told apart from a user token in open mode as well", async () => {
    await using open = await startServer();
    const { token } = await issueToken(open, "worker");
    for (const [method, path, json] of CLIENT_CALLS) {
      const answer = await apiOf(open, token).call(method, path, json === undefined ? {} : { json });
      expectProblem(answer, 403, "forbidden");
    }
    // No credential is right here, so a bad one must not be taken for none.
    expectProblem(await apiOf(open, `${token}x`).call("POST", "/v1/sessions"), 401, "unauthenticated");
  });

  test("of another kind, and any token of a client, opens nothing of the admin API: 403", async () => {
    const session = await newSession(server(), tokenOf(someone()));
    const [worker, publish] = [await issueToken(server(), "worker"), await issueToken(server(), "publish")];
    for (const token of [worker.token, publish.token, session.token, tokenOf(someone())]) {
      for (const [method, path, json] of ADMIN_CALLS) {
        const answer = await apiOf(server(), token).call(method, path, json === undefined ? {} : { json });
        expectProblem(answer, 403, "forbidden");
      }
    }
    expect((await session.call("GET", "/v1/jobs")).status).toBe(200);
  });

  test("works within a second of being made, until it is revoked or over, by another process", async () => {
    const [lasting, brief] = [
      await issueToken(server(), "admin"),
      await issueToken(server(), "admin", "--ttl", "1s"),
    ];
    const asked = (token: string) => apiOf(server(), token).call("GET", "/v1/admin/nodes");
    expect((await asked(lasting.token)).status).toBe(200);
    await operateJson(server(), ["token", "revoke", lasting.id]);
    const revokedMs = performance.now();
    const answer = await until("the token to be refused", async () => {
      const refused = await asked(lasting.token);
      return refused.status === 401 && refused;
    });
    expectProblem(answer, 401, "token_revoked");
    expect(performance.now() - revokedMs).toBeLessThan(TOLD_MS);
    const over = await until("the token to be over", async () => {
      const refused = await asked(brief.token);
      return refused.status === 401 && refused;
    });
    expectProblem(over, 401, "token_expired");
  });

  test("is never in the database, in a list or in the log; only its hash is kept", async () => {
    const { token } = await issueToken(server(), "worker", "--name", "canary");
    await apiOf(server(), token).call("GET", "/v1/admin/nodes");
    const random = token.slice(4, 47);
    expect(random).toMatch(/^[\w-]{43}$/);
    const { out } = await operate(server(), ["token", "list"]);
    expect(out).toContain("canary");
    const files = await Array.fromAsync(new Bun.Glob("holdline.db*").scan({ cwd: server().dataFolder }));
    expect(files).toContain("holdline.db-wal");
    const stored = await Promise.all(files.map((name) => Bun.file(`${server().dataFolder}/${name}`).bytes()));
    for (const text of [
      out,
      server().output(),
      ...stored.map((bytes) => Buffer.from(bytes).toString("latin1")),
    ]) {
      expect(text).not.toContain(random);
    }
  });

  test("in a URL is refused before anything looks at it", async () => {
    const { token } = await issueToken(server(), "admin");
    const answer = await call("GET", `${server().url}/v1/admin/nodes?cursor=${token}`);
    expectProblem(answer, 400, "token_in_url");
    expect(server().output()).not.toContain(token);
  });
});

describe("S50 the admin API from outside", () => {
  test("answers 401 without a credential and with a bad one, and does nothing", async () => {
    const bystander = await connect(server(), { token: tokenOf("nobody") });
    const { token } = await issueToken(server(), "admin");
    const mistyped = token.slice(0, -8) + (token.at(-8) === "A" ? "B" : "A") + token.slice(-7);
    const unknown = (await startedElsewhere()).token;
    const credentials = [
      {},
      ...["garbage", mistyped, unknown, "hla_"].map((one) => ({ authorization: `Bearer ${one}` })),
    ];
    for (const headers of credentials) {
      for (const [method, path, json] of ADMIN_CALLS) {
        const answer = await call(method, server().url + path, {
          headers,
          ...(json === undefined ? {} : { json }),
        });
        expectProblem(answer, 401, "unauthenticated");
        expect(answer.headers.get("www-authenticate")).toStartWith("Bearer ");
      }
    }
    await bystander.settle();
    expect(bystander.frames("message")).toEqual([]);
    expect((await call("GET", `${server().url}/readyz`)).status).toBe(200);
    await bystander.close();
  });

  test("shows no metrics without an admin token, once there are users", async () => {
    const { token } = await issueToken(server(), "admin");
    const address = `${server().url}/metrics`;
    expectProblem(await call("GET", address), 401, "unauthenticated");
    const own = tokenOf(someone());
    expectProblem(
      await call("GET", address, { headers: { authorization: `Bearer ${own}` } }),
      403,
      "forbidden",
    );
    const scraped = await call("GET", address, { headers: { authorization: `Bearer ${token}` } });
    expect({ status: scraped.status, text: scraped.text }).toMatchObject({ status: 200 });
    expect(scraped.text).toContain("holdline_");
  });

  test("says whether a token is mistyped or unknown, which its checksum tells without looking it up", async () => {
    const { token } = await issueToken(server(), "admin");
    const asked = (one: string) => apiOf(server(), one).call("GET", "/v1/admin/nodes");
    expect((await asked(token.slice(0, -1))).body.detail).toContain("mistyped or cut short");
    expect((await asked((await startedElsewhere()).token)).body.detail).toContain("not known here");
  });

  test("refuses a body that is not what it says, with pointers", async () => {
    const admin = await adminOf(server());
    const bodies: [path: string, json: unknown, pointer: string][] = [
      ["revocations", {}, ""],
      ["revocations", { userId: "a", tokenId: "b" }, ""],
      ["revocations", { userId: "a", all: true }, "/all"],
      ["revocations", { userId: 5 }, "/userId"],
      ["revocations", { userId: "a", before: "yesterday" }, "/before"],
      ["revocations", { userId: "a", before: Date.now() + 400 * 86_400_000 }, "/before"],
      ["revocations", { tokenId: "a", before: 5 }, "/before"],
      ["push", { data: 1 }, "/to"],
      ["push", { to: {}, data: 1 }, "/to"],
      ["push", { to: { user: "a", all: true }, data: 1 }, "/to"],
      ["push", { to: { all: false }, data: 1 }, "/to/all"],
      ["push", { to: { all: true } }, "/data"],
    ];
    for (const [path, json, pointer] of bodies) {
      const answer = await admin.call("POST", `/v1/admin/${path}`, { json });
      expectProblem(answer, 400, "invalid_request");
      expect(answer.body.errors?.map((one) => one.pointer)).toEqual([pointer]);
    }
    const unknown = { json: { sessionId: Bun.randomUUIDv7() } };
    expectProblem(await admin.call("POST", "/v1/admin/revocations", unknown), 404, "not_found");
  });
});

/** A token that is whole, of an installation that is not this one. */
async function startedElsewhere(): Promise<{ token: string }> {
  elsewhere ??= (async () => {
    await using other = await startServer();
    return await issueToken(other, "admin");
  })();
  return elsewhere;
}
let elsewhere: Promise<{ token: string }> | null = null;

/** What is revoked, by whose token it is. */
interface Victim {
  readonly userId: string;
  readonly sessionId: string;
  readonly tokenId: string;
}
const REVOCATIONS: [what: string, body: (victim: Victim) => unknown][] = [
  ["the user", ({ userId }) => ({ userId })],
  ["the session", ({ sessionId }) => ({ sessionId })],
  ["the user token", ({ tokenId }) => ({ tokenId })],
];

describe("S12 resume after a revocation of", () => {
  test.each(REVOCATIONS)("%s: 4502, alone and with the user token beside it", async (_what, bodyOf) => {
    const admin = await adminOf(server());
    const userId = someone();
    const token = tokenOf(userId);
    const client = await connect(server(), { token });
    const { sessionId, token: sessionToken } = client;
    await client.close();
    const json = bodyOf({ userId, sessionId, tokenId: String(readToken(token).claims["jti"]) });
    expect((await admin.call("POST", "/v1/admin/revocations", { json })).status).toBe(204);
    for (const offer of [{ token: sessionToken }, { token, session: sessionToken }]) {
      expect(await dial(server(), offer).waitForClose()).toEqual({ code: 4502, reason: "revoked" });
    }
  });
});

describe("S16 a revocation of", () => {
  test.each(REVOCATIONS)(
    "%s closes the socket within a second, kills its tokens, and lasts through a restart",
    async (_what, bodyOf) => {
      await using mortal = await startServer({ env: WITH_USERS });
      const admin = await adminOf(mortal);
      const token = tokenOf("victim");
      const client = await connect(mortal, { token });
      await using bystander = await connect(mortal, { token: tokenOf("bystander") });
      const tokenId = String(readToken(token).claims["jti"]);
      const json = bodyOf({ userId: "victim", sessionId: client.sessionId, tokenId });

      const askedMs = performance.now();
      expect((await admin.call("POST", "/v1/admin/revocations", { json })).status).toBe(204);
      expect(await client.waitForClose()).toEqual({ code: 4502, reason: "revoked" });
      expect(performance.now() - askedMs).toBeLessThan(TOLD_MS);
      expect(client.frames().at(-1)).toMatchObject({ type: "goodbye", code: 4502, reconnect: false });
      expectProblem(await apiOf(mortal, client.token).call("GET", "/v1/jobs"), 401, "token_revoked");
      const userAnswer = await apiOf(mortal, token).call("GET", "/v1/jobs");
      // Whose session was shut is not shut out.
      if ("sessionId" in (json as object)) expect(userAnswer.status).toBe(200);
      else expectProblem(userAnswer, 401, "token_revoked");
      await bystander.settle();
      expect(bystander.closed).toBeNull();

      await mortal.restart();
      expectProblem(await apiOf(mortal, client.token).call("GET", "/v1/jobs"), 401, "token_revoked");
      expect((await apiOf(mortal, token).call("GET", "/v1/jobs")).status).toBe(userAnswer.status);
      expect((await apiOf(mortal, bystander.token).call("GET", "/v1/jobs")).status).toBe(200);
    },
  );

  test("a user leaves alone what was issued after `before`, in either form of the time", async () => {
    const admin = await adminOf(server());
    for (const timeOf of [(ms: number) => new Date(ms).toISOString(), (ms: number) => ms]) {
      const userId = someone();
      const [old, fresh] = [tokenOf(userId, { iat: seconds() - 120 }), tokenOf(userId)];
      const [oldClient, freshClient] = [
        await connect(server(), { token: old }),
        await connect(server(), { token: fresh }),
      ];
      const json = { userId, before: timeOf(Date.now() - 60_000) };
      expect((await admin.call("POST", "/v1/admin/revocations", { json })).status).toBe(204);
      expect((await oldClient.waitForClose(TOLD_MS)).code).toBe(4502);
      expectProblem(await apiOf(server(), old).call("GET", "/v1/jobs"), 401, "token_revoked");
      expect((await apiOf(server(), fresh).call("GET", "/v1/jobs")).status).toBe(200);
      await freshClient.settle();
      expect(freshClient.closed).toBeNull();
      await freshClient.close();
    }
  });

  test("a user reaches all of his sessions, with a socket or without, and cancels what asked for it", async () => {
    const admin = await adminOf(server());
    const userId = someone();
    const token = tokenOf(userId);
    const away = await newSession(server(), token);
    const clients = await Promise.all([1, 2, 3].map(() => connect(server(), { token })));
    const api = apiOf(server(), clients[0]?.token ?? "");
    const [cancels, goesOn] = [
      await api.submit(lastingBody({ onDisconnect: "cancel", orphanMs: 3_600_000 })),
      await api.submit(lastingBody()),
    ];
    await api.inStatus(cancels.id, "running");
    await admin.call("POST", "/v1/admin/revocations", { json: { userId } });
    for (const client of clients) expect((await client.waitForClose(TOLD_MS)).code).toBe(4502);
    expectProblem(await away.call("GET", "/v1/jobs"), 401, "token_revoked");
    const sessions = await admin.call<{ items: SessionBody[] }>("GET", `/v1/admin/sessions?userId=${userId}`);
    expect(sessions.body.items).toEqual([]);
    const readJob = async (id: string) =>
      (await admin.call<{ status: string }>("GET", `/v1/admin/jobs/${id}`)).body;
    await until(
      "the job that asked for it to be canceled",
      async () => (await readJob(cancels.id)).status === "canceled",
    );
    expect((await readJob(goesOn.id)).status).toBe("running");
    expect((await admin.call("POST", `/v1/admin/jobs/${goesOn.id}/cancel`)).status).toBe(202);
  });

  test("a user reaches calls that wait for the end of a job: they are told 401 and not the result", async () => {
    const admin = await adminOf(server());
    const userId = someone();
    const token = tokenOf(userId);
    const session = await newSession(server(), token);
    const { id } = await session.submit(lastingBody());
    const waits = [session, apiOf(server(), token)].map((api) =>
      api.call("GET", `/v1/jobs/${id}?waitMs=60000`),
    );
    const submitted = lastingBody({ metadata: { waited: "yes" } });
    waits.push(session.call("POST", "/v1/jobs", { json: submitted, headers: { prefer: "wait=60" } }));
    const jobsOf = async () =>
      (await admin.call<{ items: JobBody[] }>("GET", "/v1/admin/jobs?limit=200")).body.items;
    const waited = await until("the job that is waited for", async () =>
      (await jobsOf()).find(({ metadata }) => metadata["waited"] === "yes"),
    );
    await admin.call("POST", "/v1/admin/revocations", { json: { userId } });
    for (const job of [id, waited.id]) await admin.call("POST", `/v1/admin/jobs/${job}/cancel`);
    for (const wait of waits) expectProblem(await within("the answer", wait), 401, "token_revoked");
  });

  test("a user token without jti by its hash holds for every spelling of it", async () => {
    const admin = await adminOf(server());
    const token = userToken(SECRET, { sub: someone(), iat: seconds() });
    expect((await apiOf(server(), token).call("GET", "/v1/jobs")).status).toBe(200);
    const tokenId = new Bun.CryptoHasher("sha256").update(token).digest("base64url");
    expect((await admin.call("POST", "/v1/admin/revocations", { json: { tokenId } })).status).toBe(204);
    expectProblem(await apiOf(server(), token).call("GET", "/v1/jobs"), 401, "token_revoked");
    const [head = "", claims = "", signature = ""] = token.split(".");
    // The last character of 32 bytes has two bits to spare.
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const last = alphabet.indexOf(signature.at(-1) ?? "");
    const spellings = [1, 2, 3].map((spare) => signature.slice(0, -1) + (alphabet[last + spare] ?? ""));
    const plain = signature.replaceAll("-", "+").replaceAll("_", "/");
    spellings.push(`${signature}=`, `${signature}==`, ...(plain === signature ? [] : [plain]));
    for (const spelling of spellings) {
      const answer = await apiOf(server(), `${head}.${claims}.${spelling}`).call("GET", "/v1/jobs");
      expectProblem(answer, 401, "unauthenticated");
    }
  });

  test("S16 an ES256 token without jti by its hash holds for the second signature of the same text", async () => {
    const key = await createSigningKey("ES256");
    await using mortal = await startServer({ env: { HOLDLINE_AUTH_PUBLIC_KEY: key.pem } });
    const admin = await adminOf(mortal);
    const revoke = (tokenId: string) =>
      admin.call("POST", "/v1/admin/revocations", { json: { tokenId } }).then(({ status }) => status);
    const statusOf = async (token: string) => (await apiOf(mortal, token).call("GET", "/v1/jobs")).status;
    const sha256 = (text: string) => new Bun.CryptoHasher("sha256").update(text).digest("base64url");

    const token = await key.sign({ sub: someone(), jti: undefined });
    const twin = secondSignature(token);
    expect(twin).not.toBe(token);
    expect([await statusOf(token), await statusOf(twin)]).toEqual([200, 200]);
    const client = await connect(mortal, { token: twin });
    expect(await revoke(sha256(token.slice(0, token.lastIndexOf("."))))).toBe(204);
    expect((await client.waitForClose(TOLD_MS)).code).toBe(4502);
    for (const one of [token, twin, secondSignature(twin)]) {
      expectProblem(await apiOf(mortal, one).call("GET", "/v1/jobs"), 401, "token_revoked");
    }
    // By the hash of all of it, as a session token has it: exactly this one.
    const other = await key.sign({ sub: someone(), jti: undefined });
    expect(await revoke(sha256(other))).toBe(204);
    expect(await statusOf(other)).toBe(401);
  });

  test("a user ends the streams that are open: nothing more of the log is shown", async () => {
    const admin = await adminOf(server());
    const userId = someone();
    const api = await newSession(server(), tokenOf(userId));
    const { id } = await api.submit(tokensBody({ tokens: 1000, intervalMs: 20 }));
    await api.inStatus(id, "running");
    const stream = await fetch(`${server().url}/v1/jobs/${id}/events`, {
      headers: { authorization: `Bearer ${api.token}`, accept: "application/x-ndjson" },
    });
    const reader = stream.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toContain("job.queued");
    await admin.call("POST", "/v1/admin/revocations", { json: { userId } });
    let text = "";
    for (let end = false; !end;) {
      const { done, value } = (await reader?.read()) ?? { done: true, value: "" };
      end = done;
      text += value ?? "";
    }
    expect(text).not.toContain('"terminal":true');
    await admin.call("POST", `/v1/admin/jobs/${id}/cancel`);
  });

  test("in open mode the anonymous user ends his sessions", async () => {
    await using open = await startServer();
    const admin = await adminOf(open);
    await using client = await connect(open);
    const userId = client.welcome.session?.userId;
    expect((await admin.call("POST", "/v1/admin/revocations", { json: { userId } })).status).toBe(204);
    expect((await client.waitForClose(TOLD_MS)).code).toBe(4502);
    expectProblem(await apiOf(open, client.token).call("GET", "/v1/jobs"), 401, "token_revoked");
    expect((await call("POST", `${open.url}/v1/sessions`)).status).toBe(201);
  });

  test("one's own by a log-out closes the socket within a second, and the token is dead", async () => {
    const client = await connect(server(), { token: tokenOf(someone()) });
    const api = apiOf(server(), client.token);
    const askedMs = performance.now();
    expect((await api.call("DELETE", "/v1/sessions/current")).status).toBe(204);
    expect((await client.waitForClose()).code).toBe(4502);
    expect(performance.now() - askedMs).toBeLessThan(TOLD_MS);
    expectProblem(await api.call("GET", "/v1/jobs"), 401, "token_revoked");
  });
});

describe("S22 a signing key that was retired", () => {
  test("verifies until it is removed, then 401; what the new one signs goes on", async () => {
    const api = await newSession(server(), tokenOf(someone()));
    const kidOf = (token: string): unknown => readToken(token).header["kid"];
    const old = kidOf(api.token);
    const rotated = await operateJson<{ kid: string; older: string[] }>(server(), ["keys", "rotate"]);
    expect(rotated.older).toContain(String(old));
    const fresh = await until("a token of the new key", async () => {
      const { body } = await api.call<{ token: string }>("POST", "/v1/sessions/current/token");
      return kidOf(body.token) === rotated.kid && body.token;
    });
    expect((await api.call("GET", "/v1/jobs")).status).toBe(200);

    await operateJson(server(), ["keys", "remove", String(old)]);
    const answer = await until("the old token to be refused", async () => {
      const refused = await api.call("GET", "/v1/jobs");
      return refused.status !== 200 && refused;
    });
    expectProblem(answer, 401, "unauthenticated");
    expect((await apiOf(server(), fresh).call("GET", "/v1/jobs")).status).toBe(200);
    expect(await dial(server(), { token: api.token }).waitForClose()).toEqual({
      code: 4500,
      reason: "unauthenticated",
    });
  });
});
